#include "device/roster.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using doline::IpAddress;
using doline::IpPrefix;
using doline::device::Device;
using doline::device::DeviceSettings;
using doline::device::Group;
using doline::device::LogChoice;
using doline::device::MacAddress;
using doline::device::Roster;
using doline::device::RosterBuilder;
using doline::device::Sighting;

namespace {

IpAddress address(const char* text) {
  return *IpAddress::parse(text);
}
IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}
MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}
Sighting sighting(const char* at, const char* by, const char* hostname = "") {
  return {address(at), mac(by), hostname};
}

constexpr const char* camera_mac = "94:51:3d:13:9a:35";
constexpr const char* phone_mac = "3e:11:22:33:44:55";

DeviceSettings device_with_mac(const char* name, const char* its_mac) {
  DeviceSettings settings;
  settings.name = name;
  settings.macs = {mac(its_mac)};
  return settings;
}

DeviceSettings device_with_address(const char* name, const char* its_address) {
  DeviceSettings settings;
  settings.name = name;
  settings.addresses = {prefix(its_address)};
  return settings;
}

}  // namespace

TEST_CASE("the empty roster knows only the unknown device") {
  const Roster roster;
  CHECK(roster.devices().size() == 1);
  CHECK(roster.identify(address("192.168.1.2")).id.value == 0);
  CHECK(roster.identify(address("192.168.1.2")).name == "unknown");
  CHECK(roster.identify(address("fd00::1"), "anna").id.value == 0);
  CHECK(roster.find("camera") == nullptr);
  CHECK(roster.find(mac(camera_mac)) == nullptr);
  CHECK_FALSE(roster.find_group("kids"));
}

TEST_CASE("a configured device is found by every address at which its MAC is seen, in both families") {
  RosterBuilder builder;
  builder.add_device(device_with_mac("camera", camera_mac));
  builder.add_sighting(sighting("192.168.1.50", camera_mac, "WYZE-BASE"), "iSmart Alarm, Inc.");
  builder.add_sighting(sighting("fd00::50", camera_mac), "");
  const auto roster = builder.build();
  const Device& camera = roster->identify(address("192.168.1.50"));
  CHECK(camera.name == "camera");
  CHECK(camera.is_configured);
  CHECK(camera.hostname == "WYZE-BASE");
  CHECK(camera.vendor == "iSmart Alarm, Inc.");
  CHECK(camera.addresses == std::vector{address("192.168.1.50"), address("fd00::50")});
  CHECK(roster->identify(address("fd00::50")).id == camera.id);
  CHECK(roster->find(mac(camera_mac)) == &camera);
  CHECK(roster->find("camera") == &camera);
  CHECK(roster->devices().size() == 2);
}

TEST_CASE("the operator's host name is stronger than the lease's") {
  RosterBuilder builder;
  auto settings = device_with_mac("phone", phone_mac);
  settings.hostname = "annas-phone";
  builder.add_device(settings);
  builder.add_sighting(sighting("192.168.1.9", phone_mac, "android-4711"), "");
  CHECK(builder.build()->find("phone")->hostname == "annas-phone");
}

TEST_CASE("a discovered device is named by host name, else vendor and tail of the MAC, else the MAC") {
  RosterBuilder builder;
  builder.add_sighting(sighting("192.168.1.3", "94:51:3d:00:00:01", "living-room-tv"), "iSmart Alarm, Inc.");
  builder.add_sighting(sighting("192.168.1.4", camera_mac), "iSmart Alarm, Inc.");
  builder.add_sighting(sighting("192.168.1.5", phone_mac), "Nobody, for it made its MAC up");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.3")).name == "living-room-tv");
  CHECK(roster->identify(address("192.168.1.4")).name == "iSmart Alarm, Inc. 13:9a:35");
  CHECK(roster->identify(address("192.168.1.5")).name == phone_mac);
  CHECK(roster->identify(address("192.168.1.5")).vendor.empty());
  CHECK_FALSE(roster->identify(address("192.168.1.5")).is_configured);
}

TEST_CASE("a device cannot take the name of another by calling itself so") {
  RosterBuilder builder;
  builder.add_device(device_with_mac("camera", camera_mac));
  builder.add_sighting(sighting("192.168.1.66", phone_mac, "camera"), "");
  builder.add_sighting(sighting("192.168.1.67", "3e:00:00:00:00:01", "unknown"), "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.66")).name == "camera 33:44:55");
  CHECK(roster->identify(address("192.168.1.67")).name == "unknown 00:00:01");
  CHECK(roster->find("camera")->is_configured);
  CHECK(roster->find("unknown")->id.value == 0);
}

TEST_CASE("a host name that two have names neither alone, whoever was seen first") {
  for (const bool is_turned : {false, true}) {
    RosterBuilder builder;
    const auto first = sighting("192.168.1.3", "94:51:3d:00:00:01", "android");
    const auto second = sighting("192.168.1.4", "94:51:3d:00:00:02", "android");
    builder.add_sighting(is_turned ? second : first, "");
    builder.add_sighting(is_turned ? first : second, "");
    const auto roster = builder.build();
    CHECK(roster->identify(address("192.168.1.3")).name == "android 00:00:01");
    CHECK(roster->identify(address("192.168.1.4")).name == "android 00:00:02");
  }
}

TEST_CASE("no two devices have one name, even where vendor and tail are equal") {
  RosterBuilder builder;
  builder.add_sighting(sighting("192.168.1.3", "94:51:3d:00:00:01"), "Example");
  builder.add_sighting(sighting("192.168.1.4", "94:51:3c:00:00:01"), "Example");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.3")).name == "Example 00:00:01");
  CHECK(roster->identify(address("192.168.1.4")).name == "Example 00:00:01 94:51:3c:00:00:01");
}

TEST_CASE("an address that is seen with another MAC has moved") {
  RosterBuilder builder;
  builder.add_device(device_with_mac("camera", camera_mac));
  builder.add_sighting(sighting("192.168.1.50", camera_mac), "");
  builder.add_sighting(sighting("192.168.1.50", phone_mac, "annas-phone"), "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.50")).name == "annas-phone");
  CHECK(roster->find("camera")->addresses.empty());
}

TEST_CASE(
    "a configured MAC is stronger than a client id, that stronger than a configured address, that than a discovered "
    "MAC") {
  RosterBuilder builder;
  builder.add_device(device_with_mac("by-mac", camera_mac));
  auto by_id = DeviceSettings{};
  by_id.name = "by-id";
  by_id.client_ids = {"anna"};
  builder.add_device(by_id);
  builder.add_device(device_with_address("by-address", "192.168.1.50"));
  {
    const auto roster = builder.build();
    CHECK(roster->identify(address("192.168.1.50")).name == "by-address");
    CHECK(roster->identify(address("192.168.1.50"), "anna").name == "by-id");
    CHECK(roster->identify(address("192.168.1.50"), "nobody").name == "by-address");
    CHECK(roster->identify(address("192.168.1.51"), "anna").name == "by-id");
  }
  builder.add_sighting(sighting("192.168.1.51", phone_mac), "");
  CHECK(builder.build()->identify(address("192.168.1.51"), "anna").name == "by-id");
  builder.add_sighting(sighting("192.168.1.50", camera_mac), "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.50")).name == "by-mac");
  CHECK(roster->identify(address("192.168.1.50"), "anna").name == "by-mac");
}

TEST_CASE("the MAC behind a configured address belongs to its device, with its other addresses") {
  RosterBuilder builder;
  builder.add_device(device_with_address("laptop", "192.168.1.20"));
  builder.add_sighting(sighting("192.168.1.20", phone_mac, "annas-laptop"), "");
  builder.add_sighting(sighting("fd00::20", phone_mac), "");
  const auto roster = builder.build();
  CHECK(roster->devices().size() == 2);
  CHECK(roster->identify(address("fd00::20")).name == "laptop");
  CHECK(roster->find(mac(phone_mac))->name == "laptop");
  CHECK(roster->find("laptop")->hostname == "annas-laptop");
}

TEST_CASE("one MAC behind the configured addresses of two devices is neither's, and both keep their addresses") {
  RosterBuilder builder;
  builder.add_device(device_with_address("desk", "192.168.1.20"));
  builder.add_device(device_with_address("server", "192.168.1.21"));
  for (const char* at : {"192.168.1.20", "192.168.1.21", "192.168.1.22"})
    builder.add_sighting(sighting(at, phone_mac, "bridge"), "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.20")).name == "desk");
  CHECK(roster->identify(address("192.168.1.21")).name == "server");
  CHECK(roster->identify(address("192.168.1.22")).name == "bridge");
  CHECK(roster->find("desk")->macs.empty());
}

TEST_CASE("a configured network names every client in it, the longest first, and a lone address before all") {
  RosterBuilder builder;
  builder.add_device(device_with_address("wide", "192.168.0.0/16"));
  builder.add_device(device_with_address("narrow", "192.168.7.0/24"));
  builder.add_device(device_with_address("one", "192.168.7.9"));
  builder.add_device(device_with_address("all-v6", "fd00::/8"));
  builder.add_sighting(sighting("192.168.7.8", phone_mac), "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.1")).name == "wide");
  CHECK(roster->identify(address("192.168.7.8")).name == "narrow");
  CHECK(roster->identify(address("192.168.7.9")).name == "one");
  CHECK(roster->identify(address("fd12::1")).name == "all-v6");
  CHECK(roster->identify(address("10.0.0.1")).id.value == 0);
  CHECK(roster->devices().size() == 5);  // the MAC in the network is no device beside
}

TEST_CASE("groups are a device's own and those whose network holds the client") {
  RosterBuilder builder;
  builder.add_group({"cameras", {}, std::nullopt});
  builder.add_group({"guests", {prefix("192.168.60.0/24")}, LogChoice::none});
  auto settings = device_with_mac("camera", camera_mac);
  settings.groups = {"cameras"};
  builder.add_device(settings);
  const auto roster = builder.build();
  const Device& camera = *roster->find("camera");
  const Device& unknown = roster->devices()[0];
  CHECK(roster->find_group("guests")->value == 1);
  CHECK(roster->groups_of(camera, address("192.168.1.50")) == 0b01);
  CHECK(roster->groups_of(camera, address("192.168.60.50")) == 0b11);
  CHECK(roster->groups_of(unknown, address("192.168.60.50")) == 0b10);
  CHECK(roster->groups_of(unknown, address("192.168.1.50")) == 0);
}

TEST_CASE("what is logged is the device's choice, else that of the strictest group it is in") {
  RosterBuilder builder;
  builder.add_group({"grown-ups", {}, LogChoice::anonymous});
  builder.add_group({"guests", {prefix("192.168.60.0/24")}, LogChoice::none});
  auto own = device_with_mac("own", camera_mac);
  own.groups = {"grown-ups"};
  own.log = LogChoice::full;
  builder.add_device(own);
  auto grouped = device_with_mac("grouped", phone_mac);
  grouped.groups = {"grown-ups"};
  builder.add_device(grouped);
  const auto roster = builder.build();
  const auto choice = [&](const Device& device, const char* client) {
    return roster->log_choice(device, roster->groups_of(device, address(client)));
  };
  CHECK(roster->find("own")->log == LogChoice::full);
  CHECK(roster->find("grouped")->log == LogChoice::anonymous);
  CHECK(choice(*roster->find("own"), "192.168.60.1") == LogChoice::full);
  CHECK(choice(*roster->find("grouped"), "192.168.1.1") == LogChoice::anonymous);
  CHECK(choice(*roster->find("grouped"), "192.168.60.1") == LogChoice::none);
  CHECK(choice(roster->devices()[0], "192.168.60.1") == LogChoice::none);
  CHECK(choice(roster->devices()[0], "192.168.1.1") == LogChoice::full);
}

TEST_CASE("what is no client of the LAN makes no device") {
  RosterBuilder builder;
  builder.add_sighting(sighting("192.168.1.1", "00:00:00:00:00:00"), "");
  builder.add_sighting(sighting("192.168.1.2", "01:00:5e:00:00:fb"), "");
  builder.add_sighting(sighting("224.0.0.251", phone_mac), "");
  builder.add_sighting(sighting("0.0.0.0", phone_mac), "");
  builder.add_sighting(sighting("::1", phone_mac), "");
  CHECK(builder.build()->devices().size() == 1);
  CHECK(builder.dropped() == 0);
}

TEST_CASE("of one MAC only so many addresses are kept, the latest") {
  RosterBuilder builder;
  for (int i = 0; i < 200; ++i)
    builder.add_sighting({IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(i + 1)), mac(phone_mac), ""}, "");
  const auto roster = builder.build();
  CHECK(roster->devices()[1].addresses.size() == doline::device::addresses_per_mac_max);
  CHECK(roster->identify(address("10.0.0.200")).id.value == 1);
  CHECK(roster->identify(address("10.0.0.1")).id.value == 0);
}

TEST_CASE("past the limit new devices are counted and stay unknown, configured ones are known all the same") {
  RosterBuilder builder;
  builder.add_device(device_with_mac("camera", camera_mac));
  const auto numbered = [](std::uint32_t i) {
    return MacAddress{{2, 0, static_cast<std::uint8_t>(i >> 24), static_cast<std::uint8_t>(i >> 16),
                       static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
  };
  const auto client = [](std::uint32_t i) {
    return IpAddress::v4(10, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                         static_cast<std::uint8_t>(i));
  };
  for (std::uint32_t i = 1; i <= doline::device::devices_max + 5; ++i)
    builder.add_sighting({client(i), numbered(i), ""}, "");
  builder.add_sighting(sighting("192.168.1.50", camera_mac), "");
  CHECK(builder.dropped() == 5);
  const auto roster = builder.build();
  CHECK(roster->devices().size() == doline::device::devices_max + 2);
  CHECK(roster->identify(client(doline::device::devices_max)).id.value != 0);
  CHECK(roster->identify(client(doline::device::devices_max + 1)).id.value == 0);
  CHECK(roster->identify(address("192.168.1.50")).name == "camera");
}

TEST_CASE("devices stand in a fixed order: the unknown one, the configured ones, the discovered ones as first seen") {
  RosterBuilder builder;
  builder.add_sighting(sighting("192.168.1.4", "94:51:3d:00:00:02", "b"), "");
  builder.add_sighting(sighting("192.168.1.3", "94:51:3d:00:00:01", "a"), "");
  builder.add_device(device_with_mac("camera", camera_mac));
  builder.add_sighting(sighting("192.168.1.4", "94:51:3d:00:00:02", "b"), "");
  const auto roster = builder.build();
  std::vector<std::string> names;
  for (const Device& device : roster->devices()) {
    CHECK(device.id.value == names.size());
    names.push_back(device.name);
  }
  CHECK(names == std::vector<std::string>{"unknown", "camera", "b", "a"});
}

TEST_CASE("a device without a MAC is known by the host name of its lease, whatever MAC it has today") {
  RosterBuilder builder;
  DeviceSettings phone;
  phone.name = "phone";
  phone.hostname = "annas-phone";
  builder.add_device(phone);
  DeviceSettings camera = device_with_mac("camera", camera_mac);
  camera.hostname = "cam";
  builder.add_device(camera);
  builder.add_sighting(sighting("192.168.1.4", "3e:11:22:33:44:55", "Annas-Phone"), "");
  builder.add_sighting(sighting("192.168.1.5", "3e:11:22:33:44:66", "annas-phone"), "");
  builder.add_sighting(sighting("192.168.1.6", "3e:11:22:33:44:77", "cam"), "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.4")).name == "phone");
  CHECK(roster->identify(address("192.168.1.5")).name == "phone");
  CHECK(roster->identify(address("192.168.1.6")).name != "camera");
}

TEST_CASE("a host name takes no address from the device that has it") {
  RosterBuilder builder;
  DeviceSettings phone, laptop;
  phone.name = "phone";
  phone.hostname = "annas-phone";
  laptop.name = "laptop";
  laptop.addresses = {*doline::IpPrefix::parse("192.168.1.4")};
  builder.add_device(phone);
  builder.add_device(laptop);
  builder.add_sighting(sighting("192.168.1.4", "3e:11:22:33:44:55", "annas-phone"), "");
  CHECK(builder.build()->identify(address("192.168.1.4")).name == "laptop");
}

TEST_CASE("a name that is only heard names a device, and takes none from who has it of a lease") {
  RosterBuilder builder;
  builder.add_device(device_with_mac("camera", camera_mac));
  builder.add_sighting({address("192.168.1.10"), mac("00:11:22:33:44:01"), "tv"}, "");
  builder.add_sighting({address("192.168.1.11"), mac("00:11:22:33:44:02"), "", false, "tv"}, "");
  builder.add_sighting({address("192.168.1.12"), mac("00:11:22:33:44:03"), "", false, "speaker"}, "Maker");
  builder.add_sighting({address("192.168.1.13"), mac("00:11:22:33:44:04"), "", false, "camera"}, "");
  builder.add_sighting({address("192.168.1.14"), mac("00:11:22:33:44:05"), "lamp", false, "bulb"}, "");
  builder.add_sighting({address("192.168.1.15"), mac(camera_mac), "", false, "evil"}, "");
  const auto roster = builder.build();
  CHECK(roster->identify(address("192.168.1.10")).name == "tv");
  CHECK(roster->identify(address("192.168.1.11")).name == "tv 33:44:02");
  CHECK(roster->identify(address("192.168.1.12")).name == "speaker");
  CHECK(roster->identify(address("192.168.1.13")).name == "camera 33:44:04");
  CHECK(roster->identify(address("192.168.1.14")).name == "lamp");
  CHECK(roster->identify(address("192.168.1.14")).heard_name == "bulb");
  CHECK(roster->identify(address("192.168.1.15")).name == "camera");
  CHECK(roster->identify(address("192.168.1.15")).hostname == "");
}

TEST_CASE("a heard name is no host name: it leads to no device of the YAML") {
  RosterBuilder builder;
  DeviceSettings laptop;
  laptop.name = "laptop";
  laptop.hostname = "annas-laptop";
  builder.add_device(laptop);
  builder.add_sighting({address("192.168.1.11"), mac(phone_mac), "", false, "annas-laptop"}, "");
  CHECK(builder.build()->identify(address("192.168.1.11")).name == "annas-laptop");
  builder.add_sighting({address("192.168.1.12"), mac(camera_mac), "annas-laptop"}, "");
  CHECK(builder.build()->identify(address("192.168.1.12")).name == "laptop");
}

TEST_CASE("of a device with several MACs the roster tells which is at an address") {
  RosterBuilder builder;
  DeviceSettings both = device_with_mac("both", camera_mac);
  both.macs.push_back(mac(phone_mac));
  both.is_booked = true;
  builder.add_device(both);
  builder.add_sighting(sighting("192.168.1.10", camera_mac), "");
  builder.add_sighting(sighting("192.168.1.11", phone_mac), "");
  const auto roster = builder.build();
  CHECK(roster->mac_at(address("192.168.1.10")) == mac(camera_mac));
  CHECK(roster->mac_at(address("192.168.1.11")) == mac(phone_mac));
  CHECK_FALSE(roster->mac_at(address("192.168.1.12")).has_value());
  CHECK_FALSE(roster->find("both")->is_configured);
}

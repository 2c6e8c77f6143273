#include "resolver/client_book.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

namespace doline::resolver {
namespace {

const IpAddress at_home = IpAddress::v4(192, 168, 1, 20), new_address = IpAddress::v4(192, 168, 1, 21),
                router = IpAddress::v4(192, 168, 1, 2);
const device::MacAddress camera_mac = *device::MacAddress::parse("94:51:3d:13:9a:35");

struct House {
  House() {
    device::RosterBuilder builder;
    builder.add_device({.name = "camera",
                        .macs = {camera_mac},
                        .addresses = {*IpPrefix::parse("192.168.1.20")},
                        .client_ids = {"cam"},
                        .hostname = {},
                        .groups = {},
                        .log = {}});
    snapshot.roster = builder.build();
    snapshot.allow_clients = {*IpPrefix::parse("192.168.0.0/16")};
    snapshot.trusted_routers = {*IpPrefix::parse("192.168.1.2")};
    book.install(snapshot);
  }

  const Client& ask(const IpAddress& from) {
    listener::Arrival arrival;
    arrival.client = {from, 40'000};
    arrival.destination.endpoint.port = 53;
    return book.identify(arrival, now);
  }

  Snapshot snapshot;
  MonotonicTime now{std::chrono::hours(1'000)};
  std::optional<device::MacAddress> neighbour;
  int looks = 0;
  bool is_neighbour = false;
  std::vector<IpAddress> strangers;
  ClientBook book{true,
                  [this](const IpAddress&) {
                    ++looks;
                    return neighbour;
                  },
                  [this](const IpAddress&) { return is_neighbour; },
                  [this](const IpAddress& address) { strangers.push_back(address); }};
};

TEST_CASE("a device at its own address is known without a look at the neighbours") {
  House house;
  CHECK(house.ask(at_home).device->name == "camera");
  CHECK(house.ask(at_home).may_ask);
  CHECK_FALSE(house.ask(at_home).may_speak_for_others);
  CHECK(house.looks == 0);
  CHECK(house.strangers.empty());
}

TEST_CASE("a device at an address that nobody has heard of is known by its MAC, and reported once a minute") {
  House house;
  house.neighbour = camera_mac;
  CHECK(house.ask(new_address).device->name == "camera");
  CHECK(house.ask(new_address).device->name == "camera");
  CHECK(house.looks == 1);
  CHECK(house.strangers == std::vector{new_address});
  house.now += seconds(61);
  CHECK(house.ask(new_address).device->name == "camera");
  CHECK(house.strangers.size() == 2);
}

TEST_CASE("a stranger that is no neighbour yet is looked for again soon, then once a minute, and told once") {
  House house;
  CHECK(house.ask(new_address).device->id.value == 0);
  CHECK(house.looks == 1);
  (void)house.ask(new_address);
  CHECK(house.looks == 1);
  house.neighbour = camera_mac;
  house.now += milliseconds(20);
  CHECK(house.ask(new_address).device->name == "camera");
  CHECK(house.looks == 2);
  CHECK(house.strangers.size() == 1);
  house.now += seconds(30);
  (void)house.ask(new_address);
  CHECK(house.looks == 2);
}

TEST_CASE(
    "whom the kernel does not know yet it is told to meet, and is looked for ever more seldom until patience ends") {
  House house;
  house.is_neighbour = true;
  const MonotonicTime begin = house.now;
  CHECK(house.ask(new_address).is_met_until == begin + neighbour_patience);
  while (house.ask(new_address).is_met_until > house.now) house.now = house.ask(new_address).look_again;
  CHECK(house.now >= begin + neighbour_patience);
  CHECK(house.looks <= 10);
  CHECK(house.ask(new_address).device->id.value == 0);
  CHECK(house.strangers.size() == 1);
}

TEST_CASE("as soon as the kernel knows whose a new address is, its device is known") {
  House house;
  house.is_neighbour = true;
  house.now = house.ask(new_address).look_again;
  house.neighbour = camera_mac;
  const Client& client = house.ask(new_address);
  CHECK(client.device->name == "camera");
  CHECK(client.is_met_until <= house.now);
}

TEST_CASE("made-up addresses cost a bounded number of looks a second, and who may not ask none") {
  House house;
  for (int i = 0; i < 2 * strangers_looked_for_max; ++i)
    (void)house.ask(IpAddress::v4(192, 168, static_cast<std::uint8_t>(2 + i / 256), static_cast<std::uint8_t>(i)));
  CHECK(house.looks == strangers_looked_for_max);
  CHECK_FALSE(house.ask(IpAddress::v4(203, 0, 113, 9)).may_ask);
  house.now += seconds(2);
  (void)house.ask(IpAddress::v4(203, 0, 113, 9));
  CHECK(house.looks == strangers_looked_for_max);
  (void)house.ask(new_address);
  CHECK(house.looks == strangers_looked_for_max + 1);
}

TEST_CASE("a trusted router says for whom it asks: by MAC, by client id, or by a client subnet of one host") {
  House house;
  const Client& sender = house.ask(router);
  REQUIRE(sender.may_speak_for_others);
  const auto behind = [&](dns::Octets id, dns::Octets subnet) {
    dns::Edns edns;
    if (!id.empty()) edns.client_id = id;
    if (!subnet.empty()) edns.client_subnet = subnet;
    return house.book.identify_behind(sender, edns);
  };
  const auto octets = [](const std::string& text) {
    return dns::Octets(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  const std::string text = "94:51:3d:13:9a:35", id = "cam", other = "02:00:00:00:00:01";
  CHECK(behind(octets(text), {}).device->name == "camera");
  CHECK(behind(camera_mac.octets, {}).device->name == "camera");
  CHECK(behind(octets(id), {}).device->name == "camera");
  CHECK(behind(octets(other), {}).device->id.value == 0);
  const std::array<std::uint8_t, 8> host{0, 1, 32, 0, 192, 168, 1, 20}, net{0, 1, 24, 0, 192, 168, 1, 0};
  CHECK(behind({}, host).device->name == "camera");
  CHECK(behind({}, host).address == at_home);
  CHECK(behind({}, net).address == router);
}

}  // namespace
}  // namespace doline::resolver

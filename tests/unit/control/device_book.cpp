#include "control/device_book.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using device::MacAddress;
using nlohmann::json;

namespace {

constexpr WallTime noon{std::chrono::seconds(1'800'000'000)};

MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}
const MacAddress tv_mac = mac("00:11:22:33:44:01"), phone_mac = mac("5e:11:22:33:44:02"),
                 new_mac = mac("5e:11:22:33:44:03"), tablet_mac = mac("00:11:22:33:44:04");

DeviceBook open(const std::filesystem::path& file) {
  std::string complaint;
  DeviceBook book(file, complaint);
  CHECK(complaint == "");
  return book;
}

std::vector<device::DeviceSettings> yaml() {
  device::DeviceSettings tablet, laptop;
  tablet.name = "tablet";
  tablet.macs = {tablet_mac};
  laptop.name = "laptop";
  laptop.addresses = {*IpPrefix::parse("192.168.1.20")};
  return {tablet, laptop};
}

/// A tablet and a laptop of the YAML; a TV, and a phone that has a new MAC, both of nobody's writing.
std::shared_ptr<const device::Roster> roster(const std::vector<device::DeviceSettings>& devices = yaml(),
                                             const char* tv_name = "tv") {
  device::RosterBuilder builder;
  for (const auto& settings : devices) builder.add_device(settings);
  builder.add_sighting({*IpAddress::parse("192.168.1.30"), tv_mac, tv_name}, "Maker");
  builder.add_sighting({*IpAddress::parse("192.168.1.31"), phone_mac, "phone"}, "");
  builder.add_sighting({*IpAddress::parse("192.168.1.32"), new_mac, "iphone"}, "");
  builder.add_sighting({*IpAddress::parse("192.168.1.20"), mac("00:11:22:33:44:05"), ""}, "");
  return builder.build();
}

BookedLock lock() {
  BookedLock made;
  made.names.subtrees = {*dns::Name::parse("maker.example")};
  made.names.names = {*dns::Name::parse("pool.ntp.example")};
  made.names.mode = policy::Mode::observe;
  made.flows = {{*IpPrefix::parse("192.0.2.0/24"), 17, 123}};
  return made;
}

}  // namespace

TEST_CASE("A joined MAC is the device's, over a restart, until it is separated") {
  const tests::TemporaryFolder folder;
  const auto file = folder / "device-book.json";
  {
    DeviceBook book = open(file);
    const auto before = roster();
    CHECK(book.join(*before->find("phone"), "iphone", *before, noon) == 1);
    CHECK(book.unsaved() == "");
  }
  DeviceBook book = open(file);
  const auto after = roster(book.add_to(yaml()));
  const device::Device& phone = after->identify(*IpAddress::parse("192.168.1.32"));
  CHECK(phone.name == "phone");
  CHECK(phone.macs == std::vector{phone_mac, new_mac});
  CHECK_FALSE(phone.is_configured);
  CHECK(after->find("iphone") == nullptr);

  CHECK(book.separate("phone", tv_mac) == 0);
  CHECK(book.separate("phone", new_mac) == 1);
  CHECK(book.separate("phone", {}) == 0);
  CHECK(book.all().empty());
  CHECK(roster(book.add_to(yaml()))->find("iphone") != nullptr);
}

TEST_CASE("A MAC that nobody has seen is joined to a device of the YAML") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "book");
  const auto now = roster();
  REQUIRE(book.join(*now->find("tablet"), "5e:00:00:00:00:09", *now, noon) == 1);
  const auto settings = book.add_to(yaml());
  REQUIRE(settings.size() == 2);
  CHECK(settings[0].macs == std::vector{tablet_mac, mac("5e:00:00:00:00:09")});
  const auto then = roster(settings);
  CHECK(book.join(*then->find("tv"), "5e:00:00:00:00:09", *then, noon).error() ==
        "'5e:00:00:00:00:09' is joined to 'tablet': first `doline device separate tablet 5e:00:00:00:00:09`.");
  CHECK_FALSE(settings[0].is_booked);
}

TEST_CASE("What cannot be joined is told, and changes nothing") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "book");
  const auto now = roster();
  const auto refusal = [&](const char* device, const char* other) {
    const auto joined = book.join(*now->find(device), other, *now, noon);
    return joined ? std::string("joined") : joined.error();
  };
  CHECK(refusal("tv", "tablet") == "'tablet' is a device of the configuration: write its MAC under 'tv' there.");
  CHECK(refusal("tv", "00:11:22:33:44:01") == "'00:11:22:33:44:01' is 'tv' already.");
  CHECK(refusal("tv", "phon") == "There is no device 'phon'; did you mean 'phone'?");
  CHECK(refusal("tv", "01:11:22:33:44:01") == "'01:11:22:33:44:01' is not a device's MAC.");
  REQUIRE(book.lock(*now->find("phone"), lock(), noon));
  CHECK(refusal("tv", "phone") == "'phone' is locked itself: unlock it first.");
  CHECK(book.all().size() == 1);
}

TEST_CASE("A device that was locked keeps its name, whatever it calls itself later") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "book");
  REQUIRE(book.lock(*roster()->find("tv"), lock(), noon));
  REQUIRE(book.locks().size() == 1);
  CHECK(book.locks()[0].device == "tv");
  const auto after = roster(book.add_to(yaml()), "not-the-tv");
  CHECK(after->identify(*IpAddress::parse("192.168.1.30")).name == "tv");
  CHECK(after->find("not-the-tv") == nullptr);
}

TEST_CASE("A device of the YAML that is known by address is locked by the MAC that it has") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "book");
  REQUIRE(book.lock(*roster()->find("laptop"), lock(), noon));
  device::RosterBuilder builder;
  for (const auto& settings : book.add_to(yaml())) builder.add_device(settings);
  builder.add_sighting({*IpAddress::parse("192.168.1.99"), mac("00:11:22:33:44:05"), ""}, "");
  const auto moved = builder.build();
  CHECK(moved->identify(*IpAddress::parse("192.168.1.99")).name == "laptop");
}

TEST_CASE("The YAML's word on a name or a MAC is stronger than the book's") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "book");
  const auto now = roster();
  REQUIRE(book.join(*now->find("tv"), "iphone", *now, noon) == 1);
  auto settings = yaml();
  settings[0].macs.push_back(new_mac);  // now the tablet's
  device::DeviceSettings tv;
  tv.name = "tv";
  tv.macs = {mac("00:aa:22:33:44:01")};  // another TV
  settings.push_back(tv);
  settings = book.add_to(std::move(settings));
  REQUIRE(settings.size() == 3);
  CHECK(settings[2].macs == std::vector{mac("00:aa:22:33:44:01")});
}

TEST_CASE("Learning and lock are kept, and unlock ends both") {
  const tests::TemporaryFolder folder;
  const auto file = folder / "book";
  {
    DeviceBook book = open(file);
    const auto now = roster();
    REQUIRE(book.learn(*now->find("tv"), {noon, noon + std::chrono::hours(24)}));
    REQUIRE(book.lock(*now->find("tv"), lock(), noon + std::chrono::hours(25)));
  }
  DeviceBook book = open(file);
  REQUIRE(book.all().size() == 1);
  const BookedDevice& tv = book.all()[0];
  CHECK(tv.learning->from == noon);
  CHECK(tv.learning->until == noon + std::chrono::hours(24));
  CHECK(tv.locked_since == noon + std::chrono::hours(25));
  policy::Lock expected = lock().names;
  expected.device = "tv";
  CHECK(tv.lock->names == expected);
  CHECK(tv.lock->flows == lock().flows);
  REQUIRE(book.flow_locks().size() == 1);
  CHECK(book.flow_locks()[0].device == "tv");
  CHECK(book.flow_locks()[0].flows == redirect::Flows::observe);
  REQUIRE(book.learn(*roster()->find("phone"), {noon, noon + std::chrono::hours(24)}));
  REQUIRE(book.lock(*roster()->find("phone"), lock(), noon + std::chrono::hours(1)));
  CHECK(book.find("phone")->learning->until == noon + std::chrono::hours(1));
  REQUIRE(book.unlock("phone"));
  CHECK(book.unlock("tv"));
  CHECK_FALSE(book.unlock("tv"));
  CHECK(open(file).all().empty());
}

TEST_CASE("A damaged file is told, and what is malformed in a good one passed over") {
  const tests::TemporaryFolder folder;
  std::string complaint;
  const DeviceBook damaged(folder.write("damaged", "{"), complaint);
  CHECK(complaint.find("is damaged") != std::string::npos);
  const auto file = folder.write("odd", R"([1, {"device": ""}, {"device": "a", "macs": [3, {"mac": "x"}], "lock":
      {"subtrees": ["a..b", 4, "Good.Example"], "since": "x", "flows": [{"network": 3}]}}, {"device": "a"}])");
  const DeviceBook book = open(file);
  REQUIRE(book.all().size() == 1);
  CHECK(book.all()[0].macs.empty());
  REQUIRE(book.flow_locks().size() == 1);
  CHECK(book.flow_locks()[0].allowed.empty());
  CHECK(book.locks()[0].subtrees == std::vector{*dns::Name::parse("good.example")});
}

TEST_CASE("What cannot be written holds, and is told") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "missing" / "book");
  REQUIRE(book.learn(*roster()->find("tv"), {noon, noon + std::chrono::hours(1)}));
  CHECK(book.find("tv") != nullptr);
  CHECK(book.unsaved() != "");
}

TEST_CASE("A request to lock names names") {
  CHECK(read_lock({{"subtrees", {"A.Example"}}, {"observe", true}})->names.subtrees[0].to_string() == "a.example");
  CHECK(read_lock({{"names", {"a..b"}}}).error() == "'a..b' is no name.");
  CHECK(read_lock({{"names", json::array({3})}}).error() == "'3' is no name.");
  CHECK_FALSE(read_lock({{"subtrees", {"."}}}).has_value());
  CHECK_FALSE(read_lock({{"names", std::vector<std::string>(policy::lock_names_max + 1, "a")}}).has_value());
}

TEST_CASE("A request to lock may name connections, or say nothing of them") {
  CHECK_FALSE(read_lock({{"names", {"a.example"}}})->flows.has_value());
  CHECK(read_lock({{"flows", json::array()}})->flows->empty());
  const json clock = {{"network", "198.51.100.0/24"}, {"protocol", 17u}, {"port", 123u}};
  const auto lock = read_lock({{"flows", json::array({clock})}});
  CHECK(lock->flows == std::vector<redirect::AllowedFlow>{{*IpPrefix::parse("198.51.100.0/24"), 17, 123}});
  CHECK(read_lock({{"flows", json::array({3})}}).error() == "'3' says of no network that it may be connected to.");
  CHECK_FALSE(read_lock({{"flows", std::vector<json>(lock_flows_max + 1, {{"network", "::/0"}})}}).has_value());
}

TEST_CASE("All locks together allow only so many connections") {
  const tests::TemporaryFolder folder;
  DeviceBook book = open(folder / "book");
  BookedLock large = lock();
  large.flows->resize(lock_flows_max, large.flows->front());
  REQUIRE(book.lock(*roster()->find("tv"), large, noon));
  REQUIRE(book.lock(*roster()->find("phone"), large, noon));
  REQUIRE(book.lock(*roster()->find("phone"), large, noon));  // in the place of the former
  CHECK_FALSE(book.lock(*roster()->find("tablet"), large, noon).has_value());
}

#include "control/roster_keeper.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "announcing.h"
#include "run_until.h"
#include "small_network.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;

namespace {

constexpr RosterPace quick{.settle = milliseconds(10),
                           .settle_max = milliseconds(50),
                           .ask_after = milliseconds(10),
                           .save_every = milliseconds(20)};

IpAddress at(const char* text) {
  return *IpAddress::parse(text);
}

/// A line of dnsmasq's lease file that runs for ever.
std::string lease(const std::string& mac, const std::string& address, const std::string& hostname) {
  return "0 " + mac + " " + address + " " + hostname + " *\n";
}

struct Home {
  TemporaryFolder folder;
  SystemClock clock;
  std::ostringstream said;
  spdlog::logger log{"devices", std::make_shared<spdlog::sinks::ostream_sink_st>(said)};
  Loop loop;
  std::vector<std::shared_ptr<const device::Roster>> rosters;  // as on_roster brought them
  std::unique_ptr<RosterKeeper> keeper;

  Home() { start(); }
  void start() {
    keeper.reset();
    rosters.clear();
    keeper = std::make_unique<RosterKeeper>(
        loop, folder / "state", clock, log, [this](auto roster) { rosters.push_back(std::move(roster)); }, quick,
        folder / "vendors");
  }
  template <class Condition>
  bool until(Condition holds) {
    return run_until(loop, holds);
  }
  [[nodiscard]] std::string name_at(const char* address) const { return keeper->current()->identify(at(address)).name; }
};

}  // namespace

TEST_CASE("the operator's devices and groups are known at once") {
  Home home;
  CHECK(home.name_at("192.168.1.20") == "unknown");
  device::DeviceSettings laptop;
  laptop.name = "laptop";
  laptop.addresses = {*IpPrefix::parse("192.168.1.20")};
  laptop.groups = {"grown-ups"};
  home.keeper->configure({{"grown-ups", {}, std::nullopt}}, {laptop}, {});
  CHECK(home.name_at("192.168.1.20") == "laptop");
  CHECK(home.keeper->current()->groups().size() == 1);
  home.keeper->configure({}, {}, {});
  CHECK(home.name_at("192.168.1.20") == "unknown");
}

TEST_CASE("a lease names a device, a changed file is read again, written anew or in place") {
  Home home;
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera"));
  home.keeper->configure({}, {}, {file});
  CHECK(home.name_at("192.168.1.30") == "camera");
  const auto state = home.keeper->lease_states().at(0);
  CHECK(state.format == device::LeaseFormat::dnsmasq);
  CHECK(state.leases == 1);
  CHECK(state.failure.empty());

  home.folder.write("leases", lease("94:51:3d:13:9a:36", "192.168.1.31", "doorbell"));
  REQUIRE(home.until([&] { return home.name_at("192.168.1.31") == "doorbell"; }));
  CHECK(home.name_at("192.168.1.30") == "camera");  // remembered
  CHECK(home.rosters.back() == home.keeper->current());

  std::ofstream(file, std::ios::app) << lease("94:51:3d:13:9a:37", "192.168.1.32", "tv");
  REQUIRE(home.until([&] { return home.name_at("192.168.1.32") == "tv"; }));
}

TEST_CASE("a lease file that cannot be read is told once, and read once it comes") {
  Home home;
  home.keeper->configure({}, {}, {home.folder / "leases"});
  CHECK_FALSE(home.keeper->lease_states().at(0).failure.empty());
  home.keeper->check_leases();
  home.keeper->check_leases();
  const std::string said = home.said.str();
  const auto first = said.find("cannot be read");
  REQUIRE(first != std::string::npos);
  CHECK(said.find("cannot be read", first + 1) == std::string::npos);
  home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera"));
  REQUIRE(home.until([&] { return home.name_at("192.168.1.30") == "camera"; }));
  CHECK(home.keeper->lease_states().at(0).failure.empty());
}

TEST_CASE("bad lines of a lease file are told, and the rest is used") {
  Home home;
  const auto file = home.folder.write(
      "leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera") + "0 94:51:3d:13:9a:36 no-address tv *\n");
  home.keeper->configure({}, {}, {file});
  CHECK(home.name_at("192.168.1.30") == "camera");
  REQUIRE(home.keeper->lease_states().at(0).problems.size() == 1);
  CHECK(home.keeper->lease_states().at(0).problems[0].line == 2);
  CHECK(home.said.str().find("leases:2:") != std::string::npos);
}

TEST_CASE("devices are remembered over a restart, without lease files, on the disk soon and at the end") {
  Home home;
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera"));
  home.keeper->configure({}, {}, {file});
  const auto state = home.folder / "state" / "devices.json";
  REQUIRE(home.until([&] { return content_of(state).find("camera") != std::string::npos; }));
  CHECK((std::filesystem::status(state).permissions() & std::filesystem::perms::others_all) ==
        std::filesystem::perms::none);
  home.start();
  home.keeper->configure({}, {}, {});
  CHECK(home.name_at("192.168.1.30") == "camera");

  home.folder.write("leases", lease("94:51:3d:13:9a:36", "192.168.1.31", "tv"));
  home.keeper->configure({}, {}, {file});
  home.start();  // at once
  home.keeper->configure({}, {}, {});
  CHECK(home.name_at("192.168.1.31") == "tv");
}

TEST_CASE("a device whose log does not keep its name is known, and not remembered") {
  Home home;
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera") +
                                                    lease("94:51:3d:13:9a:36", "192.168.1.31", "laptop") +
                                                    lease("94:51:3d:13:9a:37", "192.168.7.32", "guest"));
  device::DeviceSettings laptop;
  laptop.name = "laptop";
  laptop.macs = {*device::MacAddress::parse("94:51:3d:13:9a:36")};
  home.keeper->configure({}, {laptop}, {file});
  const auto saved = [&] { return content_of(home.folder / "state" / "devices.json"); };
  const auto is_saved = [&](const char* mac) { return saved().find(mac) != std::string::npos; };
  REQUIRE(home.until([&] { return is_saved("9a:35") && is_saved("9a:36") && is_saved("9a:37"); }));
  laptop.log = device::LogChoice::none;
  home.keeper->configure({{"guests", {*IpPrefix::parse("192.168.7.0/24")}, device::LogChoice::none}}, {laptop}, {file});
  CHECK(home.name_at("192.168.1.31") == "laptop");
  REQUIRE(home.until([&] { return !is_saved("9a:36"); }));
  CHECK(is_saved("9a:35"));
  CHECK_FALSE(is_saved("9a:37"));
}

TEST_CASE("devices that were found are forgotten at once, on the disk too") {
  Home home;
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera") +
                                                    lease("94:51:3d:13:9a:36", "192.168.1.31", "tv"));
  home.keeper->configure({}, {}, {file});
  const auto saved = [&] { return content_of(home.folder / "state" / "devices.json"); };
  REQUIRE(home.until([&] { return saved().find("camera") != std::string::npos; }));
  CHECK(home.keeper->forget({{"camera"}, {}}) == 1u);
  CHECK(saved().find("camera") == std::string::npos);
  CHECK(saved().find("tv") != std::string::npos);
  CHECK(home.name_at("192.168.1.30") == "unknown");
  CHECK(home.rosters.back() == home.keeper->current());
  CHECK(home.keeper->forget({}).value_or(0) >= 1);  // and whom this machine has met
  CHECK_FALSE(std::filesystem::exists(home.folder / "state" / "devices.json"));
}

TEST_CASE("a state file that is none, or cannot be written, is no obstacle") {
  Home home;
  home.keeper.reset();
  std::filesystem::create_directories(home.folder / "state");
  home.folder.write("state/devices.json", "\x01 no JSON");
  home.start();
  home.keeper->configure({}, {}, {});
  CHECK(home.keeper->current()->devices().size() == 1);
  home.keeper.reset();

  std::filesystem::remove_all(home.folder / "state");
  home.folder.write("state", "a file where the folder should be");
  home.start();
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "camera"));
  home.keeper->configure({}, {}, {file});
  CHECK(home.name_at("192.168.1.30") == "camera");
  REQUIRE(home.until([&] { return home.said.str().find("they will not be remembered") != std::string::npos; }));
}

TEST_CASE("a device without host name is called by its vendor once the table is read") {
  Home home;
  home.keeper.reset();
  std::filesystem::create_directories(home.folder / "vendors");
  home.folder.write("vendors/oui.csv",
                    "Registry,Assignment,Organization Name,Organization Address\nMA-L,94513D,Wyze Labs,\n");
  home.start();
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "*"));
  home.keeper->configure({}, {}, {file});
  CHECK(home.name_at("192.168.1.30") == "94:51:3d:13:9a:35");
  REQUIRE(home.until([&] { return home.name_at("192.168.1.30") == "Wyze Labs 13:9a:35"; }));
  CHECK(home.rosters.size() == 1);

  // Its vendor is remembered, so that nobody asks what the table says now, until there is another device.
  home.folder.write("vendors/oui.csv", "MA-L,94513D,Wyze Labs Inc,\nMA-L,A45E60,Apple,\n");
  home.start();
  home.keeper->configure({}, {}, {file});
  CHECK(home.name_at("192.168.1.30") == "Wyze Labs 13:9a:35");
  CHECK(home.loop.jobs() == 0);
  home.folder.write("leases", lease("a4:5e:60:00:00:01", "192.168.1.31", "*"));
  REQUIRE(home.until([&] { return home.name_at("192.168.1.31") == "Apple 00:00:01"; }));
  CHECK(home.name_at("192.168.1.30") == "Wyze Labs Inc 13:9a:35");
}

TEST_CASE("a keeper may end while its jobs run") {
  Home home;
  const auto file = home.folder.write("leases", lease("94:51:3d:13:9a:35", "192.168.1.30", "*"));
  home.keeper->configure({}, {}, {file});
  CHECK(home.loop.jobs() > 0);
  home.keeper.reset();
  CHECK(home.until([&] { return home.loop.jobs() == 0; }));
}

TEST_CASE("what the kernel sees becomes a device, both families one, and an unknown client makes it look again") {
  CHECK(tests::in_small_network([]() -> std::string {
          Home home;
          device::DeviceSettings tv;
          tv.name = "tv";
          tv.macs = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
          home.keeper->configure({}, {tv}, {});
          if (!tests::run("ip neigh add 192.0.2.5 lladdr 94:51:3d:13:9a:35 dev lan0 nud stale") ||
              !tests::run("ip neigh add 2001:db8::5 lladdr 94:51:3d:13:9a:35 dev lan0 nud stale") ||
              !tests::run("ip neigh add 192.0.2.6 lladdr 02:00:00:00:00:06 dev lan0 nud stale"))
            return "no neighbours";
          if (!home.until([&] {
                return home.name_at("192.0.2.5") == "tv" && home.name_at("2001:db8::5") == "tv" &&
                       home.name_at("192.0.2.6") == "02:00:00:00:00:06";
              }))
            return "not all were seen: " + home.name_at("192.0.2.5") + ", " + home.name_at("2001:db8::5") + ", " +
                   home.name_at("192.0.2.6");
          const auto rosters = home.rosters.size();
          home.keeper->saw_client(at("192.0.2.6"));     // known
          home.keeper->saw_client(at("198.51.100.1"));  // behind another router
          home.keeper->saw_client(at("127.0.0.1"));
          settle(home.loop);
          if (home.rosters.size() != rosters) return "a look that told nothing new made a roster";
          return "";
        }) == "");
}

TEST_CASE("routers on the way out are no devices of the LAN, where the operator has said which interfaces are its") {
  CHECK(tests::in_small_network([]() -> std::string {
          for (const char* command :
               {"ip link add wan0 type veth peer name wan1", "ip link set wan0 up", "ip link set wan1 up",
                "ip address add 198.51.100.2/24 dev wan0", "ip route add default via 198.51.100.1",
                "ip link add lan2 type veth peer name lan3", "ip link set lan2 up",
                "ip neigh add 198.51.100.1 lladdr 02:00:00:00:00:01 dev wan0 nud permanent",
                "ip neigh add 192.0.2.5 lladdr 02:00:00:00:00:05 dev lan0 nud permanent",
                "ip neigh add 192.168.9.5 lladdr 02:00:00:00:00:09 dev lan2 nud permanent"})
            if (!tests::run(command)) return std::string("not done: ") + command;
          const auto are_known = [](Home& home) {
            return home.name_at("192.0.2.5") == "02:00:00:00:00:05" &&
                   home.name_at("192.168.9.5") == "02:00:00:00:00:09";
          };
          Home home;
          home.keeper->configure({}, {}, {});
          home.keeper->discover({.hears_announcements = false, .interfaces = {"lan0"}, .zones = {}});
          if (!home.until([&] { return are_known(home); })) return "not all were seen";
          if (home.name_at("198.51.100.1") != "unknown") return "the router outside is a device";
          Home untold;
          untold.keeper->configure({}, {}, {});
          if (!untold.until([&] { return are_known(untold) && untold.name_at("198.51.100.1") != "unknown"; }))
            return "not all were seen where nobody said which interfaces lead to the LAN";
          return "";
        }) == "");
}

TEST_CASE("a device is called as it announces itself, and nobody as others say") {
  CHECK(tests::in_small_network([]() -> std::string {
          if (!has_private_network()) return "no private network";
          if (!tests::run("ip neigh add 192.168.7.2 lladdr 02:00:00:00:00:07 dev lan0 nud permanent") ||
              !tests::run("ip neigh add 192.168.7.9 lladdr 02:00:00:00:00:09 dev lan0 nud permanent"))
            return "no neighbours";
          Home home;
          home.keeper->configure({}, {}, {});
          const auto name_at = [&](const char* address) { return home.keeper->current()->identify(at(address)).name; };
          if (!home.until([&] { return name_at("192.168.7.9") == "02:00:00:00:00:09"; })) return "not seen";
          home.keeper->discover({.hears_announcements = true, .interfaces = {"lan0"}, .zones = {}});
          if (!home.keeper->deafness().empty()) return home.keeper->deafness();
          if (!send_v4(announcement("evil.local", {192, 168, 7, 9}), mdns_port)) return "nothing was sent";
          if (!send_v4(announcement("Speaker.local"), mdns_port)) return "nothing was sent";
          if (!home.until([&] { return name_at("192.168.7.2") == "Speaker"; })) return name_at("192.168.7.2");
          if (name_at("192.168.7.9") != "02:00:00:00:00:09") return "another was named: " + name_at("192.168.7.9");
          const auto is_saved = [&] {
            return content_of(home.folder / "state" / "devices.json").find("Speaker") != std::string::npos;
          };
          if (!home.until(is_saved)) return "it was not saved";
          home.start();
          home.keeper->configure({}, {}, {});
          return name_at("192.168.7.2") == "Speaker" ? "" : "it was not remembered";
        }) == "");
}

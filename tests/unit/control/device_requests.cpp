#include "control/device_requests.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using nlohmann::json;

namespace {

constexpr WallTime noon{std::chrono::seconds(1'800'000'000)};

struct Desk {
  tests::TemporaryFolder folder;
  std::string complaint, changed;
  DeviceBook book{folder / "book", complaint};
  LockAlarms alarms;
  std::shared_ptr<const device::Roster> roster = [] {
    device::RosterBuilder builder;
    device::DeviceSettings shy;
    shy.name = "shy";
    shy.addresses = {*IpPrefix::parse("192.168.1.9")};
    shy.log = device::LogChoice::anonymous;
    builder.add_device(shy);
    builder.add_sighting({*IpAddress::parse("192.168.1.30"), *device::MacAddress::parse("5e:11:22:33:44:01"), "tv"},
                         "");
    return builder.build();
  }();

  json ask(json request) {
    changed.clear();
    return answer_device_request(request, *roster, noon, book, alarms, changed);
  }
};

}  // namespace

TEST_CASE("A device is shown with what is known and said of it") {
  Desk desk;
  const json shown = desk.ask({{"ask", "device.show"}, {"device", "192.168.1.30"}});
  CHECK(shown["device"]["name"] == "tv");
  CHECK(shown["device"]["macs"][0]["made_up"] == true);
  CHECK(shown["device"]["configured"] == false);
  CHECK_FALSE(shown.contains("book"));
  CHECK(desk.changed == "");
}

TEST_CASE("Learned, locked, alarmed and unlocked") {
  Desk desk;
  const json learned = desk.ask({{"ask", "device.learn"}, {"device", "tv"}, {"seconds", 3'600}});
  CHECK(learned["book"]["learning"]["until"] == 1'800'003'600);
  CHECK(desk.changed == "tv is being learned.");
  const json locked = desk.ask({{"ask", "device.lock"}, {"device", "tv"}, {"subtrees", {"maker.example"}}});
  CHECK(locked["book"]["lock"]["subtrees"] == json::array({"maker.example"}));
  CHECK(desk.changed == "tv is locked.");
  (void)desk.alarms.note("tv", LockAlarms::Kind::name, "evil.example", true, noon);
  CHECK(desk.ask({{"ask", "device.show"}, {"device", "tv"}})["alarms"][0]["name"] == "evil.example");
  CHECK(to_json(desk.book, desk.alarms)[0]["alarms"] == 1);
  CHECK(to_json(desk.book, desk.alarms)[0]["lock"]["subtrees"] == 1);
  CHECK(desk.ask({{"ask", "device.unlock"}, {"device", "tv"}})["unlocked"] == true);
  CHECK(desk.alarms.of("tv").empty());
  CHECK(desk.ask({{"ask", "device.unlock"}, {"device", "tv"}})["unlocked"] == false);
  CHECK(desk.changed == "");
}

TEST_CASE("What the book says of a device that has gone can be taken back") {
  Desk desk;
  (void)desk.ask({{"ask", "device.lock"}, {"device", "tv"}, {"names", {"a.example"}}});
  desk.roster = std::make_shared<device::Roster>();
  CHECK(desk.ask({{"ask", "device.lock"}, {"device", "tv"}, {"names", {"b.example"}}}).contains("error"));
  CHECK(desk.ask({{"ask", "device.show"}, {"device", "tv"}})["book"]["device"] == "tv");
  CHECK(desk.ask({{"ask", "device.unlock"}, {"device", "tv"}})["unlocked"] == true);
  CHECK(desk.ask({{"ask", "device.unlock"}, {"device", "tv"}}).contains("error"));
}

TEST_CASE("What would not do what it seems to is warned of") {
  Desk desk;
  CHECK(desk.ask({{"ask", "device.learn"}, {"device", "shy"}, {"seconds", 60}}).contains("warning"));
  CHECK(desk.ask({{"ask", "device.lock"}, {"device", "shy"}, {"names", {"a.example"}}}).contains("warning"));
  CHECK(desk.ask({{"ask", "device.learn"}, {"device", "tv"}, {"seconds", 0}}).contains("error"));
  CHECK(desk.ask({{"ask", "device.dance"}, {"device", "tv"}}).contains("error"));
  CHECK(desk.ask({{"ask", "device.separate"}, {"device", "tv"}, {"mac", "x"}}).contains("error"));
}

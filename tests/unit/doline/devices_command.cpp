#include "doline/devices_command.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "doline/exit_status.h"
#include "doline/log_command.h"
#include "unit/querylog/day.h"

using namespace doline;
using nlohmann::json;
using querylog::samples::address;
using querylog::samples::Day;
using querylog::samples::morning;

namespace {

const geo::ResolverBook& resolvers() {
  static const geo::ResolverBook book = geo::ResolverBook::read(
                                            "address,operator,country,protocols,hostname,note\n"
                                            "114.114.114.114,114DNS,CN,plain,,\n")
                                            .book;
  return book;
}

struct Said {
  int status = -1;
  std::string out, err;
};

Said devices(const Day& day, bool as_json = false) {
  std::ostringstream out, err;
  const int status = run_devices({.database = day.file, .history = {}, .json = as_json}, resolvers(), device::Roster(),
                                 day.clock, out, err);
  return {status, out.str(), err.str()};
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("doline devices tells every device seen, and whom it meant to ask") {
  ::setenv("TZ", "UTC0", 1);
  Day day;
  day.household_asks();
  const Said table = devices(day);
  CHECK(table.status == exit_ok);
  for (const char* part : {"DEVICE", "MAC", "VENDOR", "ADDRESSES", "FIRST SEEN (UTC)", "LAST SEEN", "QUERIES",
                           "INTERCEPTED", "MEANT TO ASK", "wyze-base", "94:51:3d:13:9a:35", "Wyze Labs",
                           "192.168.50.104", "fd00::104", "2026-11-25 07:00:00", "2026-11-25 07:02:00",
                           "2x 114.114.114.114 (114DNS, CN)", "1x 2400:3200::1", "(anonymous)"}) {
    INFO(std::string(part));
    CHECK(table.out.find(part) != std::string::npos);
  }
}

TEST_CASE("doline devices --json is an object a line") {
  Day day;
  day.household_asks();
  std::istringstream lines(devices(day, true).out);
  std::vector<json> objects;
  for (std::string line; std::getline(lines, line);) objects.push_back(json::parse(line));
  REQUIRE(objects.size() == 4);
  CHECK(objects[0]["device"].is_null());
  CHECK(objects[3]["device"] == "wyze-base");
  CHECK(objects[3]["mac"] == "94:51:3d:13:9a:35");
  CHECK(objects[3]["vendor"] == "Wyze Labs");
  CHECK(objects[3]["groups"] == json::array({"cameras"}));
  CHECK(objects[3]["addresses"].size() == 2);
  CHECK(objects[3]["first_seen"] == "2026-11-25T07:00:00.000000Z");
  CHECK(objects[3]["last_seen"] == "2026-11-25T07:02:00.000000Z");
  CHECK(objects[3]["queries"] == 3);
  CHECK(objects[3]["intercepted"] == 3);
  CHECK(objects[3]["not_forwarded"] == 1);
  CHECK(objects[3]["meant_to_ask"] ==
        json::array({{{"address", "114.114.114.114"},
                      {"port", 53},
                      {"known_as", {{"operator", "114DNS"}, {"country", "CN"}}},
                      {"queries", 2}},
                     {{"address", "2400:3200::1"}, {"port", 53}, {"known_as", nullptr}, {"queries", 1}}}));
}

TEST_CASE("a device of many addresses takes a few lines, and says how many more there are") {
  Day day;
  for (int number = 0; number < 20; ++number)
    day.ask(morning + milliseconds(number), "10.9.9." + std::to_string(number), "www.example.com");
  day.writer->flush();
  const Said table = devices(day);
  CHECK(count(table.out, "10.9.9.") == 5);
  CHECK(table.out.find("... 15 more") != std::string::npos);
}

TEST_CASE("no device, and no database, have words of their own") {
  Day day;
  day.writer->flush();
  const Said none = devices(day);
  CHECK(none.status == exit_no);
  CHECK(none.err == "No device has asked anything yet: there is none in " + day.file.string() + ".\n");
  DevicesArguments arguments;
  arguments.database = day.folder / "none.db";
  std::ostringstream out, err;
  CHECK(run_devices(arguments, resolvers(), device::Roster(), day.clock, out, err) == exit_no_input);
  CHECK(err.str().find("doline devices: ") == 0);
}

TEST_CASE("what a device says of itself does not reach the terminal as it is") {
  querylog::DeviceSummary device;
  device.name = "\x1b[31mcamera\n";
  device.hostname = "\xff";
  device.vendor = "\x07";
  device.first_seen = device.last_seen = morning;
  const std::string line = to_json(device, resolvers());
  for (const char letter : line) REQUIRE((letter >= 0x20 && letter < 0x7f));
  CHECK(json::parse(line)["device"] == device.name);
}

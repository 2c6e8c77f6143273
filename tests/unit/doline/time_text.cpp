#include "doline/time_text.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>

using namespace doline;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

/// Local time is what $TZ says; POSIX rules, so that no table of zones is needed.
class Zone {
 public:
  explicit Zone(const char* rules) { set(rules); }
  ~Zone() { set("UTC0"); }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  static void set(const char* rules) {
    ::setenv("TZ", rules, 1);
    ::tzset();
  }
};
constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";

/// 2026-11-25T07:00:00Z
constexpr WallTime morning{seconds(1'795'590'000)};

}  // namespace

TEST_CASE("a length of time means that long ago") {
  CHECK(parse_time("90s", morning) == morning - seconds(90));
  CHECK(parse_time("15m", morning) == morning - minutes(15));
  CHECK(parse_time("24h", morning) == morning - hours(24));
  CHECK(parse_time("7d", morning) == morning - hours(7 * 24));
  CHECK(parse_time("2w", morning) == morning - hours(14 * 24));
  CHECK(parse_time("0s", morning) == morning);
}

TEST_CASE("a length of time is a sum of numbers with their units") {
  CHECK(parse_duration("1h30m") == minutes(90));
  CHECK(parse_duration("1w1d") == hours(8 * 24));
  for (const char* text : {"", "1", "h", "1h30", "1h 30m", "1.5h", "-1h", "99999999s"})
    CHECK_FALSE(parse_duration(text).has_value());
}

TEST_CASE("a date is local where it does not say otherwise") {
  const Zone zone(berlin);
  CHECK(parse_time("2026-11-25T08:00", morning) == morning);
  CHECK(parse_time("2026-11-25 08:00:00", morning) == morning);
  CHECK(parse_time("2026-11-25", morning) == morning - hours(8));
  CHECK(parse_time("2026-07-01T02:00", morning) == parse_time("2026-07-01T00:00Z", morning));
  CHECK(parse_time("2026-11-25T07:00Z", morning) == morning);
  CHECK(parse_time("2026-11-25T09:30+02:30", morning) == morning);
  CHECK(parse_time("2026-11-25T02:00-0500", morning) == morning);
  CHECK(parse_time("2026-11-25T02:00-05", morning) == morning);
  CHECK(parse_time("2026-11-25T07:00:00.25Z", morning) == morning + milliseconds(250));
  CHECK(parse_time("2026-11-25T07:00:00.000001Z", morning) == morning + microseconds(1));
}

TEST_CASE("today and yesterday begin at local midnight, also over a change of the clocks") {
  const Zone zone(berlin);
  CHECK(parse_time("now", morning) == morning);
  CHECK(parse_time("today", morning) == morning - hours(8));
  CHECK(parse_time("yesterday", morning) == morning - hours(32));
  const WallTime changed = *parse_time("2026-03-29T12:00", morning);
  CHECK(parse_time("today", changed) == changed - hours(11));
  CHECK(parse_time("yesterday", changed) == changed - hours(35));
}

TEST_CASE("what is no time is none") {
  for (const char* text : {"",
                           "h",
                           "24",
                           "24x",
                           "-1h",
                           "1.5h",
                           "24h ",
                           " 24h",
                           "12345678h",
                           "tomorrow",
                           "2026",
                           "2026-11",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-02-30",
                           "2026-11-00",
                           "2026-11-32",
                           "1969-12-31",
                           "2026-11-25T",
                           "2026-11-25T07",
                           "2026-11-25T7:00",
                           "2026-11-25T24:00",
                           "2026-11-25T07:60",
                           "2026-11-25T07:00:61",
                           "2026-11-25T07:00.5",
                           "2026-11-25T07:00:00.",
                           "2026-11-25T07:00:00.1234567Z",
                           "2026-11-25T07:00ZZ",
                           "2026-11-25T07:00+",
                           "2026-11-25T07:00+1",
                           "2026-11-25T07:00+01:",
                           "2026-11-25T07:00+24:00",
                           "2026-11-25x07:00",
                           "2026-11-25T07:00 Z"}) {
    INFO(std::string(text));
    CHECK_FALSE(parse_time(text, morning).has_value());
  }
}

TEST_CASE("times are written for machines in UTC, to the microsecond") {
  CHECK(to_utc_text(morning) == "2026-11-25T07:00:00.000000Z");
  CHECK(to_utc_text(morning + microseconds(42)) == "2026-11-25T07:00:00.000042Z");
  CHECK(to_utc_text(WallTime(microseconds(-1))) == "1969-12-31T23:59:59.999999Z");
  CHECK(parse_time(to_utc_text(morning + microseconds(123'456)), morning) == morning + microseconds(123'456));
}

TEST_CASE("times are written for people by their own clock, whose name is told") {
  const Zone zone(berlin);
  CHECK(to_local_text(morning) == "2026-11-25 08:00:00");
  CHECK(local_zone(morning) == "CET");
  CHECK(local_zone(*parse_time("2026-07-01", morning)) == "CEST");
}

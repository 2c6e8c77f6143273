#include "control/lock_alarms.h"

#include <doctest/doctest.h>

#include <string>

using namespace doline;
using namespace doline::control;
using News = LockAlarms::News;

namespace {

constexpr WallTime noon{std::chrono::seconds(1'800'000'000)};

using enum LockAlarms::Kind;

}  // namespace

TEST_CASE("A name is news once a device, and again when it is refused for good") {
  LockAlarms alarms;
  CHECK(alarms.note("tv", name, "a.example", false, noon) == News::alarm);
  CHECK(alarms.note("tv", name, "a.example", false, noon) == News::known);
  CHECK(alarms.note("tv", name, "a.example", true, noon + std::chrono::hours(1)) == News::alarm);
  CHECK(alarms.note("phone", name, "a.example", true, noon) == News::alarm);
  REQUIRE(alarms.of("tv").size() == 2);
  CHECK(alarms.of("tv")[0].first == noon);
  alarms.forget("tv");
  CHECK(alarms.of("tv").empty());
  CHECK(alarms.of("phone").size() == 1);
}

TEST_CASE("Names without end are not kept without end") {
  LockAlarms alarms;
  for (std::size_t i = 1; i < lock_alarms_max; ++i)
    CHECK(alarms.note("tv", name, "n" + std::to_string(i) + ".example", true, noon) == News::alarm);
  CHECK(alarms.note("tv", name, "last.example", true, noon) == News::last_alarm);
  CHECK(alarms.note("tv", name, "more.example", true, noon) == News::known);
  CHECK(alarms.note("tv", connection, "tcp 198.51.100.7 port 443", true, noon) == News::alarm);
  CHECK(alarms.of("tv").size() == lock_alarms_max + 1);
}

#include "querylog/recent_answers.h"

#include "unit/querylog/day.h"

using namespace doline;
using namespace doline::querylog;
using samples::Day;
using samples::morning;

TEST_CASE("what devices were told is read back newest first, of some or of all, and not from long ago") {
  Day day;
  day.household_asks();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  const auto recalled = [&](std::vector<device::MacAddress> macs, WallTime now) {
    std::vector<RecentAnswer> all;
    REQUIRE(recall_answers(*reader, std::move(macs), now, [&](const RecentAnswer& answer) {
      all.push_back(answer);
      return true;
    }));
    return all;
  };
  const auto all = recalled({}, morning + std::chrono::hours(1));
  REQUIRE(all.size() > 1);
  for (std::size_t at = 0; at < all.size(); ++at) {
    CHECK_FALSE(all[at].addresses.empty());
    if (at > 0) CHECK(all[at].time <= all[at - 1].time);
  }
  REQUIRE(all.back().mac);
  const auto of_one = recalled({*all.back().mac}, morning + std::chrono::hours(1));
  CHECK(of_one.size() < all.size());
  for (const RecentAnswer& answer : of_one) CHECK(answer.mac == all.back().mac);
  CHECK(recalled({}, morning + recent_answers_age + std::chrono::hours(24)).empty());

  int taken = 0;
  REQUIRE(recall_answers(*reader, {}, morning + std::chrono::hours(1), [&](const RecentAnswer&) {
    ++taken;
    return false;
  }));
  CHECK(taken == 1);
}

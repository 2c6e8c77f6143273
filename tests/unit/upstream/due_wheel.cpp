#include "upstream/due_wheel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "seeded.h"

namespace doline::upstream {
namespace {

const MonotonicTime noon{std::chrono::hours(1'000)};

std::vector<DueWheel::Item> take(DueWheel& wheel, MonotonicTime now) {
  std::vector<DueWheel::Item> items;
  wheel.take_due(now, [&](DueWheel::Item item) {
    items.push_back(item);
    return true;
  });
  return items;
}
using Items = std::vector<DueWheel::Item>;

TEST_CASE("what is due is taken once, not early and at most a tick late") {
  DueWheel wheel;
  CHECK_FALSE(wheel.next().has_value());
  wheel.set(3, noon + milliseconds(400), noon);
  REQUIRE(wheel.next().has_value());
  CHECK(*wheel.next() >= noon + milliseconds(400));
  CHECK(*wheel.next() < noon + milliseconds(400) + DueWheel::tick);
  CHECK(take(wheel, noon + milliseconds(399)).empty());
  CHECK(take(wheel, noon + milliseconds(400) + DueWheel::tick) == Items{3});
  CHECK(take(wheel, noon + seconds(10)).empty());
  CHECK_FALSE(wheel.next().has_value());
}

TEST_CASE("a time can be changed and cleared") {
  DueWheel wheel;
  for (DueWheel::Item item = 0; item < 5; ++item) wheel.set(item, noon + milliseconds(100), noon);
  wheel.set(1, noon + milliseconds(300), noon);
  wheel.clear(2);
  wheel.clear(2);
  wheel.clear(77);
  Items due = take(wheel, noon + milliseconds(200));
  std::sort(due.begin(), due.end());
  CHECK(due == Items{0, 3, 4});
  CHECK(take(wheel, noon + milliseconds(310)) == Items{1});
}

TEST_CASE("after a pause of any length it goes on, and says no time that is long past") {
  DueWheel wheel;
  for (const auto pause : {milliseconds(0), milliseconds(5), milliseconds(3'000), milliseconds(10'000'000)}) {
    const MonotonicTime now = noon + pause;
    wheel.set(0, now + milliseconds(10), now);
    CHECK(*wheel.next() > now);
    CHECK(take(wheel, now + milliseconds(15)) == Items{0});
  }
}

TEST_CASE("what is taken may set and clear others, and end the taking") {
  DueWheel wheel;
  for (DueWheel::Item item = 0; item < 4; ++item) wheel.set(item, noon, noon);
  int calls = 0;
  wheel.take_due(noon + milliseconds(10), [&](DueWheel::Item item) {
    ++calls;
    wheel.set(item, noon + milliseconds(15), noon);
    for (DueWheel::Item other = 0; other < 4; ++other)
      if (other != item) wheel.set(other, noon + seconds(9), noon);
    return true;
  });
  CHECK(calls == 1);
  CHECK(take(wheel, noon + milliseconds(20)).size() == 1);
  wheel.set(7, noon, noon + milliseconds(20));  // already past: then as soon as can be
  CHECK(take(wheel, noon + milliseconds(30)) == Items{7});
  calls = 0;
  wheel.take_due(noon + seconds(10), [&](DueWheel::Item) {
    ++calls;
    return false;
  });
  CHECK(calls == 1);
}

TEST_CASE("with any times and in any order the wheel says what an obvious list says") {
  tests::Seeded random;
  INFO(random.replay());
  DueWheel wheel;
  std::map<DueWheel::Item, MonotonicTime> due;
  MonotonicTime now = noon;
  for (int step = 0; step < 20'000; ++step) {
    now += microseconds(random.below(random.once_in(50) ? 5'000'000 : 3'000));
    for (const DueWheel::Item item : take(wheel, now)) {
      REQUIRE(due.contains(item));
      REQUIRE(due[item] <= now);
      due.erase(item);
    }
    for (const auto& [item, at] : due) REQUIRE(at + DueWheel::tick > now);
    REQUIRE(wheel.next().has_value() == !due.empty());
    if (!due.empty()) {
      const auto first =
          std::min_element(due.begin(), due.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
      REQUIRE(*wheel.next() < first->second + 2 * DueWheel::tick);
    }
    const auto item = static_cast<DueWheel::Item>(random.below(100));
    if (random.once_in(3)) {
      wheel.clear(item);
      due.erase(item);
    } else {
      due[item] = now + microseconds(random.below(random.once_in(10) ? 60'000'000 : 1'000'000));
      wheel.set(item, due[item], now);
    }
  }
}

}  // namespace
}  // namespace doline::upstream

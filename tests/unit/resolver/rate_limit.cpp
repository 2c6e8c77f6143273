#include "resolver/rate_limit.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace doline;
using namespace doline::resolver;

namespace {

const MonotonicTime start{std::chrono::hours(1'000)};

int admitted(RateTally& tally, std::uint64_t who, MonotonicTime now, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += tally.admit(who, now) ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("as many as the limit may come at once, then as time passes") {
  RateTally tally({300, seconds(1)}, 7);
  CHECK(admitted(tally, 1, start, 1'000) == 300);
  CHECK(admitted(tally, 2, start, 1'000) == 300);
  CHECK(admitted(tally, 1, start + milliseconds(100), 1'000) == 30);
  CHECK(admitted(tally, 1, start + seconds(60), 1'000) == 300);
}

TEST_CASE("a limit over a minute lets one come each part of it") {
  RateTally tally({6, seconds(60)}, 7);
  CHECK(admitted(tally, 1, start, 100) == 6);
  CHECK(admitted(tally, 1, start + seconds(9), 100) == 0);
  CHECK(admitted(tally, 1, start + seconds(10), 100) == 1);
}

TEST_CASE("an IPv6 host is its /64, an IPv4 host its address") {
  const auto bucket = [](const char* text) { return RateTally::bucket_of(*IpAddress::parse(text)); };
  CHECK(bucket("2001:db8::1") == bucket("2001:db8::ffff:1"));
  CHECK(bucket("2001:db8::1") != bucket("2001:db8:0:1::1"));
  CHECK(bucket("192.0.2.1") != bucket("192.0.2.2"));
}

TEST_CASE("workers that count together let no more pass than one") {
  RateTally tally({1'000, seconds(1)}, 7);
  std::atomic<int> count{0};
  CHECK(tally.admit(1, start));
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) workers.emplace_back([&] { count += admitted(tally, 1, start, 1'000); });
  for (std::thread& worker : workers) worker.join();
  CHECK(count == 999);
}

#include "querylog/ring.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;

namespace {

/// Everything that a record holds, made from one number, so that the far end can tell whether it came whole.
Record record_of(std::uint64_t number) {
  Record record;
  record.time = WallTime(microseconds(static_cast<std::int64_t>(number) - 5));
  record.generation = number * 3;
  record.device.value = static_cast<std::uint32_t>(number % 70'000);
  record.client = IpAddress::v4(10, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number));
  if (number % 3 == 0) {
    record.destination = {{samples::address("2400:3200::1"), static_cast<std::uint16_t>(number)},
                          device::DestinationSource::conntrack};
  }
  record.transport = static_cast<Transport>(number % 5);
  record.qname = samples::name("n" + std::to_string(number) + (number % 7 == 0 ? ".Example.COM" : ".test"));
  record.qtype = static_cast<dns::RecordType>(number % 300);
  record.verdict = static_cast<VerdictKind>(number % 8);
  record.rule.value = static_cast<std::uint16_t>(number);
  record.list_set = static_cast<std::uint32_t>(number * 5);
  record.has_listing = number % 2 == 0;
  record.has_observed = number % 5 == 0;
  record.observed_rule.value = static_cast<std::uint16_t>(number + 1);
  record.observed = static_cast<VerdictKind>((number + 3) % 8);
  record.source = static_cast<Source>(number % 5);
  record.code = static_cast<dns::ResponseCode>(number % 24);
  if (number % 4 == 0) record.upstream = {samples::address("9.9.9.9"), static_cast<std::uint16_t>(number)};
  record.latency_us = static_cast<std::uint32_t>(number * 7);
  record.dnssec = static_cast<Dnssec>(number % 2);
  record.log = static_cast<device::LogChoice>(number % 3);
  return record;
}

std::vector<std::uint8_t> response_of(std::uint64_t number) {
  return std::vector<std::uint8_t>(static_cast<std::size_t>(number * 37 % 300), static_cast<std::uint8_t>(number));
}

bool same(const Record& left, const Record& right) {
  return left.time == right.time && left.generation == right.generation && left.device == right.device &&
         left.client == right.client && left.destination == right.destination && left.transport == right.transport &&
         left.qname == right.qname && left.qname.to_string() == right.qname.to_string() && left.qtype == right.qtype &&
         left.verdict == right.verdict && left.rule == right.rule && left.list_set == right.list_set &&
         left.has_listing == right.has_listing && left.has_observed == right.has_observed &&
         left.observed_rule == right.observed_rule && left.observed == right.observed && left.source == right.source &&
         left.code == right.code && left.upstream == right.upstream && left.latency_us == right.latency_us &&
         left.dnssec == right.dnssec && left.log == right.log;
}

}  // namespace

TEST_CASE("a ring that is drained before much has come uses its beginning only") {
  Ring ring(1 << 20);
  std::uintptr_t first = UINTPTR_MAX, last = 0;
  for (std::uint64_t number = 0; number < 20'000; ++number) {
    REQUIRE(ring.push(record_of(number), std::vector<std::uint8_t>(100, 1)));
    ring.drain([&](const Record& record, dns::Octets response) {
      CHECK(same(record, record_of(number)));
      first = std::min(first, reinterpret_cast<std::uintptr_t>(response.data()));
      last = std::max(last, reinterpret_cast<std::uintptr_t>(response.data() + response.size()));
    });
  }
  CHECK(ring.pushed() == 20'000);
  CHECK(last - first < (64u << 10));
}

TEST_CASE("a ring hands over what was pushed, oldest first, whole, however often it wraps") {
  std::size_t octets = 0;
  SUBCASE("of one stretch") {
    octets = 4096;
  }
  SUBCASE("of several, which it begins anew when it is empty") {
    octets = 1 << 18;
  }
  Ring ring(octets);
  std::uint64_t pushed = 0, drained = 0;
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    for (unsigned count = random() % 12; count > 0; --count) {
      if (!ring.push(record_of(pushed), response_of(pushed))) break;
      ++pushed;
    }
    if (random() % 2 == 0) continue;
    ring.drain([&](const Record& record, dns::Octets response) {
      REQUIRE(same(record, record_of(drained)));
      const auto expected = response_of(drained);
      REQUIRE(std::equal(response.begin(), response.end(), expected.begin(), expected.end()));
      ++drained;
    });
    CHECK(ring.used() == 0);
  }
  ring.drain([&](const Record&, dns::Octets) { ++drained; });
  CHECK(drained == pushed);
  CHECK(pushed > 1000);
  CHECK(ring.pushed() == pushed);
}

TEST_CASE("a full ring refuses and counts, and takes again once it is drained") {
  Ring ring(ring_octets_min);
  std::uint64_t taken = 0;
  while (ring.push(record_of(taken), {})) ++taken;
  CHECK(taken > 3);
  CHECK(ring.dropped() == 1);
  CHECK_FALSE(ring.push(record_of(0), {}));
  CHECK(ring.dropped() == 2);
  CHECK(ring.drain([](const Record&, dns::Octets) {}) == taken);
  CHECK(ring.push(record_of(0), {}));
  CHECK(ring.pushed() == taken + 1);
}

TEST_CASE("a record that can never fit is refused, not waited for") {
  Ring ring(ring_octets_min);
  const std::vector<std::uint8_t> large(ring_octets_min);
  CHECK_FALSE(ring.push(record_of(1), large));
  CHECK(ring.dropped() == 1);
  CHECK(ring.push(record_of(1), {}));
}

TEST_CASE("a typical record takes less than 200 octets") {
  Ring ring(1 << 20);
  auto record = samples::record(device::Roster(), samples::morning, "192.168.50.104", "api.wyzecam.com");
  const auto response =
      samples::response("api.wyzecam.com", dns::RecordType::a, {samples::a("api.wyzecam.com", "192.0.2.1")});
  REQUIRE(ring.push(record, response));
  MESSAGE("octets in the ring: ", ring.used());
  CHECK(ring.used() < 200);
}

TEST_CASE("two threads: every record comes once, whole and in order, or is counted as dropped") {
  Ring ring(1 << 14);
  constexpr std::uint64_t offered = 200'000;
  std::atomic<bool> is_done{false};
  std::uint64_t drained = 0, broken = 0;
  std::vector<std::uint8_t> was_pushed(offered);
  std::vector<std::uint64_t> came;
  came.reserve(offered);
  std::thread consumer([&] {
    const auto take = [&](const Record& record, dns::Octets response) {
      const auto number = record.generation / 3;
      const auto expected = response_of(number);
      if (!same(record, record_of(number)) ||
          !std::equal(response.begin(), response.end(), expected.begin(), expected.end()))
        ++broken;
      came.push_back(number);
      ++drained;
    };
    while (!is_done) ring.drain(take);
    ring.drain(take);
  });
  for (std::uint64_t number = 0; number < offered; ++number)
    was_pushed[number] = ring.push(record_of(number), response_of(number)) ? 1 : 0;
  is_done = true;
  consumer.join();
  CHECK(broken == 0);
  CHECK(ring.pushed() + ring.dropped() == offered);
  CHECK(drained == ring.pushed());
  std::vector<std::uint64_t> expected;
  for (std::uint64_t number = 0; number < offered; ++number)
    if (was_pushed[number] != 0) expected.push_back(number);
  CHECK(came == expected);
}

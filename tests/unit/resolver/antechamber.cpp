#include "resolver/antechamber.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

namespace doline::resolver {
namespace {

const std::array<std::uint8_t, 12> header{};

/// Nobody is restricted: what holds a response here is a rule's delay.
struct House {
  bool hold(std::uint16_t delay_ms) {
    return antechamber.hold(snapshot, {.route = {}, .client = {}, .record = {}, .received = now}, header, delay_ms,
                            now);
  }
  std::size_t send_due() {
    std::size_t left = 0;
    antechamber.send_due(now,
                         [&](HeldBack::Entry&, dns::Octets response) { left += response.size() == header.size(); });
    return left;
  }

  Snapshot snapshot;
  MonotonicTime now{std::chrono::hours(1'000)};
  std::vector<MonotonicTime> wakes;
  Statistics statistics;
  Antechamber antechamber{[](const redirect::Admission&) { return true; },
                          [this](MonotonicTime at) { wakes.push_back(at); }, statistics};
};

TEST_CASE("a rule's delay holds a response until then, and says when to come back") {
  House house;
  REQUIRE(house.hold(200));
  CHECK(house.statistics.held_back == 1);
  CHECK(house.wakes == std::vector{house.now + milliseconds(200)});
  house.now += milliseconds(150);
  CHECK(house.send_due() == 0);
  house.now += milliseconds(60);
  CHECK(house.send_due() == 1);
  CHECK(house.statistics.held_back == 0);
}

TEST_CASE("what nothing keeps leaves at once, and so does what finds no room") {
  House house;
  CHECK_FALSE(Antechamber::may_hold(house.snapshot, {}, 0));
  CHECK(Antechamber::may_hold(house.snapshot, {}, 5));
  CHECK_FALSE(house.hold(0));
  for (std::size_t i = 0; i < held_back_max; ++i) REQUIRE(house.hold(10));
  CHECK_FALSE(house.hold(10));
  CHECK(house.statistics.held_back == held_back_max);
  house.now += milliseconds(20);
  CHECK(house.send_due() == held_back_max);
}

TEST_CASE("answers of a warden that nobody waits for are passed over") {
  House house;
  house.antechamber.hear({.ticket = 7, .is_admitted = true}, house.now, [](HeldBack::Entry&, dns::Octets) {});
  CHECK(house.statistics.admitted == 0);
}

}  // namespace
}  // namespace doline::resolver

#include "flows/batch.h"

#include <doctest/doctest.h>

#include "packets.h"

using namespace doline;
using namespace doline::flows;
using namespace doline::flows::samples;

namespace {

LoggedPacket logged(std::size_t octets) {
  LoggedPacket packet;
  packet.time = WallTime(microseconds(1'795'590'000'123'456));
  packet.mac = *device::MacAddress::parse("94:51:3d:13:9a:35");
  packet.interface = "home0";
  packet.rule = LoggedBy::query;
  packet.octets.assign(octets, 0x45);
  return packet;
}

TrafficReport report() {
  return {{17, {address("192.168.50.31"), 56'159}, {address("2001:db8::1"), 10'240}}, {1, 60, 2, UINT64_MAX}, true};
}

}  // namespace

TEST_CASE("a batch comes out as it went in") {
  const Batch batch{7, {logged(0), report(), logged(96)}};
  CHECK(parse_batch(write_batch(batch)) == batch);
  CHECK(parse_batch(write_batch({})) == Batch{});
}

TEST_CASE("a full batch fits its room, and one event more is not read") {
  Batch batch;
  batch.events.assign(events_per_batch, logged(redirect::query_octets_logged));
  auto octets = write_batch(batch);
  CHECK(octets.size() <= batch_octets_max);
  CHECK(parse_batch(octets) == batch);
  octets[9] = events_per_batch + 1;
  CHECK_FALSE(parse_batch(octets));
}

TEST_CASE("packets are cut where they are longer than is logged") {
  const auto parsed = parse_batch(write_batch({0, {logged(5'000)}}));
  REQUIRE(parsed);
  CHECK(std::get<LoggedPacket>(parsed->events[0]).octets.size() == redirect::query_octets_logged);
}

TEST_CASE("what is cut short or goes on is malformed") {
  auto octets = write_batch({1, {logged(40), report()}});
  for (std::size_t size = 0; size < octets.size(); ++size) CHECK_FALSE(parse_batch(std::span(octets.data(), size)));
  octets.push_back(0);
  CHECK_FALSE(parse_batch(octets));
}

#include "warden/nf_tables.h"

#include <doctest/doctest.h>

#include <string>

#include "own_network.h"

using namespace doline;
using namespace doline::tests;
using redirect::TableState;

namespace {

void nft(const std::string& script) {
  const ShellEnd end = shell("PATH=$PATH:/usr/sbin nft '" + script + "'");
  CAPTURE(end.output);
  REQUIRE(end.status == 0);
}

}  // namespace

TEST_CASE("A table is absent, plain, or its maker's") {
  if (!own_network()) return;
  warden::NfTables tables;
  CHECK(tables.state_of("doline") == TableState::absent);
  nft("table inet doline { }");
  CHECK(tables.state_of("doline") == TableState::plain);
  // Of another family: another table.
  nft("delete table inet doline ; table ip doline { }");
  CHECK(tables.state_of("doline") == TableState::absent);

  FILE* const maker = popen("PATH=$PATH:/usr/sbin nft -i 2>/dev/null", "we");
  REQUIRE(maker != nullptr);
  fputs("table inet doline { flags owner ; }\n", maker);
  fflush(maker);
  for (int tries = 0; tries < 400 && tables.state_of("doline") == TableState::absent; ++tries) usleep(25'000);
  CHECK(tables.state_of("doline") == TableState::owned);
  pclose(maker);
  CHECK(tables.state_of("doline") == TableState::absent);
}

TEST_CASE("Counters are read by their names, and there are none without a table") {
  if (!own_network()) return;
  warden::NfTables tables;
  CHECK(tables.counters() == redirect::Counters{});
  nft("table inet doline { counter udp4 { packets 7 bytes 1 } ; counter tcp6 { packets 5000000000 bytes 2 } ; counter "
      "other { packets 9 bytes 9 } ; counter unserved { packets 3 bytes 3 } ; }");
  redirect::Counters expected;
  expected.udp4 = 7;
  expected.tcp6 = 5'000'000'000;
  expected.unserved = 3;
  CHECK(tables.counters() == expected);
}

TEST_CASE("Who asked whom is read with both families, the most asked first") {
  if (!own_network()) return;
  warden::NfTables tables;
  CHECK(tables.seen() == redirect::SeenReply{});
  nft("table inet doline_seen { set seen4 { type ether_addr . ipv4_addr . inet_service ; flags dynamic,timeout ; "
      "counter "
      "; elements = { 94:51:3d:13:9a:35 . 114.114.114.114 . 53 counter packets 2 bytes 3 timeout 7d } ; } ; set seen6 "
      "{ "
      "type ether_addr . ipv6_addr . inet_service ; flags dynamic,timeout ; counter ; elements = { 94:51:3d:13:9a:35 . "
      "2400:3200::1 . 5353 counter packets 4 bytes 5 timeout 7d } ; } ; }");
  const auto camera = *device::MacAddress::parse("94:51:3d:13:9a:35");
  const redirect::SeenReply seen = tables.seen();
  REQUIRE(seen.sightings.size() == 2);
  CHECK(seen.sightings[0] == redirect::Sighting{camera, *Endpoint::parse("[2400:3200::1]:5353", 0), 4});
  CHECK(seen.sightings[1] == redirect::Sighting{camera, *Endpoint::parse("114.114.114.114:53", 0), 2});
  CHECK(seen.left_out == 0);
}

TEST_CASE("More sightings than a message holds are counted as left out") {
  if (!own_network()) return;
  std::string elements;
  for (std::size_t i = 0; i < redirect::sightings_max + 3; ++i)
    elements += (elements.empty() ? "" : ", ") + std::string("2:0:0:0:0:1 . 9.9.") + std::to_string(i >> 8) + "." +
                std::to_string(i & 255) + " . 53";
  nft("table inet doline_seen { set seen4 { type ether_addr . ipv4_addr . inet_service ; flags dynamic,timeout ; "
      "elements "
      "= { " +
      elements + " } ; } ; }");
  const redirect::SeenReply seen = warden::NfTables().seen();
  CHECK(seen.sightings.size() == redirect::sightings_max);
  CHECK(seen.left_out == 3);
}

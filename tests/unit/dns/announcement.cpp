#include "dns/announcement.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "dns/writer.h"

using namespace doline;
using namespace doline::dns;

namespace {

Name name(const char* text) {
  return *Name::parse(text);
}

constexpr auto flush = static_cast<RecordClass>(0x8001);  // IN, with the cache-flush bit

/// What a speaker says when it joins: PTR, SRV, TXT, A, AAAA, without a question.
std::vector<std::uint8_t> speaker(std::uint32_t ttl = 120) {
  std::vector<std::uint8_t> octets(1'500);
  MessageWriter writer(octets);
  writer.header(0, {.authoritative = true, .recursion_available = false}, ResponseCode::noerror);
  const Name instance = name("Living\\ Room._airplay._tcp.local"), host = name("Speaker.local");
  const std::array<std::uint8_t, 4> v4{192, 168, 1, 40};
  std::array<std::uint8_t, 16> v6{0xfe, 0x80};
  v6[15] = 0x40;
  std::vector<std::uint8_t> srv{0, 0, 0, 0, 0x1b, 0x58};
  srv.insert(srv.end(), host.wire().begin(), host.wire().end());
  const std::array<std::uint8_t, 3> txt{2, 'a', '='};
  REQUIRE(writer.record(Section::answer, name("_airplay._tcp.local"), RecordType::ptr, RecordClass::in, ttl, instance));
  REQUIRE(writer.record(Section::answer, instance, RecordType::srv, flush, ttl, Octets(srv)));
  REQUIRE(writer.record(Section::answer, instance, RecordType::txt, flush, ttl, Octets(txt)));
  REQUIRE(writer.record(Section::additional, host, RecordType::a, flush, ttl, Octets(v4)));
  REQUIRE(writer.record(Section::additional, host, RecordType::aaaa, flush, ttl, Octets(v6)));
  octets.resize(writer.size());
  return octets;
}

}  // namespace

TEST_CASE("An announcement tells hosts with addresses, and instances with hosts") {
  const auto read = read_announcement(speaker());
  REQUIRE(read.has_value());
  REQUIRE(read->hosts.size() == 2);
  CHECK(read->hosts[0].name.to_string() == "Speaker.local");
  CHECK(read->hosts[0].address == *IpAddress::parse("192.168.1.40"));
  CHECK(read->hosts[1].address == *IpAddress::parse("fe80::40"));
  REQUIRE(read->instances.size() == 2);
  CHECK_FALSE(read->instances[0].host.has_value());
  CHECK(read->instances[0].name == read->instances[1].name);
  CHECK(*read->instances[1].host == name("speaker.local"));
}

TEST_CASE("Who says goodbye announces nothing") {
  const auto read = read_announcement(speaker(0));
  REQUIRE(read.has_value());
  CHECK(read->hosts.empty());
  CHECK(read->instances.empty());
}

TEST_CASE("Queries, shortened messages and RDATA of a wrong size are faults") {
  std::vector<std::uint8_t> octets = speaker();
  CHECK(read_announcement(Octets(octets).first(11)).error() == MessageFault::too_short);
  for (std::size_t size = header_octets; size < octets.size(); ++size)
    CHECK_FALSE(read_announcement(Octets(octets).first(size)).has_value());
  octets[2] = 0;
  CHECK(read_announcement(octets).error() == MessageFault::not_a_response);
  octets[2] = 0x84 | 0x28;
  CHECK(read_announcement(octets).error() == MessageFault::opcode_unknown);

  std::vector<std::uint8_t> wrong(200);
  MessageWriter writer(wrong);
  writer.header(0, {}, ResponseCode::noerror);
  const std::array<std::uint8_t, 3> three{1, 2, 3};
  REQUIRE(writer.record(Section::answer, name("a.local"), RecordType::a, RecordClass::in, 1, Octets(three)));
  CHECK(read_announcement(Octets(wrong).first(writer.size())).error() == MessageFault::bad_rdata);
}

TEST_CASE("No more records are read than the bound") {
  std::vector<std::uint8_t> octets(60'000);
  MessageWriter writer(octets);
  writer.header(0, {}, ResponseCode::noerror);
  const std::array<std::uint8_t, 4> v4{192, 168, 1, 40};
  for (std::size_t i = 0; i < announced_records_max + 10; ++i)
    REQUIRE(writer.record(Section::answer, name("a.local"), RecordType::a, RecordClass::in, 1, Octets(v4)));
  CHECK(read_announcement(Octets(octets).first(writer.size()))->hosts.size() == announced_records_max);
}

#include "policy/answer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "dns/writer.h"

using namespace doline;
using dns::RecordType;

namespace {

struct Said {
  const char* owner;
  RecordType type;
  std::vector<std::uint8_t> rdata;
  dns::Section section = dns::Section::answer;
};

std::vector<std::uint8_t> words_of(const std::vector<Said>& records) {
  std::vector<std::uint8_t> octets(1'024);
  dns::MessageWriter writer(octets);
  writer.header(1, {}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({*dns::Name::parse("a.example"), RecordType::a, dns::RecordClass::in}));
  for (const Said& said : records)
    REQUIRE(writer.record(said.section, *dns::Name::parse(said.owner), said.type, dns::RecordClass::in, 60,
                          dns::Octets(said.rdata)));
  octets.resize(writer.size());
  return octets;
}

}  // namespace

TEST_CASE("a glance tells whether there is an answer, leads on or leads inward") {
  const auto glance = [](const std::vector<Said>& records) {
    return policy::glance_at(words_of(records), dns::Name::parse("a.example")->size());
  };
  CHECK(glance({}).is_empty);
  CHECK(glance({{"a.example", RecordType::a, {10, 0, 0, 1}, dns::Section::additional}}).is_empty);
  const Said outside{"a.example", RecordType::a, {192, 0, 2, 1}}, inside{"a.example", RecordType::a, {10, 0, 0, 1}};
  std::vector<std::uint8_t> unique_local(16);
  unique_local[0] = 0xfd;
  const Said inside6{"a.example", RecordType::aaaa, unique_local};
  const Said further{"a.example", RecordType::cname, {1, 'b', 0}}, text{"a.example", RecordType::txt, {1, 10}};
  for (const Said& one : {outside, text}) {
    const policy::Glance seen = glance({one});
    CHECK_FALSE(seen.is_empty);
    CHECK_FALSE(seen.leads_on);
    CHECK_FALSE(seen.leads_inward);
  }
  for (const Said& one : {inside, inside6}) {
    CHECK(glance({outside, text, one}).leads_inward);
    CHECK(glance({one, outside}).leads_inward);
    CHECK_FALSE(glance({one}).leads_on);
  }
  CHECK(glance({further, outside}).leads_on);
  CHECK(glance({outside, further}).leads_on);
  CHECK_FALSE(glance({further, outside}).leads_inward);
  for (const RecordType type : {RecordType::https, RecordType::svcb, RecordType::ptr})
    CHECK(glance({{"a.example", type, {1, 'b', 0}}}).leads_on);
}

TEST_CASE("a glance is kept in an octet, and an address that begins like an inward one may be none") {
  for (int bits = 0; bits < 8; ++bits) {
    const policy::Glance glance{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    const policy::Glance kept = policy::Glance::from_octet(glance.to_octet());
    CHECK(kept.is_empty == glance.is_empty);
    CHECK(kept.leads_on == glance.leads_on);
    CHECK(kept.leads_inward == glance.leads_inward);
  }
  const auto leads_inward = [](const std::string& text) {
    const IpAddress address = *IpAddress::parse(text);
    const auto octets = address.octets();
    const RecordType type = address.is_v4() ? RecordType::a : RecordType::aaaa;
    const auto words = words_of({{"a.example", type, {octets.begin(), octets.end()}}});
    return policy::glance_at(words, dns::Name::parse("a.example")->size()).leads_inward;
  };
  for (const char* text : {"0.0.0.0", "10.1.2.3", "127.0.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.1",
                           "192.168.1.1", "::", "::1", "fe80::1", "fc00::1", "fd12::1", "::ffff:10.0.0.1", "::10.0.0.1",
                           "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "2002:a00:1::"})
    CHECK_MESSAGE(leads_inward(text), text);
  for (const char* text : {"1.1.1.1", "172.15.0.1", "172.32.0.1", "192.0.2.1", "169.253.1.1", "9.9.9.9", "2001:db8::1",
                           "2a00::1", "2002:808:808::", "64:ff9b::8.8.8.8", "fec0::1"})
    CHECK_MESSAGE(!leads_inward(text), text);
}

TEST_CASE("addresses are those of A, AAAA and service hints of the Answer section, and of no other") {
  const std::vector<std::uint8_t> service{0, 1, 1, 'x', 0,   0, 1, 0, 3,   2, 'h', '2',
                                          0, 4, 0, 8,   192, 0, 2, 2, 192, 0, 2,   3};
  const auto words = words_of({{"a.example", RecordType::cname, {1, 'b', 0}},
                               {"b", RecordType::a, {192, 0, 2, 1}},
                               {"b", RecordType::https, service},
                               {"b", RecordType::aaaa, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
                               {"b", RecordType::a, {203, 0, 113, 1}, dns::Section::additional}});
  std::vector<IpAddress> addresses{IpAddress::v4(9, 9, 9, 9)};
  policy::collect_addresses(words, addresses);
  CHECK(addresses == std::vector<IpAddress>{IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 0, 2, 2),
                                            IpAddress::v4(192, 0, 2, 3), *IpAddress::parse("2001:db8::1")});
}

TEST_CASE("the longest TTL is that of the Answer section") {
  std::vector<std::uint8_t> octets(1'024);
  dns::MessageWriter writer(octets);
  writer.header(1, {}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({*dns::Name::parse("a.example"), RecordType::a, dns::RecordClass::in}));
  CHECK(policy::longest_ttl(dns::Octets(octets).first(writer.size())) == 0);
  const std::vector<std::uint8_t> address{192, 0, 2, 1};
  for (const auto& [section, ttl] : {std::pair{dns::Section::answer, 60u}, std::pair{dns::Section::answer, 70'000u},
                                     std::pair{dns::Section::answer, 5u}, std::pair{dns::Section::additional, 99'999u}})
    REQUIRE(writer.record(section, *dns::Name::parse("a.example"), RecordType::a, dns::RecordClass::in, ttl,
                          dns::Octets(address)));
  CHECK(policy::longest_ttl(dns::Octets(octets).first(writer.size())) == 70'000);
}

TEST_CASE("octets that end early give what stood before") {
  const auto words = words_of({{"a.example", RecordType::a, {192, 0, 2, 1}}});
  std::vector<IpAddress> addresses;
  for (std::size_t size = 0; size < words.size(); ++size) {
    policy::collect_addresses(dns::Octets(words).first(size), addresses);
    CHECK(addresses.empty());
  }
}

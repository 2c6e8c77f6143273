#include "upstream/random_source.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

namespace doline::upstream {

TEST_CASE("numbers do not repeat, whatever their size") {
  RandomSource random, other;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) {
    (void)random.next<std::uint16_t>();
    (void)random.next<std::uint8_t>();
    seen.insert(random.next<std::uint64_t>());
    seen.insert(other.next<std::uint64_t>());
  }
  CHECK(seen.size() == 2'000);
}

TEST_CASE("below() reaches all it may and nothing else") {
  RandomSource random;
  std::set<std::size_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(random.below(3));
  CHECK(seen == std::set<std::size_t>{0, 1, 2});
}

TEST_CASE("a name of any length is drawn whole, the longest too") {
  RandomSource random;
  CasedName drawn;
  std::string text;
  for (int labels = 0; labels < 4; ++labels) {
    for (std::size_t octets = 1; octets <= (labels == 3 ? 61u : 63u); ++octets) {
      const dns::Name name = dns::Name::parse(text + std::string(octets, 'x')).value();
      drawn.draw(name, random);
      REQUIRE(dns::Name::from_wire(drawn.wire()).value() == name);
      REQUIRE(drawn.wire().size() == name.size());
    }
    text += std::string(63, 'Y') + ".";
  }
  drawn.draw(dns::Name(), random);
  CHECK(drawn.wire().size() == 1);
}

TEST_CASE("random case changes letters only, and each both ways") {
  RandomSource random;
  const dns::Name name = dns::Name::parse("aZ-09_\\000\\@\\[\\`\\{.Example").value();
  std::set<std::string> seen;
  std::array<std::set<std::uint8_t>, 255> octets;
  for (int i = 0; i < 500; ++i) {
    CasedName drawn;
    drawn.draw(name, random);
    const dns::Name cased = dns::Name::from_wire(drawn.wire()).value();
    REQUIRE(cased == name);
    for (std::size_t at = 0; at < cased.size(); ++at) octets[at].insert(cased.wire()[at]);
    seen.insert(cased.to_string());
  }
  CHECK(seen.size() > 250);  // of 512
  for (std::size_t at = 0; at < name.size(); ++at) {
    const std::uint8_t octet = name.wire()[at];
    const bool is_letter = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z');
    CHECK(octets[at].size() == (is_letter ? 2 : 1));
    if (!is_letter) CHECK(octets[at].contains(octet));
  }
}

}  // namespace doline::upstream

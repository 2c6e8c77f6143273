#include "dns/name.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "dns/fold.h"
#include "seeded.h"

namespace doline::dns {
namespace {

Name name(std::string_view text) {
  return Name::parse(text).value();
}

Name random_name(tests::Seeded& random) {
  std::vector<std::uint8_t> wire;
  for (std::size_t labels = random.below(6); labels > 0; --labels) {
    const std::size_t octets = random.once_in(8) ? random.between(1, 63) : random.between(1, 9);
    if (wire.size() + octets + 2 > name_octets_max) break;
    wire.push_back(static_cast<std::uint8_t>(octets));
    for (std::size_t i = 0; i < octets; ++i)
      wire.push_back(random.once_in(4) ? random.octet()
                                       : static_cast<std::uint8_t>((random.once_in(2) ? 'a' : 'A') + random.below(26)));
  }
  wire.push_back(0);
  return Name::from_wire(wire).value();
}

TEST_CASE("a name is read with and without its final dot, and printed without") {
  CHECK(name("www.Example.com").to_string() == "www.Example.com");
  CHECK(name("www.Example.com.").to_string() == "www.Example.com");
  CHECK(name(".").is_root());
  CHECK(name(".").to_string() == ".");
  CHECK(name("www.example.com").size() == 17);
  CHECK(name("www.example.com").label_count() == 3);
  CHECK(Name().label_count() == 0);
}

TEST_CASE("what is no name is refused with its reason") {
  const auto fault = [](std::string_view text) { return Name::parse(text).error(); };
  CHECK(fault("") == NameFault::empty_label);
  CHECK(fault("..") == NameFault::empty_label);
  CHECK(fault("a..b") == NameFault::empty_label);
  CHECK(fault(".a") == NameFault::empty_label);
  CHECK(fault("a\\") == NameFault::bad_escape);
  CHECK(fault("a\\25") == NameFault::bad_escape);
  CHECK(fault("a\\256") == NameFault::bad_escape);
  CHECK(fault("a\\2b4") == NameFault::bad_escape);
  CHECK(fault(std::string(64, 'a')) == NameFault::label_too_long);
  CHECK(Name::parse(std::string(63, 'a')).has_value());
}

TEST_CASE("a name holds 255 octets and not one more") {
  const std::string label(49, 'a');
  const std::string five = label + "." + label + "." + label + "." + label + "." + label;  // 250 octets and the root's
  CHECK(name(five).size() == 251);
  CHECK(name(five + ".bbb").size() == 255);
  CHECK(name(five + ".bbb.").size() == 255);
  CHECK(Name::parse(five + ".bbbb").error() == NameFault::name_too_long);
  CHECK(Name::parse(five + ".b.b").has_value());
  CHECK(Name::parse(five + ".b.b.b").error() == NameFault::name_too_long);
  const Name longest = name(five + ".bbb");
  CHECK(Name::from_wire(longest.wire()).value() == longest);
  CHECK(name(longest.to_string()) == longest);
}

TEST_CASE("octets that are not printable, dots and backslashes inside labels are escaped and read back") {
  const std::uint8_t wire[] = {6, 'a', '.', '\\', 0, 0xff, ' ', 3, 'c', 'o', 'm', 0};
  const Name odd = Name::from_wire(wire).value();
  CHECK(odd.to_string() == "a\\.\\\\\\000\\255\\032.com");
  CHECK(name(odd.to_string()) == odd);
  CHECK(name("\\065bc") == name("Abc"));
}

TEST_CASE("wire form is checked octet by octet") {
  const auto fault = [](std::vector<std::uint8_t> wire) { return Name::from_wire(wire).error(); };
  CHECK(fault({}) == NameFault::truncated);
  CHECK(fault({1}) == NameFault::truncated);
  CHECK(fault({1, 'a'}) == NameFault::truncated);
  CHECK(fault({0x40, 'a', 0}) == NameFault::bad_label_type);
  CHECK(fault({0x80, 'a', 0}) == NameFault::bad_label_type);
  CHECK(fault({0xc0, 12}) == NameFault::bad_pointer);
  std::vector<std::uint8_t> longer;
  for (int i = 0; i < 128; ++i) longer.insert(longer.end(), {1, 'a'});
  longer.push_back(0);
  CHECK(fault(longer) == NameFault::name_too_long);
  longer.erase(longer.begin(), longer.begin() + 2);
  CHECK(Name::from_wire(longer).value().label_count() == 127);
}

TEST_CASE("a name that is read over another is that one, or leaves it as it was") {
  Name name = *Name::parse("a.longer.name.before.it");
  const Name shorter = *Name::parse("Short.example");
  REQUIRE(name.assign_wire(shorter.wire()).has_value());
  CHECK(name == shorter);
  CHECK(name.to_string() == "Short.example");
  CHECK(name.assign_wire(std::vector<std::uint8_t>{3, 'n', 'e'}).error() == NameFault::truncated);
  CHECK(name.to_string() == "Short.example");
}

TEST_CASE("names are equal and hash alike without case, and only without case") {
  CHECK(name("WWW.Example.COM") == name("www.example.com"));
  CHECK(name("WWW.Example.COM").hash(7) == name("www.example.com").hash(7));
  CHECK(name("www.example.com").hash(7) != name("www.example.com").hash(8));
  CHECK(name("www.example.com") != name("wwx.example.com"));
  CHECK(name("a.bc") != name("ab.c"));
  CHECK(name("\\064") != name("`"));  // 0x40 and 0x60 are no letters
  CHECK(name("\\091") != name("{"));
  CHECK(name("\\193") != name("\\225"));  // nor are 0xc1 and 0xe1
}

TEST_CASE("ancestors are cut from the left, and is_within knows them at label borders only") {
  const Name www = name("www.example.com");
  CHECK(www.ancestor(0) == www);
  CHECK(www.ancestor(1) == name("example.com"));
  CHECK(www.ancestor(3).is_root());
  CHECK(www.is_within(www));
  CHECK(www.is_within(name("EXAMPLE.com")));
  CHECK(www.is_within(Name()));
  CHECK_FALSE(www.is_within(name("ample.com")));
  CHECK_FALSE(name("com").is_within(www));
  CHECK_FALSE(name("wwwexample.com").is_within(name("example.com")));
}

TEST_CASE("the canonical order is RFC 4034's") {
  const std::vector<Name> ordered = {name("example"),         name("a.example"),      name("yljkjljk.a.example"),
                                     name("Z.a.example"),     name("zABC.a.EXAMPLE"), name("z.example"),
                                     name("\\001.z.example"), name("*.z.example"),    name("\\200.z.example")};
  for (std::size_t i = 0; i < ordered.size(); ++i)
    for (std::size_t j = 0; j < ordered.size(); ++j) CHECK((ordered[i] <=> ordered[j]) == (i <=> j));
}

TEST_CASE("random names: text and back, small letters, equality, hash and order agree") {
  tests::Seeded random;
  INFO(random.replay());
  for (int i = 0; i < 5000; ++i) {
    const Name one = random_name(random), other = random_name(random);
    REQUIRE(name(one.to_string()) == one);
    const Name small = one.lowered();
    REQUIRE(small == one);
    REQUIRE(small.hash(random.seed()) == one.hash(random.seed()));
    REQUIRE((small <=> one) == std::strong_ordering::equal);
    REQUIRE(std::none_of(small.wire().begin(), small.wire().end(),
                         [](std::uint8_t octet) { return octet >= 'A' && octet <= 'Z'; }));
    REQUIRE((one == other) == ((one <=> other) == 0));
    REQUIRE((one == other) == std::ranges::equal(small.wire(), other.lowered().wire()));
    REQUIRE(((one <=> other) < 0) == ((other <=> one) > 0));
  }
}

TEST_CASE("folding touches the twenty-six letters and nothing else") {
  for (int octet = 0; octet < 256; ++octet) {
    const std::uint64_t word = 0x0101010101010101ULL * static_cast<std::uint64_t>(octet);
    const int small = octet >= 'A' && octet <= 'Z' ? octet + 0x20 : octet;
    CHECK(fold(word) == 0x0101010101010101ULL * static_cast<std::uint64_t>(small));
  }
}

}  // namespace
}  // namespace doline::dns

#include "dns/public_suffix.h"

#include <doctest/doctest.h>

using namespace doline::dns;

namespace {

// Of each kind of line that the list has.
constexpr std::string_view list =
    "// ===BEGIN ICANN DOMAINS===\n"
    "com\n"
    "\n"
    "uk\n"
    "co.uk  // the rest of a line says nothing\n"
    "*.ck\n"
    "!www.ck\n"
    "\xe5\x85\xac\xe5\x8f\xb8.cn\n"
    "arpa\n"
    "in-addr.arpa\n"
    "// ===BEGIN PRIVATE DOMAINS===\n"
    "github.io\n";

std::string registrable(const PublicSuffixes& suffixes, const char* name) {
  return suffixes.registrable(Name::parse(name)->lowered()).to_string();
}

}  // namespace

TEST_CASE("With the list, what is registered is the label before the longest suffix") {
  const PublicSuffixes suffixes = PublicSuffixes::read(list);
  CHECK_FALSE(suffixes.is_guess());
  CHECK(registrable(suffixes, "www.example.com") == "example.com");
  CHECK(registrable(suffixes, "a.b.example.co.uk") == "example.co.uk");
  CHECK(registrable(suffixes, "me.github.io") == "me.github.io");
  CHECK(registrable(suffixes, "x.y.me.github.io") == "me.github.io");
  CHECK(registrable(suffixes, "a.b.c.ck") == "b.c.ck");
  CHECK(registrable(suffixes, "a.www.ck") == "www.ck");
  CHECK(registrable(suffixes, "4.1.168.192.in-addr.arpa") == "192.in-addr.arpa");
  // Nobody's rule: the last label is one.
  CHECK(registrable(suffixes, "a.b.unheard") == "b.unheard");
  CHECK(registrable(suffixes, "a.b.cn") == "b.cn");
}

TEST_CASE("A suffix itself is nobody's") {
  const PublicSuffixes suffixes = PublicSuffixes::read(list);
  for (const char* name : {"com", "co.uk", "github.io", "foo.ck", "printer", "."}) {
    CHECK_MESSAGE(suffixes.is_suffix(*Name::parse(name)), name);
    CHECK(registrable(suffixes, name) == name);
  }
  for (const char* name : {"example.com", "www.ck", "a.foo.ck"})
    CHECK_MESSAGE(!suffixes.is_suffix(*Name::parse(name)), name);
}

TEST_CASE("Without the list it is guessed") {
  const PublicSuffixes guess = PublicSuffixes::guess();
  CHECK(guess.is_guess());
  CHECK(registrable(guess, "www.example.com") == "example.com");
  CHECK(registrable(guess, "a.example.co.uk") == "example.co.uk");
  CHECK(registrable(guess, "a.b.example.de") == "example.de");
  CHECK(registrable(guess, "www.t.co") == "t.co");
  CHECK(registrable(guess, "1.168.192.in-addr.arpa") == "192.in-addr.arpa");
  CHECK(guess.is_suffix(*Name::parse("co.uk")));
  CHECK(guess.is_suffix(*Name::parse("printer")));
  CHECK(PublicSuffixes::read("// nothing\n").is_guess());
}

#include "config/domain_name.h"

#include <doctest/doctest.h>

using namespace doline;
using doline::config::parse_domain_name;

TEST_CASE("A name that a person wrote is read in small letters, with or without its last dot") {
  for (const char* text : {"Shop.Example", "shop.example."})
    CHECK(parse_domain_name(text) == *dns::Name::parse("shop.example"));
  CHECK(parse_domain_name("xn--bcher-kva.example").has_value());
  CHECK(parse_domain_name("_dns.resolver.arpa").has_value());
}

TEST_CASE("What is an address, a path or a pattern is no name, and where it is plain what would be, that is said") {
  CHECK(parse_domain_name("192.0.2.1").error() == "an address has none");
  CHECK(parse_domain_name("2001:db8::1").error() == "an address has none");
  CHECK(parse_domain_name("bücher.example").error() == "write it as it travels: xn--...");
  CHECK(parse_domain_name("a..b").error() == dns::to_string(dns::Name::parse("a..b").error()));
  for (const char* text : {"*.example", "||ads.example^", "/ads/", "https://example", "a b", "(a)"})
    CHECK(parse_domain_name(text).error().empty());
}

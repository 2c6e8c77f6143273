#include "response/special_use.h"

#include <doctest/doctest.h>

namespace doline::response {

namespace {

std::optional<LocalAnswer> find(const char* name, dns::RecordType type = dns::RecordType::a, SpecialUse choice = {}) {
  return find_special_use(*dns::Name::parse(name), type, choice);
}

}  // namespace

TEST_CASE("Names that no server of the Internet knows are answered here") {
  CHECK(find("localhost") == LocalAnswer::loopback);
  CHECK(find("x.localhost") == LocalAnswer::loopback);
  for (const char* name :
       {"a.invalid", "a.test", "nas.local", "a.onion", "a.alt", "nas.home.arpa", "_dns.resolver.arpa",
        "10.1.168.192.in-addr.arpa", "1.0.31.172.in-addr.arpa", "1.0.127.100.in-addr.arpa", "1.d.f.ip6.arpa"})
    CHECK_MESSAGE(find(name) == LocalAnswer::nxdomain, name);
  CHECK(find("home.arpa") == LocalAnswer::nodata);
  CHECK(find("16.172.in-addr.arpa") == LocalAnswer::nodata);
}

TEST_CASE("Ordinary names are not, however they end") {
  for (const char* name : {".", "example", "www.example.com", "notlocalhost", "nothome.arpa", "latest",
                           "1.0.32.172.in-addr.arpa", "8.8.8.8.in-addr.arpa", "1.0.128.100.in-addr.arpa",
                           "www.icloud.com", "a.mask.icloud.com", "ipv4only.arpa", "x\\004test"})
    CHECK_MESSAGE(!find(name), name);
}

TEST_CASE("DS of an apex is its parent's to answer") {
  CHECK(!find("home.arpa", dns::RecordType::ds));
  CHECK(find("x.home.arpa", dns::RecordType::ds) == LocalAnswer::nxdomain);
}

TEST_CASE("Each canary and all the names can be left to upstream") {
  for (const char* name : {"use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com"})
    CHECK_MESSAGE(find(name) == LocalAnswer::nodata, name);
  const auto a = dns::RecordType::a;
  CHECK(!find("use-application-dns.net", a, {.firefox_canary = false}));
  CHECK(!find("mask.icloud.com", a, {.icloud_canaries = false}));
  CHECK(!find("localhost", a, {.names = false}));
  CHECK(find("mask-h2.icloud.com", a, {.names = false}) == LocalAnswer::nodata);
}

}  // namespace doline::response

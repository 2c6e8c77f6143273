#include "response/special_use.h"

#include <doctest/doctest.h>

namespace doline::response {

namespace {

using Kind = LocalAnswer::Kind;

std::optional<Kind> find(const char* name, dns::RecordType type = dns::RecordType::a, SpecialUse choice = {}) {
  const auto found = find_special_use(*dns::Name::parse(name), type, choice);
  return found ? std::optional(found->kind) : std::nullopt;
}

/// The zone whose SOA a negative answer carries.
std::string zone_of(const char* text) {
  const auto name = *dns::Name::parse(text);
  const auto found = find_special_use(name, dns::RecordType::a, {});
  REQUIRE(found.has_value());
  if (found->zone_octets == 0) return "none";
  return dns::Name::from_wire(name.wire().last(found->zone_octets))->to_string();
}

}  // namespace

TEST_CASE("Names that no server of the Internet knows are answered here") {
  CHECK(find("localhost") == Kind::loopback);
  CHECK(find("x.localhost") == Kind::loopback);
  for (const char* name :
       {"a.invalid", "a.test", "nas.local", "a.onion", "a.alt", "nas.home.arpa", "default.service.arpa",
        "10.1.168.192.in-addr.arpa", "1.0.31.172.in-addr.arpa", "1.0.127.100.in-addr.arpa", "1.d.f.ip6.arpa"})
    CHECK_MESSAGE(find(name) == Kind::nxdomain, name);
  CHECK(find("home.arpa") == Kind::apex);
  CHECK(find("16.172.in-addr.arpa") == Kind::apex);
}

TEST_CASE("What of the house does not exist may soon, and is not believed for long") {
  const auto ttl = [](const char* name) {
    return find_special_use(*dns::Name::parse(name), dns::RecordType::a, {})->ttl_seconds;
  };
  for (const char* name : {"tv", "tv.home.arpa", "21.0.0.10.in-addr.arpa", "1.1.168.192.in-addr.arpa",
                           "1.0.31.172.in-addr.arpa", "1.0.64.100.in-addr.arpa", "1.d.f.ip6.arpa", "1.8.e.f.ip6.arpa"})
    CHECK_MESSAGE(ttl(name) == house_name_ttl_seconds, name);
  for (const char* name : {"a.onion", "a.test", "1.2.0.192.in-addr.arpa", "x.resolver.arpa"})
    CHECK_MESSAGE(ttl(name) == special_use_ttl_seconds, name);
}

TEST_CASE("The house's own domain is answered here, whichever it is") {
  SpecialUse lan{.names = false, .bare_names = false, .local_domain = *dns::Name::parse("lan")};
  CHECK(find("tv.lan", dns::RecordType::a, lan) == Kind::nxdomain);
  CHECK(find("x.tv.lan", dns::RecordType::aaaa, lan) == Kind::nxdomain);
  CHECK(find("lan", dns::RecordType::soa, lan) == Kind::apex);
  CHECK(!find("lan", dns::RecordType::ds, lan));
  CHECK(!find("tv.wlan", dns::RecordType::a, lan));
  CHECK(!find("tv.home.arpa", dns::RecordType::a, lan));
}

TEST_CASE("Ordinary names are not, however they end") {
  for (const char* name : {".", "www.example.com", "x.notlocalhost", "nothome.arpa", "an.latest",
                           "1.0.32.172.in-addr.arpa", "8.8.8.8.in-addr.arpa", "1.0.128.100.in-addr.arpa",
                           "www.icloud.com", "a.mask.icloud.com", "ipv4only.arpa", "x.x\\004test"})
    CHECK_MESSAGE(!find(name), name);
}

TEST_CASE("Who asks for designated resolvers is told that there are none (RFC 9462 section 4)") {
  constexpr dns::RecordType svcb = dns::RecordType::svcb;
  CHECK(find("_dns.resolver.arpa", svcb) == Kind::nodata);
  CHECK(find("resolver.arpa", dns::RecordType::soa) == Kind::apex);
  CHECK(find("x.resolver.arpa") == Kind::nodata);
  CHECK(find("_dns.resolver.arpa", svcb, {.names = false}) == std::nullopt);
}

TEST_CASE("The zone that is answered for is the whole one, and no more") {
  CHECK(zone_of("a.nas.home.arpa") == "home.arpa");
  CHECK(zone_of("10.1.168.192.in-addr.arpa") == "168.192.in-addr.arpa");
  CHECK(zone_of("_dns.resolver.arpa") == "resolver.arpa");
  CHECK(zone_of("mask.icloud.com") == "mask.icloud.com");
  CHECK(zone_of("laptop") == "none");
}

TEST_CASE("Names of one label are devices', but for what is asked of top-level domains") {
  CHECK(find("laptop") == Kind::nxdomain);
  CHECK(find("com", dns::RecordType::https) == Kind::nxdomain);
  for (const auto type : {dns::RecordType::ns, dns::RecordType::soa, dns::RecordType::ds, dns::RecordType::dnskey})
    CHECK(!find("com", type));
  CHECK(!find("laptop", dns::RecordType::a, {.bare_names = false}));
  CHECK(!find(".", dns::RecordType::a));
}

TEST_CASE("DS of an apex is its parent's to answer") {
  CHECK(!find("home.arpa", dns::RecordType::ds));
  CHECK(find("x.home.arpa", dns::RecordType::ds) == Kind::nxdomain);
}

TEST_CASE("Each canary and all the names can be left to upstream") {
  for (const char* name : {"use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com"})
    CHECK_MESSAGE(find(name) == Kind::nodata, name);
  const auto a = dns::RecordType::a;
  CHECK(!find("use-application-dns.net", a, {.firefox_canary = false}));
  CHECK(!find("mask.icloud.com", a, {.icloud_canaries = false}));
  CHECK(!find("localhost", a, {.names = false}));
  CHECK(find("mask-h2.icloud.com", a, {.names = false}) == Kind::nodata);
}

}  // namespace doline::response

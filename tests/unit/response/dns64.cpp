#include "response/dns64.h"

#include <doctest/doctest.h>

#include <string>

namespace doline::response {

namespace {

IpAddress address(const char* text) {
  return *IpAddress::parse(text);
}
IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}

}  // namespace

TEST_CASE("an IPv4 address stands behind prefixes of all lengths as RFC 6052 section 2.4 shows, and is found again") {
  const auto ipv4 = address("192.0.2.33");
  for (const auto& [network, whole] : {std::pair{"2001:db8::/32", "2001:db8:c000:221::"},
                                       {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
                                       {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
                                       {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
                                       {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
                                       {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"}}) {
    CAPTURE(network);
    CHECK(is_dns64_prefix(prefix(network)));
    CHECK(embed(prefix(network), ipv4) == address(whole));
    CHECK(extract(prefix(network), address(whole)) == ipv4);
    CHECK(extract(prefix(network), address("2001:db9::1")) == std::nullopt);
  }
}

TEST_CASE("other prefixes are none of a NAT64") {
  for (const char* network : {"2001:db8::/33", "2001:db8::/128", "10.0.0.0/32", "2001:db8:0:0:ff00::/96"})
    CHECK_MESSAGE(!is_dns64_prefix(prefix(network)), network);
}

TEST_CASE("the well-known prefix stands for global addresses only") {
  const auto well_known = prefix("64:ff9b::/96");
  CHECK(embed(well_known, address("8.8.8.8")) == address("64:ff9b::808:808"));
  for (const char* inner : {"10.1.2.3", "192.168.1.1", "172.16.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1",
                            "192.0.0.170", "192.0.2.1", "192.88.99.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"})
    CHECK_MESSAGE(!embed(well_known, address(inner)), inner);
  CHECK(embed(prefix("2001:db8::/96"), address("10.1.2.3")) == address("2001:db8::a01:203"));
}

TEST_CASE("IPv4-mapped addresses are excluded, and what is configured") {
  const Dns64 dns64{{prefix("64:ff9b::/96")}, {prefix("192.168.1.0/24")}, {prefix("2001:db8::/32")}, nullptr};
  CHECK(dns64.is_excluded(address("::ffff:10.0.0.1")));
  CHECK(dns64.is_excluded(address("2001:db8::1")));
  CHECK(!dns64.is_excluded(address("2001:db9::1")));
  CHECK(dns64.serves(address("192.168.1.7")));
  CHECK(!dns64.serves(address("192.168.2.7")));
  CHECK(Dns64{{prefix("64:ff9b::/96")}, {}, {}, nullptr}.serves(address("192.168.2.7")));
}

TEST_CASE("the name of an address that was made leads to that of the IPv4 address") {
  const Dns64 dns64{{prefix("64:ff9b::/96"), prefix("2001:db8::/32")}, {}, {}, nullptr};
  const auto lead = [&](const dns::Name& name) {
    const auto found = dns64.find_ipv4_reverse(name);
    return found ? found->to_string() : std::string();
  };
  CHECK(lead(reverse_name(address("64:ff9b::808:404"))) == "4.4.8.8.in-addr.arpa");
  CHECK(lead(reverse_name(address("2001:db8:c000:221::"))) == "33.2.0.192.in-addr.arpa");
  CHECK(lead(reverse_name(address("2001:db9::1"))).empty());
  // The well-known prefix is no public one, whatever is configured.
  const Dns64 other{{prefix("2001:db8::/32")}, {}, {}, nullptr};
  CHECK(other.find_ipv4_reverse(reverse_name(address("64:ff9b::808:404"))).has_value());
  CHECK(lead(*dns::Name::parse("b.9.f.f.4.6.0.0.ip6.arpa")).empty());
  CHECK(lead(*dns::Name::parse("4.4.8.8.in-addr.arpa")).empty());
  // As long, but of other labels.
  std::string text = reverse_name(address("64:ff9b::808:404")).to_string();
  CHECK(lead(*dns::Name::parse("g" + text.substr(1))).empty());
}

TEST_CASE("ipv4only.arpa tells the prefixes to those who ask for it") {
  const auto own = make_own({prefix("64:ff9b::/96"), prefix("2001:db8::/96")});
  const auto records = own->find(*dns::Name::parse("ipv4only.arpa"));
  std::string addresses;
  for (const LocalRecord& record : records) addresses += IpAddress::from_octets(record.rdata).to_string() + ' ';
  CHECK(addresses == "192.0.0.170 64:ff9b::c000:aa 2001:db8::c000:aa 192.0.0.171 64:ff9b::c000:ab 2001:db8::c000:ab ");
  CHECK(!own->find(*dns::Name::parse("171.0.0.192.in-addr.arpa")).empty());
  CHECK(own->find(*dns::Name::parse("x.ipv4only.arpa")).empty());
}

}  // namespace doline::response

#include "base/ip_address.h"

#include <doctest/doctest.h>

using doline::Endpoint;
using doline::IpAddress;
using doline::IpPrefix;

TEST_CASE("an IPv4 address and its mapped form are one value") {
  const auto plain = IpAddress::parse("192.0.2.1");
  const auto mapped = IpAddress::parse("::ffff:192.0.2.1");
  REQUIRE(plain);
  REQUIRE(mapped);
  CHECK(*plain == *mapped);
  CHECK(mapped->is_v4());
  CHECK(mapped->to_string() == "192.0.2.1");
  CHECK(plain->octets().size() == 4);
}

TEST_CASE("text that is no address is refused") {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", " 1.2.3.4", "1.2.3.4 ", "::1%eth0", "[::1]", "::g", "1.2.3.4/24"})
    CHECK_MESSAGE(!IpAddress::parse(text), text);
  CHECK(!IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST_CASE("IPv6 is printed as RFC 5952 says") {
  CHECK(IpAddress::parse("2001:DB8:0:0:0:0:0:1")->to_string() == "2001:db8::1");
  CHECK(IpAddress{}.to_string() == "::");
}

TEST_CASE("private covers what homes use and nothing else") {
  for (const char* text : {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "169.254.1.1", "::1",
                           "fe80::1", "fd00::1"})
    CHECK_MESSAGE(IpAddress::parse(text)->is_private(), text);
  for (const char* text : {"172.15.0.1", "172.32.0.1", "192.169.0.1", "8.8.8.8", "2001:db8::1", "0.0.0.0", "::"})
    CHECK_MESSAGE(!IpAddress::parse(text)->is_private(), text);
}

TEST_CASE("a prefix clears host bits and contains its own family only") {
  const auto prefix = IpPrefix::parse("192.168.50.77/24");
  REQUIRE(prefix);
  CHECK(prefix->to_string() == "192.168.50.0/24");
  CHECK(prefix->contains(*IpAddress::parse("192.168.50.1")));
  CHECK(!prefix->contains(*IpAddress::parse("192.168.51.1")));
  CHECK(IpPrefix::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
  CHECK(!IpPrefix::parse("::/0")->contains(*IpAddress::parse("192.0.2.1")));
  CHECK(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("192.0.2.1")));
  CHECK(IpPrefix::parse("192.0.2.1")->length() == 32);
  for (const char* text : {"192.0.2.1/33", "::/129", "192.0.2.1/", "192.0.2.1/x", "/24"})
    CHECK_MESSAGE(!IpPrefix::parse(text), text);
}

TEST_CASE("a prefix contains an address where their first bits are the same, whatever its length") {
  for (const char* text : {"203.0.113.170", "2001:db8:aaaa:5555::ffff"}) {
    const IpAddress address = *IpAddress::parse(text);
    const int longest = address.is_v4() ? 32 : 128;
    for (int length = 0; length <= longest; ++length) {
      for (int flipped = 0; flipped < longest; ++flipped) {
        auto octets = address.mapped();
        const int bit = address.is_v4() ? 96 + flipped : flipped;
        octets[static_cast<std::size_t>(bit / 8)] ^= static_cast<std::uint8_t>(0x80 >> (bit % 8));
        CHECK(IpPrefix(address, length).contains(IpAddress::from_octets(octets)) == (flipped >= length));
      }
      CHECK(IpPrefix(address, length).contains(address));
    }
  }
}

TEST_CASE("an endpoint reads the port where one is named") {
  CHECK(Endpoint::parse("192.0.2.1", 53)->to_string() == "192.0.2.1:53");
  CHECK(Endpoint::parse("192.0.2.1:5300", 53)->port == 5300);
  CHECK(Endpoint::parse("2620:fe::fe", 53)->to_string() == "[2620:fe::fe]:53");
  CHECK(Endpoint::parse("[2620:fe::fe]:5353", 53)->port == 5353);
  CHECK(Endpoint::parse("[2620:fe::fe]", 53)->port == 53);
  for (const char* text : {"192.0.2.1:", "192.0.2.1:65536", "[::1", "[::1]53", "[::1]:", "host:53"})
    CHECK_MESSAGE(!Endpoint::parse(text, 53), text);
}

TEST_CASE("socket addresses and endpoints convert into each other") {
  for (const char* text : {"192.0.2.1:53", "[2001:db8::1]:5300"}) {
    const auto endpoint = *Endpoint::parse(text, 0);
    CHECK(doline::to_endpoint(doline::to_socket_address(endpoint).get()) == endpoint);
  }
  CHECK(doline::to_socket_address(*Endpoint::parse("[fe80::1]:53", 0), 7).length == sizeof(sockaddr_in6));
}

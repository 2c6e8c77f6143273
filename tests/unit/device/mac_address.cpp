#include "device/mac_address.h"

#include <doctest/doctest.h>

using doline::device::MacAddress;

TEST_CASE("a MAC is read with colons, with hyphens and without, in any case") {
  for (const char* text : {"94:51:3d:13:9a:35", "94-51-3D-13-9A-35", "94513d139a35", "94513D139A35"}) {
    CAPTURE(text);
    const auto mac = MacAddress::parse(text);
    REQUIRE(mac);
    CHECK(mac->to_string() == "94:51:3d:13:9a:35");
  }
}

TEST_CASE("what is no MAC is not taken for one") {
  for (const char* text :
       {"", "94:51:3d:13:9a", "94:51:3d:13:9a:3g", "94:51-3d:13:9a:35", "94513d139a3", "94513d139a355",
        "94.51.3d.13.9a.35", "94:51:3d:13:9a:35 ", "9451.3d13.9a35", "0x:51:3d:13:9a:35"}) {
    CAPTURE(text);
    CHECK_FALSE(MacAddress::parse(text));
  }
}

TEST_CASE("base64 of six octets is a MAC, and nothing else is") {
  const auto mac = MacAddress::parse_base64("lFE9E5o1");
  REQUIRE(mac);
  CHECK(mac->to_string() == "94:51:3d:13:9a:35");
  CHECK(MacAddress::parse_base64("++//ABCD").has_value());
  for (const char* text : {"", "lFE9E5o", "lFE9E5o1=", "lFE9E5o=", "lFE9 E5o", "lFE9-5o1"}) {
    CAPTURE(text);
    CHECK_FALSE(MacAddress::parse_base64(text));
  }
}

TEST_CASE("an address that a device made up is told by the second bit") {
  CHECK(MacAddress::parse("3e:11:22:33:44:55")->is_locally_administered());
  CHECK_FALSE(MacAddress::parse("94:51:3d:13:9a:35")->is_locally_administered());
  CHECK(MacAddress{}.is_zero());
  CHECK_FALSE(MacAddress::parse("00:00:00:00:00:01")->is_zero());
}

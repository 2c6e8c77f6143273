#include "policy/rebinding.h"

#include <doctest/doctest.h>

using namespace doline::policy;
using doline::IpAddress;
using doline::dns::Name;

TEST_CASE("addresses of a house are inward, in whatever IPv6 address they are wrapped") {
  for (const char* text : {"10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "0.0.0.0", "0.1.2.3",
                           "::", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::c0a8:101",
                           "64:ff9b:1::c0a8:101", "64:ff9b:1:c0a8:1:100::", "2002:c0a8:101::1"}) {
    CAPTURE(text);
    CHECK(is_inward(*IpAddress::parse(text)));
  }
  for (const char* text : {"1.1.1.1", "172.32.0.1", "192.169.0.1", "2001:db8::1", "64:ff9b::101:101", "2002:101:101::1",
                           "::ffff:1.1.1.1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_inward(*IpAddress::parse(text)));
  }
}

TEST_CASE("a name that nobody outside can own is a name of a house") {
  for (const char* text : {"nas", "nas.home.arpa", "home.arpa", "x.y.local", "printer.lan", "a.internal"})
    CHECK(is_name_of_a_house(*Name::parse(text)));
  for (const char* text :
       {"example.com", "arpa.home.example", "xlan.example", "1.168.192.in-addr.arpa", "nothome.arpa"})
    CHECK_FALSE(is_name_of_a_house(*Name::parse(text)));
}

TEST_CASE("one inward address makes an answer rebinding, unless its name may") {
  RebindingSettings settings{true, {*Name::parse("plex.direct")}};
  const std::vector<IpAddress> mixed{*IpAddress::parse("1.1.1.1"), *IpAddress::parse("192.168.1.1")};
  CHECK(is_rebinding(settings, *Name::parse("evil.example"), mixed));
  CHECK_FALSE(is_rebinding(settings, *Name::parse("a.plex.direct"), mixed));
  CHECK_FALSE(is_rebinding(settings, *Name::parse("nas.lan"), mixed));
  CHECK_FALSE(is_rebinding(settings, *Name::parse("evil.example"), std::span(mixed).first(1)));
  CHECK_FALSE(is_rebinding(settings, *Name::parse("evil.example"), {}));
  settings.protect = false;
  CHECK_FALSE(is_rebinding(settings, *Name::parse("evil.example"), mixed));
}

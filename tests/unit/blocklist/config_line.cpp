#include "unit/blocklist/said.h"

TEST_CASE("dnsmasq: a name and all below, with its own address where it has one") {
  const auto dnsmasq = [](std::string_view line) { return said(ListFormat::dnsmasq, line); };
  CHECK(dnsmasq("address=/ads.example/") == "||ads.example^");
  CHECK(dnsmasq("address=/ads.example/#") == "||ads.example^");
  CHECK(dnsmasq("address=/a.example/b.example/0.0.0.0") == "||a.example^\n||b.example^");
  CHECK(dnsmasq("address=/ads.example/::") == "||ads.example^");
  CHECK(dnsmasq("address=/ads.example/192.0.2.1") == "||ads.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(dnsmasq("server=/ads.example/") == "||ads.example^");
  CHECK(dnsmasq("local=/ads.example/ # why") == "||ads.example^");
  CHECK(dnsmasq("server=/good.example/#") == "@@||good.example^");
  CHECK(dnsmasq("address=/*.ads.example/") == "*.ads.example^");
  CHECK(dnsmasq("address=/#/192.0.2.1") == "||.^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(dnsmasq("address=/#/") == "||.^");
  CHECK(dnsmasq("address=//") == "!no name on the line at 1:10");
  CHECK(dnsmasq("server=/corp.example/10.0.0.1") == "!lists nothing at 1:22");
  CHECK(dnsmasq("no-resolv") == "!lists nothing at 1:1");
  CHECK(dnsmasq("address=/ads.example/1.2.3") == "!not an address or a prefix at 1:22");
}

TEST_CASE("Unbound: zones and their data") {
  const auto unbound = [](std::string_view text) { return said(ListFormat::unbound, text); };
  CHECK(unbound("server:\nlocal-zone: \"ads.example.\" always_nxdomain") == "||ads.example^");
  CHECK(unbound("local-zone: ads.example refuse") == "||ads.example^");
  CHECK(unbound("local-zone: \".\" always_refuse") == "||.^");
  CHECK(unbound("local-zone: \"good.example\" always_transparent") == "@@||good.example^");
  CHECK(unbound("local-zone: \"ads.example\" what") == "!lists nothing at 1:27");
  CHECK(unbound("local-data: \"ads.example A 0.0.0.0\"") == "|ads.example^");
  CHECK(unbound("local-data: \"nas.example 300 IN A 192.0.2.1\"") == "|nas.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(unbound("local-zone: \"ads.example\" redirect\nlocal-data: \"ads.example A 192.0.2.1\"") ==
        "||ads.example^\n||ads.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(unbound("local-data: \"ads.example A what\"") == "!not a record at 1:28");
  CHECK(unbound("  do-ip6: yes") == "!lists nothing at 1:3");
  CHECK(unbound("local-zone") == "!no name on the line at 1:11");
}

TEST_CASE("Unbound: zones that only end the zone above, and their data by type") {
  const auto unbound = [](std::string_view text) { return said(ListFormat::unbound, text); };
  CHECK(unbound("local-zone: \"a.example\" transparent") == "||a.example^$transparent");
  CHECK(unbound("local-zone: \"a.example\" inform") == "||a.example^$transparent");
  CHECK(unbound("local-zone: \"a.example\" nodefault") == "!lists nothing at 1:25");
  CHECK(unbound("local-zone: \"a.example\" block_a") ==
        "||a.example^$transparent\n||a.example^$dnstype=A,dnsrewrite=NOERROR;;");
  CHECK(unbound("local-zone: \"a.example.\" typetransparent\nlocal-data: \"x.A.example A 192.0.2.1\"\n"
                "local-data: \"a.example AAAA ::\"\nlocal-data: \"ba.example A 192.0.2.1\"") ==
        "||a.example^$transparent\n|x.a.example^$dnstype=A,dnsrewrite=NOERROR;A;192.0.2.1\n"
        "|a.example^$dnstype=AAAA\n|ba.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(unbound("local-zone: \"a.example\" always_nxdomain\nlocal-data: \"x.a.example A 192.0.2.1\"") ==
        "||a.example^\n!lists nothing at 2:14");
}

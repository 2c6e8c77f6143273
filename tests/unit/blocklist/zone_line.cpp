#include "unit/blocklist/said.h"

TEST_CASE("RPZ: triggers and actions as the draft has them") {
  const auto zone = [](std::string_view text) { return said(ListFormat::rpz, text); };
  CHECK(zone("$TTL 300\n@ SOA localhost. root.localhost. 1 2 3 4 5\n  NS localhost.\na.example CNAME .\n*.a.example "
             "CNAME .") == "|a.example^\n*.a.example^");
  CHECK(zone("@ IN SOA ns. host. (\n 1 ; serial\n 2 3 4\n 5 ) ; end\n IN NS ns.\na.example 60 IN CNAME .") ==
        "|a.example^");
  CHECK(zone("$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\na.example CNAME *.\nb.example.rpz.example. CNAME "
             "rpz-passthru.\n"
             "c.example CNAME rpz-drop.\nd.example CNAME rpz-tcp-only.\nother.example. CNAME .") ==
        "|a.example^$dnsrewrite=NOERROR;;\n@@|b.example^\n|c.example^$dnsrewrite=DROP\n"
        "|d.example^$dnsrewrite=TCP-ONLY\n!a name outside the zone at 7:1");
  CHECK(zone("a.example CNAME garden.example.\nb.example CNAME *.garden.example.\na.example A 192.0.2.1\n"
             "  TXT \"why (not) ; here\"") ==
        "|a.example^$dnsrewrite=NOERROR;CNAME;garden.example\n|b.example^$dnsrewrite=NOERROR;CNAME;*.garden.example\n"
        "|a.example^$dnsrewrite=NOERROR;A;192.0.2.1\n"
        "|a.example^$dnsrewrite=NOERROR;TXT;\\\\# 17 1077687920286e6f7429203b2068657265");
  CHECK(zone("24.0.2.0.192.rpz-ip CNAME .\n128.1.zz.db8.2001.rpz-ip CNAME rpz-passthru.\n"
             "32.7.0.0.10.rpz-client-ip CNAME rpz-drop.\n48.zz.2.2001.rpz-ip CNAME .") ==
        "192.0.2.0/24\n@@2001:db8::1/128\nclient 10.0.0.7/32$dnsrewrite=DROP\n2001:2::/48");
  CHECK(zone("ns.evil.example.rpz-nsdname CNAME .\n32.1.2.0.192.rpz-nsip CNAME .") ==
        "server |ns.evil.example^\nserver 192.0.2.1/32");
  CHECK(zone("*.evil.example.rpz-nsdname CNAME rpz-passthru.\n24.0.2.0.192.rpz-nsip A 192.0.2.9\n*.rpz-nsdname CNAME "
             ".\nrpz-nsdname CNAME .") ==
        "server @@*.evil.example^\nserver 192.0.2.0/24$dnsrewrite=NOERROR;A;192.0.2.9\nserver *.^\n|rpz-nsdname^");
  CHECK(zone("99.1.2.0.192.rpz-ip CNAME .") == "!not an address or a prefix at 1:1");
  CHECK(zone("a.example A what") == "!not a record at 1:1");
  CHECK(zone("$INCLUDE other.zone") == "!lists nothing at 1:1");
  CHECK(zone("a.example CNAME )") == "!not a record at 1:17");
  // A signed zone, and as a transfer makes its text: absolute names, without TTL.
  CHECK(zone("rpz.test. SOA a. b. 1 2 3 4 0\nrpz.test. NS ns.\na.example.rpz.test. CNAME .\n"
             "b.example.rpz.test. MX \\# 3 000a00\na.example.rpz.test. RRSIG \\# 1 00\n"
             "a.example.rpz.test. NSEC \\# 1 00\n32.1.2.0.192.rpz-ip.rpz.test. CNAME rpz-passthru.\n") ==
        "|a.example^\n|b.example^$dnsrewrite=NOERROR;MX;\\\\# 3 000a00\n!lists nothing at 5:1\n!lists nothing at 6:1\n"
        "@@192.0.2.1/32");
  CHECK(zone(" CNAME .") == "!no name on the line at 1:1");
}

TEST_CASE("RPZ: a wildcard at the zone's own name is every name below the root") {
  const auto zone = [](std::string_view text) { return said(ListFormat::rpz, text); };
  CHECK(zone("$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\n* CNAME .\nok.example CNAME rpz-passthru.\n* A 192.0.2.1") ==
        "*.^\n@@|ok.example^\n*.^$dnsrewrite=NOERROR;A;192.0.2.1");
}

TEST_CASE("RPZ: an owner may hold escapes, and an escaped dot ends no label") {
  const auto zone = [](std::string_view text) { return said(ListFormat::rpz, text); };
  CHECK(zone("esc\\.APED.example CNAME .\n*.a\\\\.example CNAME .\na\\032b.example CNAME .") ==
        "|esc\\.aped.example^\n*.a\\\\.example^\n|a\\032b.example^");
  CHECK(zone("$ORIGIN rpz.test.\nx\\.rpz.test. CNAME .\nx\\\\.rpz.test. CNAME .\na\\999 CNAME .") ==
        "!a name outside the zone at 2:1\n|x\\\\^\n!not a domain name at 4:1");
}

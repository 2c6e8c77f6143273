#include <doctest/doctest.h>

#include "blocklist/list_file.h"

using namespace doline;
using namespace doline::blocklist;

namespace {

/// What each line says, in AdBlock's words, one a line; `!fault` for what is skipped.
std::string said(ListFormat format, std::string_view text) {
  std::string all;
  read_list(
      text, format, false,
      [&](const Entry& entry) {
        const bool is_client = entry.of == Listed::client_address;
        all += (is_client ? "client " : "") + to_string(entry) + '\n';
      },
      [&](const LineProblem& problem) {
        all += '!' + std::string(to_string(problem.fault)) + " at " + std::to_string(problem.line) + ':' +
               std::to_string(problem.column) + '\n';
      });
  if (!all.empty()) all.pop_back();
  return all;
}
std::string adblock(std::string_view line) {
  return said(ListFormat::adblock, line);
}

}  // namespace

TEST_CASE("AdBlock: which names a pattern covers") {
  CHECK(adblock("||ads.example^") == "||ads.example^");
  CHECK(adblock("||ads.example") == "||ads.example^");
  CHECK(adblock("||ads.example^|") == "||ads.example^");
  CHECK(adblock("|ads.example^") == "|ads.example^");
  CHECK(adblock("|ads.example|") == "|ads.example^");
  CHECK(adblock("ads.example") == "|ads.example^");
  CHECK(adblock("*.ads.example^") == "*.ads.example^");
  CHECK(adblock("||*.ads.example^") == "*.ads.example^");
  CHECK(adblock(".ads.example^") == "*.ads.example^");
  CHECK(adblock("://ads.example^") == "|ads.example^");
  CHECK(adblock("|https://ads.example^") == "|ads.example^");
  CHECK(adblock("||ads.example/") == "||ads.example^");
  CHECK(adblock("@@||good.example^") == "@@||good.example^");
  CHECK(adblock("||ADS.Example^") == "||ads.example^");
  CHECK(adblock("||*^$denyallow=good.example") == "||.^$denyallow=good.example");
  CHECK(adblock("*$dnstype=AAAA") == "||.^$dnstype=AAAA");
  CHECK(adblock("$dnstype=AAAA") == "||.^$dnstype=AAAA");
}

TEST_CASE("AdBlock: what is no plain name becomes an expression") {
  CHECK(adblock("||ad*.example^") == R"(/(?:^|\.)ad.*\.example$/)");
  CHECK(adblock("ads.example^") == R"(/ads\.example$/)");
  CHECK(adblock("|ads.example") == R"(/^ads\.example/)");
  CHECK(adblock("adservice.") == R"(/adservice\./)");
  CHECK(adblock("/^ad[0-9]+\\./") == R"(/^ad[0-9]+\./)");
  CHECK(adblock("/^ad[0-9]+\\./$important,client=10.0.0.0/8") == R"(/^ad[0-9]+\./$important,client=10.0.0.0/8)");
  CHECK(adblock("@@/good/") == "@@/good/");
  CHECK(adblock("/a(?=b)/") == "!not a regular expression that takes linear time at 1:1");
  CHECK(adblock("/(/") == "!not a regular expression that takes linear time at 1:1");
}

TEST_CASE("AdBlock: what DNS cannot judge is skipped with its reason") {
  CHECK(adblock("||ads.example^$third-party") == "!a modifier that DNS does not know at 1:16");
  CHECK(adblock("||ads.example^$dnstype=WHAT") == "!a modifier's value that cannot be at 1:16");
  CHECK(adblock("||ads.example/banner.gif") == "!about a URL's path, not its name at 1:14");
  CHECK(adblock("/ad_html/*") == "!about a URL's path, not its name at 1:1");
  CHECK(adblock("&ad_box_") == "!about a URL's path, not its name at 1:1");
  CHECK(adblock("-ad-box-") == "!about a URL's path, not its name at 1:1");
  CHECK(adblock("example.com##.banner") == "!about a page's elements, not names at 1:1");
  CHECK(adblock("##.banner") == "!about a page's elements, not names at 1:1");
  CHECK(adblock("example.com#@#.banner") == "!about a page's elements, not names at 1:1");
  CHECK(adblock("||m\xc3\xbcller.example^") == "!not a domain name at 1:4");
  CHECK(adblock("two words") == "!not a domain name at 1:4");
  CHECK(adblock("||^") == "!no name on the line at 1:1");
}

TEST_CASE("AdBlock: comments, headers, hosts lines and addresses") {
  CHECK(adblock("! comment\n# comment\n[Adblock Plus 2.0]\n\n") == "");
  CHECK(adblock("0.0.0.0 a.example b.example # why") == "|a.example^\n|b.example^");
  CHECK(adblock("192.0.2.1 a.example") == "|a.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(adblock("ads.example # why") == "|ads.example^");
  CHECK(adblock("||1.2.3.4^") == "1.2.3.4/32");
  CHECK(adblock("@@||1.2.3.4^") == "@@1.2.3.4/32");
  CHECK(adblock("||ads.example^$dnsrewrite=192.0.2.1") == "||ads.example^$dnsrewrite=NOERROR;A;192.0.2.1");
}

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
  CHECK(dnsmasq("server=/corp.example/10.0.0.1") == "!lists nothing at 1:22");
  CHECK(dnsmasq("no-resolv") == "!lists nothing at 1:1");
  CHECK(dnsmasq("address=/ads.example/1.2.3") == "!not an address or a prefix at 1:22");
}

TEST_CASE("Unbound: zones and their data") {
  const auto unbound = [](std::string_view text) { return said(ListFormat::unbound, text); };
  CHECK(unbound("server:\nlocal-zone: \"ads.example.\" always_nxdomain") == "||ads.example^");
  CHECK(unbound("local-zone: ads.example refuse") == "||ads.example^");
  CHECK(unbound("local-zone: \"good.example\" always_transparent") == "@@||good.example^");
  CHECK(unbound("local-zone: \"ads.example\" what") == "!lists nothing at 1:27");
  CHECK(unbound("local-data: \"ads.example A 0.0.0.0\"") == "|ads.example^");
  CHECK(unbound("local-data: \"nas.example 300 IN A 192.0.2.1\"") == "|nas.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(unbound("local-zone: \"ads.example\" redirect\nlocal-data: \"ads.example A 192.0.2.1\"") ==
        "||ads.example^\n||ads.example^$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(unbound("local-data: \"ads.example A what\"") == "!not a record at 1:28");
  CHECK(unbound("  do-ip6: yes") == "!lists nothing at 1:3");
}

TEST_CASE("RPZ: triggers and actions as the draft has them") {
  const auto zone = [](std::string_view text) { return said(ListFormat::rpz, text); };
  CHECK(zone("$TTL 300\n@ SOA localhost. root.localhost. 1 2 3 4 5\n  NS localhost.\na.example CNAME .\n*.a.example CNAME .") ==
        "|a.example^\n*.a.example^");
  CHECK(zone("@ IN SOA ns. host. (\n 1 ; serial\n 2 3 4\n 5 ) ; end\n IN NS ns.\na.example 60 IN CNAME .") ==
        "|a.example^");
  CHECK(zone("$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\na.example CNAME *.\nb.example.rpz.example. CNAME rpz-passthru.\n"
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
        "!about name servers, which a forwarder does not see at 1:1\n"
        "!about name servers, which a forwarder does not see at 2:1");
  CHECK(zone("99.1.2.0.192.rpz-ip CNAME .") == "!not an address or a prefix at 1:1");
  CHECK(zone("a.example A what") == "!not a record at 1:1");
  CHECK(zone("$INCLUDE other.zone") == "!lists nothing at 1:1");
  CHECK(zone("a.example CNAME )") == "!not a record at 1:17");
  CHECK(zone(" CNAME .") == "!no name on the line at 1:1");
}

TEST_CASE("expressions, with Pi-hole's words behind them") {
  const auto regex = [](std::string_view line) { return said(ListFormat::regex, line); };
  CHECK(regex("# comment") == "");
  CHECK(regex(R"((^|\.)ads\.example$)") == R"(/(^|\.)ads\.example$/)");
  CHECK(regex("^a;querytype=A,AAAA") == "/^a/$dnstype=A|AAAA");
  CHECK(regex("^a;querytype=!A") == "/^a/$dnstype=~A");
  CHECK(regex("^a;reply=NXDOMAIN") == "/^a/$dnsrewrite=NXDOMAIN;;");
  CHECK(regex("^a;reply=NODATA;querytype=MX") == "/^a/$dnstype=MX,dnsrewrite=NOERROR;;");
  CHECK(regex("^a;reply=192.0.2.1") == "/^a/$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(regex("^a;invert") == "!a modifier that DNS does not know at 1:3");
  CHECK(regex("^(a|") == "!not a regular expression that takes linear time at 1:1");
}

TEST_CASE("addresses, wildcards and hosts lines with addresses of their own") {
  CHECK(said(ListFormat::addresses, "# x\n1.2.3.4 # name\n2001:db8::/32\n1.2.3\n10.0.0.0/8") ==
        "1.2.3.4/32\n2001:db8::/32\n!not an address or a prefix at 4:1\n10.0.0.0/8");
  CHECK(said(ListFormat::domains, "email-*.ads.example\n*.a.example\n*") ==
        "/^email-.*\\.ads\\.example$/\n*.a.example^\n!not a domain name at 3:1");
  CHECK(said(ListFormat::hosts, "192.0.2.1 nas.example\n0.0.0.0 ads.example\n192.0.2.1 more.example\n127.0.0.1 b.example") ==
        "|nas.example^$dnsrewrite=NOERROR;A;192.0.2.1\n|ads.example^\n|more.example^$dnsrewrite=NOERROR;A;192.0.2.1\n"
        "|b.example^");
}

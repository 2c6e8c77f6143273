#include "blocklist/pattern_set.h"
#include "unit/blocklist/said.h"

namespace {

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
  CHECK(adblock("@@ads.example") == R"(@@/ads\.example/)");
  CHECK(adblock("ads.example$important") == R"(/ads\.example/$important)");
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
  CHECK(adblock("*$client=tv") == "||.^$client=tv");
  CHECK(adblock("@@*") == "@@||.^");
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
  CHECK(adblock("||ads.example^$transparent") == "!a modifier that DNS does not know at 1:16");
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
  for (const char* of_all : {"*", "||*^", "**", "*$important", ".", "*.", "*.*", "||.^"})
    CHECK_MESSAGE(adblock(of_all) == "!no name on the line at 1:1", of_all);
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

TEST_CASE("expressions, with Pi-hole's words behind them") {
  const auto regex = [](std::string_view line) { return said(ListFormat::regex, line); };
  CHECK(regex("# comment") == "");
  CHECK(regex(R"((^|\.)ads\.example$)") == R"(/(^|\.)ads\.example$/)");
  CHECK(regex("^a;querytype=A,AAAA") == "/^a/$dnstype=A|AAAA");
  CHECK(regex("^a;querytype=!A") == "/^a/$dnstype=~A");
  CHECK(regex("^a;reply=NXDOMAIN") == "/^a/$dnsrewrite=NXDOMAIN;;");
  CHECK(regex("^a;reply=NODATA;querytype=MX") == "/^a/$dnstype=MX,dnsrewrite=NOERROR;;");
  CHECK(regex("^a;reply=192.0.2.1") == "/^a/$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(regex("^a;reply=nodata") == "/^a/$dnsrewrite=NOERROR;;");
  CHECK(regex("^a;Reply=nxdomain;QueryType=A") == "/^a/$dnstype=A,dnsrewrite=NXDOMAIN;;");
  CHECK(regex("^a;reply=refused") == "/^a/$dnsrewrite=REFUSED;;");
  CHECK(regex("^a;reply=none") == "/^a/$dnsrewrite=DROP");
  CHECK(regex("^a;reply=ip") == "/^a/");
  CHECK(regex("^a;reply=192.0.2.1;reply=2001:db8::1;querytype=!MX") ==
        "/^a/$dnstype=~MX,dnsrewrite=NOERROR;A;192.0.2.1\n/^a/$dnstype=~MX,dnsrewrite=NOERROR;AAAA;2001:db8::1");
  CHECK(regex("^a;reply=other.example") == "!a modifier's value that cannot be at 1:4");
  CHECK(regex("^a;querytype=A;reply=") == "!a modifier's value that cannot be at 1:16");
  CHECK(regex("^a;querytype=WHAT") == "!a modifier's value that cannot be at 1:4");
  CHECK(regex("^a;what=1;reply=none") == "!a modifier that DNS does not know at 1:4");
  CHECK(regex("^a;querytype=A;invert") == "!a modifier that DNS does not know at 1:16");
  CHECK(regex("^a;invert") == "!a modifier that DNS does not know at 1:4");
  const std::string longest(pattern_octets_max, 'a');
  CHECK(regex(longest) == '/' + longest + '/');
  CHECK(regex(longest + 'a') == "!not a regular expression that takes linear time at 1:1");
  CHECK(regex("^(a|") == "!not a regular expression that takes linear time at 1:1");
}

TEST_CASE("a lone dot or star in a list of names or hosts is a slip, not every name") {
  for (const ListFormat format : {ListFormat::domains, ListFormat::wildcard}) {
    CHECK(said(format, ".") == "!no name on the line at 1:1");
    CHECK(said(format, "*") == "!not a domain name at 1:1");
    CHECK(said(format, "*.") == "!no name on the line at 1:3");
  }
  for (const ListFormat format : {ListFormat::hosts, ListFormat::adblock}) {
    CHECK(said(format, "0.0.0.0 .") == "!no name on the line at 1:9");
    CHECK(said(format, "192.0.2.1 .") == "!no name on the line at 1:11");
    CHECK(said(format, "0.0.0.0 *") == "!not a domain name at 1:9");
  }
}

TEST_CASE("addresses, wildcards and hosts lines with addresses of their own") {
  CHECK(said(ListFormat::addresses, "# x\n1.2.3.4 # name\n2001:db8::/32\n1.2.3\n10.0.0.0/8") ==
        "1.2.3.4/32\n2001:db8::/32\n!not an address or a prefix at 4:1\n10.0.0.0/8");
  CHECK(said(ListFormat::domains, "email-*.ads.example\n*.a.example\n*") ==
        "/^email-.*\\.ads\\.example$/\n*.a.example^\n!not a domain name at 3:1");
  CHECK(said(ListFormat::hosts,
             "192.0.2.1 nas.example\n0.0.0.0 ads.example\n192.0.2.1 more.example\n127.0.0.1 b.example") ==
        "|nas.example^$dnsrewrite=NOERROR;A;192.0.2.1\n|ads.example^\n|more.example^$dnsrewrite=NOERROR;A;192.0.2.1\n"
        "|b.example^");
}

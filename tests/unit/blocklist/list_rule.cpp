#include "blocklist/list_rule.h"

#include <doctest/doctest.h>

using namespace doline;
using namespace doline::blocklist;

namespace {

/// The text of what the modifiers say, or the fault.
std::string said(std::string_view modifiers, bool is_exception = false) {
  const auto rule = parse_modifiers(modifiers, is_exception);
  if (!rule) return rule.error() == RuleFault::unknown_modifier ? "unknown" : "bad value";
  const std::string text = to_string(*rule);
  const auto again = parse_rule(text);
  REQUIRE(again.has_value());
  CHECK(to_string(*again) == text);
  CHECK(again->effect == rule->effect);
  CHECK(again->answer == rule->answer);
  CHECK(again->is_important == rule->is_important);
  return text;
}

}  // namespace

TEST_CASE("Modifiers that mean the same are written the same") {
  CHECK(said("") == "");
  CHECK(said("", true) == "@@");
  CHECK(said("important") == "$important");
  CHECK(said("dnstype=AAAA|a,important", true) == "@@$important,dnstype=A|AAAA");
  CHECK(said("important,dnstype=A|AAAA", true) == "@@$important,dnstype=A|AAAA");
  CHECK(said("dnstype=~A") == "$dnstype=~A");
  CHECK(said("denyallow=Good.example|fine.example.") == "$denyallow=fine.example|good.example");
  CHECK(said("ctag=kids|~guests") == "$ctag=kids|~guests");
  CHECK(said("respgeo=cn|~AS4134") == "$respgeo=CN|~AS4134");
  CHECK(said("badfilter,important") == "$badfilter,important");
}

TEST_CASE("Clients are names, addresses, prefixes and MAC addresses, quoted where they need it") {
  CHECK(said("client=10.0.0.7|~10.0.0.0/24") == "$client=10.0.0.7|~10.0.0.0/24");
  CHECK(said("client='Frank\\'s laptop'") == "$client=Frank\\'s laptop");
  CHECK(said("client=\"Mary, \\'s\\|tv\"") == "$client=Mary\\, \\'s\\|tv");
  const auto rule = parse_modifiers("client=2c:aa:8e:12:34:56|fd00::/8", false);
  REQUIRE(rule.has_value());
  REQUIRE(rule->conditions->clients.size() == 2);
  CHECK_FALSE(rule->conditions->clients[0].prefix);
  CHECK(rule->conditions->clients[1].prefix == IpPrefix::parse("fd00::/8"));
}

TEST_CASE("Rewrites are short or long, and the short words are in capitals") {
  CHECK(said("dnsrewrite=192.0.2.1") == "$dnsrewrite=NOERROR;A;192.0.2.1");
  CHECK(said("dnsrewrite=NOERROR;AAAA;2001:db8::1") == "$dnsrewrite=NOERROR;AAAA;2001:db8::1");
  CHECK(said("dnsrewrite=other.example") == "$dnsrewrite=NOERROR;CNAME;other.example");
  CHECK(said("dnsrewrite=NXDOMAIN") == "$dnsrewrite=NXDOMAIN;;");
  CHECK(said("dnsrewrite=NXDOMAIN;;") == "$dnsrewrite=NXDOMAIN;;");
  CHECK(said("dnsrewrite=refused") == "$dnsrewrite=NOERROR;CNAME;refused");
  CHECK(said("dnsrewrite=DROP") == "$dnsrewrite=DROP");
  CHECK(said("dnsrewrite=TCP-ONLY") == "$dnsrewrite=TCP-ONLY");
  CHECK(said("dnsrewrite=NOERROR;MX;10 mail.example") ==
        "$dnsrewrite=NOERROR;MX;\\\\# 16 000a046d61696c076578616d706c6500");
  CHECK(said("dnsrewrite=NOERROR;PTR;host.example") == "$dnsrewrite=NOERROR;PTR;\\\\# 14 04686f7374076578616d706c6500");
  CHECK(said("dnsrewrite=NOERROR;SRV;1 2 443 host.example").starts_with("$dnsrewrite=NOERROR;SRV;"));
  CHECK(said("dnsrewrite=NOERROR;TXT;\"hello world\"").starts_with("$dnsrewrite=NOERROR;TXT;"));
  CHECK(said("dnsrewrite=NOERROR;HTTPS;1 . alpn=h3").starts_with("$dnsrewrite=NOERROR;HTTPS;"));
  CHECK(said("dnsrewrite", true) == "@@$dnsrewrite");
  CHECK(said("dnsrewrite=192.0.2.1", true) == "@@$dnsrewrite=NOERROR;A;192.0.2.1");
}

TEST_CASE("A modifier that DNS does not know makes the rule void, and so does a value that cannot be") {
  CHECK(said("third-party") == "unknown");
  CHECK(said("important,script") == "unknown");
  CHECK(said("domain=a.example") == "unknown");
  for (const char* bad : {"important=1", "client=", "client", "dnstype=NOTYPE", "dnstype=", "denyallow=~a.example",
                          "denyallow=.", "dnsrewrite", "dnsrewrite=", "dnsrewrite=NOERROR;A;2001:db8::1",
                          "dnsrewrite=NOERROR;NOTYPE;x", "dnsrewrite=NOERROR;MX;mail", "dnsrewrite=WHAT;;",
                          "dnsrewrite=NOERROR;A", "respgeo=China", "respgeo=", "dnsrewrite=NOERROR;TYPE5;\\\\# 1 ff"}) {
    CAPTURE(bad);
    CHECK(said(bad) == "bad value");
  }
  CHECK_FALSE(parse_rule("important").has_value());
  CHECK_FALSE(parse_rule("$").has_value());
}

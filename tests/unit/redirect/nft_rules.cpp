#include "redirect/nft_rules.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "home.h"
#include "redirect/plan.h"

using namespace doline::redirect;
using doline::tests::home_options;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// The whole texts are golden: tests/golden/redirect. Here is what must hold of them.

TEST_CASE("Queries to this machine, to the LAN and from the exempt are let go before anything is taken") {
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    const std::string rules = nft_rules(home_options(mode), TableLife::as_long_as_its_maker);
    const std::size_t taken = rules.find(mode == Mode::tproxy ? " tproxy ip to" : "redirect to :5399");
    REQUIRE(taken != std::string::npos);
    for (const char* let_go : {"iifname != { \"home0\", \"iot0\" } return", "meta pkttype != host return",
                               "fib daddr type != unicast return", "fib daddr oifname { \"home0\", \"iot0\" } return",
                               "ether saddr { b8:27:eb:00:50:53 } return", "ip saddr 192.168.50.5/32 return",
                               "ip6 saddr 2001:db8:50::5/128 return", "ip daddr 10.8.0.0/16 return",
                               "ip6 daddr 2001:db8:99::/48 return", "th dport != { 53, 5300, 5353, 8053 } return"}) {
      CAPTURE(let_go);
      CHECK(rules.find(let_go) < taken);
    }
  }
}

TEST_CASE("With one arm the networks say what is LAN, not the route, and nobody is told of a shorter way") {
  const std::vector<doline::IpPrefix> lan{doline::tests::prefix("192.168.50.0/24"),
                                          doline::tests::prefix("2001:db8:50::/64")};
  const std::string rules = nft_rules(home_options(Mode::remote), TableLife::as_long_as_its_maker, lan);
  const std::size_t taken = rules.find(" tproxy ip to");
  REQUIRE(taken != std::string::npos);
  CHECK_FALSE(has(rules, "fib daddr oifname"));
  CHECK_FALSE(has(rules, "    oifname { \"home0\", \"iot0\" } return"));
  CHECK(rules.find("ip daddr 192.168.50.0/24 return") < taken);
  CHECK(rules.find("ip6 daddr 2001:db8:50::/64 return") < taken);
  CHECK(has(rules, "icmp type redirect drop"));
  CHECK(has(rules, "icmpv6 type nd-redirect drop"));
  CHECK_FALSE(has(nft_rules(home_options(Mode::tproxy), TableLife::as_long_as_its_maker, lan), "192.168.50.0/24"));
  CHECK(has(nft_seen(home_options(Mode::remote), lan), "ip daddr 192.168.50.0/24 return"));
}

TEST_CASE("Only the table of a fail-open redirect belongs to its maker") {
  CHECK(has(nft_rules(home_options(Mode::tproxy), TableLife::as_long_as_its_maker), "flags owner"));
  CHECK_FALSE(has(nft_rules(home_options(Mode::tproxy), TableLife::until_removed), "flags owner"));
}

TEST_CASE("Fail-closed refuses what nobody takes, fail-open lets it fall through") {
  Options options = home_options(Mode::tproxy);
  CHECK_FALSE(has(nft_rules(options, TableLife::until_removed), "reject"));
  options.on_failure = OnFailure::closed;
  const std::string rules = nft_rules(options, TableLife::until_removed);
  CHECK(rules.find("reject with tcp reset") > rules.find("tproxy ip6 to [::1]"));
  CHECK(has(rules, "reject with icmpx type port-unreachable"));
}

TEST_CASE("The memory of who asked whom is renewed without losing its elements") {
  const std::string seen = nft_seen(home_options(Mode::tproxy));
  CHECK(has(seen, "flush chain inet doline_seen watch"));
  CHECK_FALSE(has(seen, "delete"));
  CHECK_FALSE(has(seen, "flags owner"));
}

TEST_CASE("The other marks of a packet are kept") {
  CHECK(has(nft_rules(home_options(Mode::tproxy), TableLife::until_removed),
            "meta mark set meta mark & 0xffff0000 | 0x5353"));
}

TEST_CASE("A script becomes one line without comments") {
  CHECK(on_one_line("table inet a {\n  # why\n  set b { type mark }\n\n}\n") ==
        "table inet a { ; set b { type mark } ; } ; ");
  CHECK(on_one_line("").empty());
  const std::string line = on_one_line(nft_rules(home_options(Mode::nat), TableLife::until_removed));
  CHECK(std::count(line.begin(), line.end(), '\n') == 0);
}

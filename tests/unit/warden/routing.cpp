#include "warden/routing.h"

#include <doctest/doctest.h>

#include <vector>

#include "own_network.h"

using namespace doline;
using namespace doline::tests;
using redirect::Family;
using redirect::RouteStep;
using redirect::RuleStep;
using warden::Routing;

namespace {

template <class Step>
bool has(Routing& routing, const Step& step) {
  return routing.missing_of(std::vector{step}).empty();
}

}  // namespace

TEST_CASE("Policy rules and routes are there once they are added, once, and away once they are removed") {
  if (!own_network()) return;
  REQUIRE(shell("PATH=$PATH:/usr/sbin ip link set lo up").status == 0);
  Routing routing;
  const auto check_step = [&](const auto& step) {
    CHECK_FALSE(has(routing, step));
    CHECK(routing.add(step));
    CHECK(has(routing, step));
    CHECK(routing.add(step));
    CHECK(routing.remove(step));
    CHECK_FALSE(has(routing, step));
    CHECK(routing.remove(step));
  };
  for (const Family family : {Family::v4, Family::v6}) {
    // A number for the header's octet, and one that only the attribute can hold.
    for (const std::uint32_t table : {100u, 5353u}) {
      CAPTURE(table);
      check_step(RuleStep{family, "home0", 0x5353, table});  // an interface that is yet to come
      check_step(RuleStep{family, {}, 0x5353, table});
      check_step(RouteStep{family, table});
    }
  }
}

TEST_CASE(
    "Of the rules for several interfaces the very one that is meant is removed, and an older one's for all first") {
  if (!own_network()) return;
  Routing routing;
  const RuleStep any{Family::v4, {}, 0x5353, 5353}, home{Family::v4, "home0", 0x5353, 5353},
      iot{Family::v4, "iot0", 0x5353, 5353};
  for (const RuleStep& step : {any, home, iot}) REQUIRE(routing.add(step));
  REQUIRE(routing.remove(any));
  CHECK(routing.rules_of({}) == std::vector{home, iot});
  REQUIRE(routing.remove(iot));
  CHECK(routing.rules_of({}) == std::vector{home});
}

TEST_CASE("Another's rule or route of the same table is not ours") {
  if (!own_network()) return;
  REQUIRE(shell("PATH=$PATH:/usr/sbin; ip link set lo up; ip rule add fwmark 0x1 lookup 5353; ip rule add fwmark "
                "0x5353/0xffff from 10.0.0.0/8 lookup 5353; ip route add local 10.0.0.0/8 dev lo table 5353")
              .status == 0);
  Routing routing;
  CHECK(routing.rules_of({}).empty());
  CHECK(routing.routes_of({}).empty());
}

TEST_CASE("What is missing of many is told") {
  if (!own_network()) return;
  REQUIRE(shell("PATH=$PATH:/usr/sbin; ip link set lo up").status == 0);
  Routing routing;
  const RuleStep rule4{Family::v4, "home0", 0x5353, 5353}, rule6{Family::v6, "home0", 0x5353, 5353};
  const RouteStep there{Family::v4, 5353}, gone{Family::v6, 5353};
  REQUIRE(routing.add(rule6));
  REQUIRE(routing.add(there));
  CHECK(routing.missing_of(std::vector{rule4, rule6}) == std::vector{rule4});
  CHECK(routing.missing_of(std::vector{there, gone}) == std::vector{gone});
  CHECK(routing.missing_of(std::vector<RouteStep>()).empty());
}

TEST_CASE("Rules and routes of others that clash with ours are told, others not") {
  if (!own_network()) return;
  REQUIRE(shell("PATH=$PATH:/usr/sbin; ip link set lo up; ip link add d0 type bridge; ip link set d0 up; ip addr add "
                "10.9.0.1/24 dev d0")
              .status == 0);
  Routing routing;
  const redirect::Kernel kernel;
  REQUIRE(routing.add(RuleStep{Family::v4, "d0", kernel.mark, kernel.table}));
  REQUIRE(routing.add(RouteStep{Family::v4, kernel.table}));
  // As an older Doline made it
  REQUIRE(shell("PATH=$PATH:/usr/sbin ip route add throw 10.9.0.0/24 table 5353").status == 0);
  struct Clash {
    const char *make, *undo, *told;  // empty: none
  };
  for (const auto& [make, undo, told] : {
           // As wg-quick: its rule comes before ours, but not for our mark.
           Clash{"ip rule add fwmark 0xca6c lookup 52 pref 100; ip route add default dev d0 table 52",
                 "ip rule del pref 100; ip route flush table 52", ""},
           // Before ours and for everybody, but with ways to its own only, as Tailscale without an exit.
           Clash{"ip rule add lookup 52 pref 5270; ip route add 10.8.0.0/16 dev d0 table 52",
                 "ip rule del pref 5270; ip route flush table 52", ""},
           Clash{"ip rule add lookup 52 pref 5270; ip route add default dev d0 table 52",
                 "ip rule del pref 5270; ip route flush table 52",
                 "preference 5270 (IPv4, to table 52) is asked before"},
           Clash{"ip rule add from 10.9.0.7 lookup 52 pref 5270; ip route add default dev d0 table 52",
                 "ip rule del pref 5270; ip route flush table 52", ""},
           // A mask through which our mark looks like theirs.
           Clash{"ip rule add fwmark 0x0300/0x0f00 lookup 52 pref 99; ip route add default dev d0 table 52",
                 "ip rule del pref 99; ip route flush table 52", "below 99, or another mark."},
           Clash{"ip rule add fwmark 0x0300/0x0f00 lookup 52 pref 6000; ip route add default dev d0 table 52",
                 "ip rule del pref 6000; ip route flush table 52", ""},
           Clash{"ip rule add fwmark 0x77 lookup 5353 pref 77", "ip rule del pref 77",
                 "preference 77 (IPv4, to table 5353) leads others to Doline's table"},
           Clash{"ip route add 10.7.0.0/16 dev d0 table 5353", "ip route del 10.7.0.0/16 dev d0 table 5353",
                 "Table 5353 has routes of somebody else."},
       }) {
    CAPTURE(make);
    REQUIRE(shell(std::string("PATH=$PATH:/usr/sbin; ") + make).status == 0);
    const auto found = routing.find_clashes(kernel);
    CHECK(found.size() == (*told == '\0' ? 0 : 1));
    if (!found.empty()) {
      CHECK(found.front().find(told) != std::string::npos);
      CHECK(found.front().find("Cure: ") != std::string::npos);
    }
    REQUIRE(shell(std::string("PATH=$PATH:/usr/sbin; ") + undo).status == 0);
    CHECK(routing.find_clashes(kernel).empty());
  }
}

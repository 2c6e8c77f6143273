#include "warden/routing.h"

#include <doctest/doctest.h>

#include "own_network.h"

using namespace doline;
using namespace doline::tests;
using redirect::Family;
using redirect::RouteStep;
using redirect::RuleStep;
using warden::Routing;

TEST_CASE("Policy rules and routes are there once they are added, once, and away once they are removed") {
  if (!own_network()) return;
  REQUIRE(shell("PATH=$PATH:/usr/sbin ip link set lo up").status == 0);
  Routing routing;
  const auto check_step = [&](const auto& step) {
    CHECK_FALSE(routing.has(step));
    CHECK(routing.add(step));
    CHECK(routing.has(step));
    CHECK(routing.add(step));
    CHECK(routing.remove(step));
    CHECK_FALSE(routing.has(step));
    CHECK(routing.remove(step));
  };
  for (const Family family : {Family::v4, Family::v6}) {
    // A number for the header's octet, and one that only the attribute can hold.
    for (const std::uint32_t table : {100u, 5353u}) {
      CAPTURE(table);
      check_step(RuleStep{family, 0x5353, table});
      check_step(RouteStep{family, RouteStep::Kind::local_default, {}, table});
    }
  }
  check_step(RouteStep{Family::v4, RouteStep::Kind::throw_back, *IpPrefix::parse("192.168.50.0/24"), 5353});
  check_step(RouteStep{Family::v4, RouteStep::Kind::throw_back, *IpPrefix::parse("192.168.50.7/32"), 5353});
}

TEST_CASE("Another's rule or route of the same table is not ours") {
  if (!own_network()) return;
  REQUIRE(shell("PATH=$PATH:/usr/sbin; ip link set lo up; ip rule add fwmark 0x1 lookup 5353; ip route add throw "
                "10.0.0.0/8 table 5353")
              .status == 0);
  Routing routing;
  CHECK_FALSE(routing.has(RuleStep{Family::v4, 0x5353, 5353}));
  CHECK_FALSE(routing.has(RouteStep{Family::v4, RouteStep::Kind::local_default, {}, 5353}));
  CHECK_FALSE(routing.has(RouteStep{Family::v4, RouteStep::Kind::throw_back, *IpPrefix::parse("10.0.0.0/9"), 5353}));
  CHECK(routing.has(RouteStep{Family::v4, RouteStep::Kind::throw_back, *IpPrefix::parse("10.0.0.0/8"), 5353}));
}

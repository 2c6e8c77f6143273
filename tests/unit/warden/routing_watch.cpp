#include "warden/routing_watch.h"

#include <doctest/doctest.h>

#include <string>

#include "own_network.h"

using namespace doline::tests;
using doline::warden::RoutingWatch;

TEST_CASE("Removed policy rules and routes of other tables are told, what is added and the main table's are not") {
  if (!own_network()) return;
  const std::string ip = "PATH=$PATH:/usr/sbin; set -e; ip link set lo up; ";
  REQUIRE(shell(ip + "ip link add far0 type veth peer name far1; ip link set far1 up; ip link set far0 up; ip addr add "
                     "192.0.2.1/24 dev far0")
              .status == 0);
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  {
    int told = 0, told_of_addresses = 0;
    RoutingWatch watch(&loop, [&] { ++told; }, [&] { ++told_of_addresses; });
    const auto told_of = [&](const std::string& commands) {
      REQUIRE(shell(ip + commands).status == 0);
      told = 0;
      uv_run(&loop, UV_RUN_NOWAIT);  // whatever the kernel tells lies there already
      return told;
    };
    CHECK(told_of("ip rule add pref 77 fwmark 7 lookup 777; ip -6 rule add pref 77 fwmark 7 lookup 777") == 0);
    CHECK(told_of("ip route add local default dev lo table 777; ip -6 route add local default dev lo table 777") == 0);
    CHECK(told_of("ip route add 198.51.100.0/24 dev far0; ip route del 198.51.100.0/24 dev far0") == 0);
    CHECK(told_of_addresses == 0);
    CHECK(told_of("ip addr add 192.0.2.129/25 dev far0; ip -6 addr add 2001:db8::1/64 dev far0 nodad") == 0);
    CHECK(told_of_addresses == 1);
    CHECK(told_of("ip addr del 192.0.2.129/25 dev far0") == 0);
    CHECK(told_of_addresses == 2);
    CHECK(told_of("ip rule del pref 77") == 1);
    CHECK(told_of("ip -6 rule del pref 77") == 1);
    CHECK(told_of("ip route del local default table 777") == 1);
    CHECK(told_of("ip -6 route del local default table 777") == 1);
    CHECK(told_of("for i in $(seq 20); do ip rule add pref $i lookup 777; ip rule del pref $i; done") == 1);
    // More than was read is told as well, and then it goes on.
    CHECK(told_of("for i in $(seq 3000); do echo rule add pref $i lookup 777; echo rule del pref $i; done | ip -batch "
                  "-") > 0);
    while (told_of("") > 0) {
    }
    CHECK(told_of("ip rule add pref 77 fwmark 7 lookup 777; ip rule del pref 77") == 1);
    watch.close();
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  CHECK(uv_loop_close(&loop) == 0);
}

#include "warden/conntrack.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "small_home.h"

using namespace doline;
using namespace doline::tests;
using redirect::OriginQuestion;
using redirect::Protocol;
using warden::Conntrack;

namespace {

const std::vector<std::uint16_t> dns{53};

/// The kernel tracks flows where a rule wants to know them.
void track_flows() {
  REQUIRE(
      shell("PATH=$PATH:/usr/sbin nft 'table inet t { chain f { type filter hook prerouting priority 0 ; ct state new "
            "counter ; } ; chain o { type filter hook output priority 0 ; ct state new counter ; } ; }'")
          .status == 0);
}

/// A flow that nobody redirects: its reply comes from the very address that was asked.
bool is_known(Conntrack& conntrack, const Endpoint& client, const Endpoint& asked) {
  return conntrack.origin_of({.ticket = 0, .protocol = Protocol::udp, .client = client, .local = asked}) == asked;
}

/// On a busy machine the kernel takes its time from send() to the table.
bool becomes_known(Conntrack& conntrack, const Endpoint& client, const Endpoint& asked) {
  for (int tries = 0; tries < 1'000; ++tries) {
    if (is_known(conntrack, client, asked)) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

Endpoint name_of(const Socket& socket, const char* address) {
  SocketAddress name;
  REQUIRE(getsockname(socket.get(), name.get(), &name.length) == 0);
  return {*IpAddress::parse(address), to_endpoint(name.get()).port};
}

}  // namespace

TEST_CASE("A flow is found by its reply, and only by its own") {
  const auto home = SmallHome::build();
  if (!home) return;
  track_flows();
  Conntrack conntrack;
  for (const Endpoint& asked : {foreign_v4, foreign_v6}) {
    const bool is_v4 = asked.address.is_v4();
    const Socket device = home->device_socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM);
    send_to(device, asked);
    const Endpoint client = name_of(device, is_v4 ? "192.168.50.31" : "2001:db8:50::31");
    CHECK(becomes_known(conntrack, client, asked));
    CHECK_FALSE(is_known(conntrack, {client.address, static_cast<std::uint16_t>(client.port ^ 1)}, asked));
    CHECK_FALSE(conntrack.origin_of({.ticket = 0, .protocol = Protocol::tcp, .client = client, .local = asked}));
  }
  // Of two families: no such flow, and no question to the kernel.
  CHECK_FALSE(conntrack.origin_of({.ticket = 0, .protocol = Protocol::udp, .client = foreign_v4, .local = foreign_v6}));
}

TEST_CASE("Flows of the LAN to these ports are forgotten, this machine's own and other ports' are not") {
  const auto home = SmallHome::build();
  if (!home) return;
  track_flows();
  Conntrack conntrack;
  const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
  const Socket device_v6 = home->device_socket(AF_INET6, SOCK_DGRAM);
  const Endpoint other_port{foreign_v4.address, 123};
  send_to(device, foreign_v4);
  send_to(device_v6, foreign_v6);
  send_to(device, other_port);
  const Socket ours = bound_socket({IpAddress::v4(203, 0, 113, 1), 40'000});
  send_to(ours, foreign_v4);
  const Endpoint client = name_of(device, "192.168.50.31"), client_v6 = name_of(device_v6, "2001:db8:50::31");
  const Endpoint us{IpAddress::v4(203, 0, 113, 1), 40'000};
  REQUIRE(becomes_known(conntrack, client, foreign_v4));
  REQUIRE(becomes_known(conntrack, client_v6, foreign_v6));
  REQUIRE(becomes_known(conntrack, client, other_port));
  REQUIRE(becomes_known(conntrack, us, foreign_v4));

  CHECK(conntrack.forget(dns) == 2);
  CHECK_FALSE(is_known(conntrack, client, foreign_v4));
  CHECK_FALSE(is_known(conntrack, client_v6, foreign_v6));
  CHECK(is_known(conntrack, client, other_port));
  CHECK(is_known(conntrack, us, foreign_v4));
  CHECK(conntrack.forget(dns) == 0);
}

TEST_CASE("A flow that a late answer of ours began backwards is forgotten, whichever are asked for") {
  const auto home = SmallHome::build();
  if (!home) return;
  track_flows();
  Conntrack conntrack;
  using Which = Conntrack::Which;
  for (const Which which : {Which::all, Which::redirected, Which::not_redirected}) {
    const auto made = shell(
        "PATH=$PATH:/usr/sbin conntrack -I -p udp -s 114.114.114.114 -d 192.168.50.31 --sport 53 --dport 5557 -t 60 "
        "2>&1");
    CAPTURE(made.output);
    REQUIRE(made.status == 0);
    CHECK(conntrack.forget(dns, which, 5399) == 1);
    CHECK(conntrack.forget(dns, which, 5399) == 0);
  }
}

TEST_CASE("Redirected flows are told from the others") {
  const auto home = SmallHome::build();
  if (!home) return;
  track_flows();
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft 'table inet r { chain f { type nat hook prerouting priority dstnat ; iifname "
                "home0 udp dport 53 redirect to :5399 ; } ; }'")
              .status == 0);
  Conntrack conntrack;
  const Endpoint gateway{IpAddress::v4(192, 168, 50, 1), 5399};
  const Socket listener = bound_socket(gateway);
  const Socket redirected = home->device_socket(AF_INET, SOCK_DGRAM);
  send_to(redirected, foreign_v4);
  const auto client = sender_of_next(listener);
  REQUIRE(client);
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft delete table inet r").status == 0);
  const Socket passing = home->device_socket(AF_INET, SOCK_DGRAM);
  send_to(passing, foreign_v4);
  REQUIRE(becomes_known(conntrack, name_of(passing, "192.168.50.31"), foreign_v4));

  const redirect::OriginQuestion question{.ticket = 0, .protocol = Protocol::udp, .client = *client, .local = gateway};
  CHECK(conntrack.forget(dns, Conntrack::Which::redirected, 5398) == 0);
  CHECK(conntrack.forget(dns, Conntrack::Which::not_redirected, 5399) == 1);
  CHECK(conntrack.origin_of(question) == foreign_v4);
  CHECK(conntrack.forget(dns, Conntrack::Which::not_redirected, 5399) == 0);
  CHECK(conntrack.forget(dns, Conntrack::Which::redirected, 5399) == 1);
  CHECK_FALSE(conntrack.origin_of(question));
}

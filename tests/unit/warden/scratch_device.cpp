#include "warden/scratch_device.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <string>

#include "own_network.h"
#include "small_home.h"

using namespace doline;
using namespace doline::tests;
using warden::ScratchDevice;

namespace {

std::string machine() {
  // Whether a bridge has a carrier, the kernel notices late.
  return shell(
             "PATH=$PATH:/usr/sbin; { ip -o link | cut -d: -f2; ip route; ip -6 route | grep -v ^fe80\n"
             "ip neighbour; ip -6 neighbour; } | sed 's/ linkdown//'")
      .output;
}

}  // namespace

TEST_CASE("A device that is not there speaks to the machine through the bridge, and leaves nothing behind") {
  if (!own_network()) return;
  REQUIRE(shell("set -e; PATH=$PATH:/usr/sbin\n"
                "ip link set lo up; ip link add br0 address 02:d0:11:00:50:01 type bridge forward_delay 0\n"
                "ip link set br0 addrgenmode none up\n"
                "sysctl -qw net.ipv6.conf.br0.accept_dad=0\n"
                "ip addr add 192.168.50.1/24 dev br0; ip -6 addr add 2001:db8:50::1/64 dev br0 nodad\n"
                // As if all the world were here: what is asked of the foreign resolver comes to a socket of ours.
                "ip addr add 192.0.2.53/32 dev lo; ip -6 addr add 2001:db8::53/128 dev lo nodad")
              .status == 0);
  const std::string before = machine();
  {
    const auto device = ScratchDevice::attach("br0");
    if (!device) MESSAGE(device.error());
    REQUIRE(device);
    for (const auto& [own, resolver] : {std::pair(warden::scratch_v4, warden::scratch_resolver_v4),
                                        std::pair(warden::scratch_v6(), warden::scratch_resolver_v6())}) {
      CAPTURE(own.to_string());
      const Socket there = bound_socket({resolver, 53});
      const Socket here(device->socket(own.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM));
      REQUIRE(here.get() >= 0);
      std::optional<Endpoint> sender;
      for (int tries = 0; tries < 20 && !sender; ++tries) {
        send_to(here, {resolver, 53});
        sender = sender_of_next(there, 500);
      }
      REQUIRE(sender);
      CHECK(sender->address == own);
      // A bridge that has had no port sends nothing until the kernel has noticed this one.
      std::optional<Endpoint> answerer;
      for (int tries = 0; tries < 20 && !answerer; ++tries) {
        send_to(there, *sender);
        answerer = sender_of_next(here, 500);
      }
      CHECK(answerer == Endpoint{resolver, 53});
    }
  }
  CHECK(machine() == before);
}

TEST_CASE("Where no device can be put, it is said why") {
  if (!own_network()) return;
  const auto absent = ScratchDevice::attach("br0");
  CHECK((!absent && absent.error() == "there is no interface br0"));
  const auto port = ScratchDevice::attach("lo");
  CHECK((!port && port.error() == "lo is no bridge, so that no other device can be put behind it"));
}

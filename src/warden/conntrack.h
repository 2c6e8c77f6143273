// Conntrack: two questions to the kernel's flow table: whom was a redirected query meant for, and "forget the DNS flows
// of the LAN", without which a live flow keeps the path it had before the rules changed (INTERCEPTION: live flows on
// apply and remove).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/ip_address.h"
#include "redirect/origin.h"
#include "warden/netlink.h"

namespace doline::warden {

class Conntrack {
 public:
  Conntrack() : netlink_(NETLINK_NETFILTER) {}

  /// By the reply's tuple, local → client. About 7 µs. Nothing: no such flow.
  [[nodiscard]] std::optional<Endpoint> origin_of(const redirect::OriginQuestion& question);
  /// Which flows to the ports: `redirected` ones have their answers come from this machine's private port (`nat`).
  enum class Which : std::uint8_t { all, redirected, not_redirected };
  /// Deletes the UDP and TCP flows to these ports, both families, but not those of this machine itself: its own queries
  /// are not intercepted, and their answers must find a way back through a firewall. A redirected flow that is deleted
  /// loses the answer under way: nobody knows then whom it should come from. Flows from these ports too, whichever are
  /// asked for: our own late answer to a flow that was forgotten begins one backwards, and what the device asks after
  /// that counts as its replies, which no rule of nat sees. Returns how many.
  Result<std::size_t, NetlinkFault> forget(std::span<const std::uint16_t> ports, Which which = Which::all,
                                           std::uint16_t nat_port = 0);

 private:
  Netlink netlink_;
};

}  // namespace doline::warden

// Destination: the address and port a device *meant* to ask, and how we know it.
//
// The one word that Doline exists for. A query that came to an ordinary socket was meant for us (`local`); one that the
// redirect brought home was meant for a foreign resolver, and every step down to the log carries that resolver's
// address.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ip_address.h"

namespace doline::device {

/// How the original destination is known. The numbers are stored in query logs: never renumber, only append.
enum class DestinationSource : std::uint8_t {
  local = 0,      ///< came to our own address: not intercepted
  tproxy = 1,     ///< transparent socket (IP_ORIGDSTADDR, getsockname)
  conntrack = 2,  ///< NAT: conntrack's original tuple, SO_ORIGINAL_DST
  edns = 3,       ///< an EDNS option of a trusted router
  proxy = 4,      ///< PROXY v2 header of a trusted router
  port_map = 5,   ///< a port of ours stands for one known resolver
  imported = 6,   ///< read from a capture or a foreign log
  seen = 7,       ///< seen on its way there, and left alone (`redirect: {mode: audit}`)
};

struct Destination {
  Endpoint endpoint;
  DestinationSource source = DestinationSource::local;

  [[nodiscard]] bool is_intercepted() const { return source != DestinationSource::local; }
  auto operator<=>(const Destination&) const = default;
};

/// A port of ours that stands for one known resolver: what a router that can only rewrite destinations sends there was
/// meant for it.
struct MappedPort {
  std::uint16_t port = 0;
  IpAddress resolver;
  auto operator<=>(const MappedPort&) const = default;
};
inline constexpr std::size_t mapped_ports_max = 1'024;

[[nodiscard]] std::string_view to_string(DestinationSource source);

}  // namespace doline::device

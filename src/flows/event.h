// What the warden tells the log writer of the connections of devices: packets that rules logged, as they came, and what
// conntrack counted. Values; the warden looks into no packet, so that octets from outside meet no privilege.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "redirect/watch_rules.h"

namespace doline::flows {

/// The rule's prefix names it: a new connection to the outside (to a DNS port, to a port or known address of encrypted
/// DNS, to anything else), or any packet that may hold a query to a foreign resolver (`redirect: {mode: audit}`).
using redirect::LoggedBy;

struct LoggedPacket {
  WallTime time;
  device::MacAddress mac;  ///< zeros where the link has none
  std::string interface;   ///< by which it came in
  LoggedBy rule = LoggedBy::connection;
  std::vector<std::uint8_t> octets;  ///< from the IP header on; at most redirect::query_octets_logged
  bool operator==(const LoggedPacket&) const = default;
};

/// One connection, as conntrack tells it from all that live at the same time.
struct Tuple {
  std::uint8_t protocol = 0;     ///< IPPROTO_...
  Endpoint client, destination;  ///< ports are 0 where the protocol has none
  auto operator<=>(const Tuple&) const = default;
};

/// Since the connection began; octets with their IP headers.
struct Traffic {
  std::uint64_t packets_out = 0, octets_out = 0;  ///< from the device
  std::uint64_t packets_in = 0, octets_in = 0;
  bool operator==(const Traffic&) const = default;
};

struct TrafficReport {
  Tuple tuple;
  Traffic traffic;
  bool has_ended = false;  ///< conntrack forgets the connection: nothing more will come
  bool operator==(const TrafficReport&) const = default;
};

using Event = std::variant<LoggedPacket, TrafficReport>;

}  // namespace doline::flows

template <>
struct std::hash<doline::flows::Tuple> {
  std::size_t operator()(const doline::flows::Tuple& tuple) const noexcept {
    const std::uint64_t ports = std::uint64_t{tuple.client.port} << 24 | std::uint64_t{tuple.destination.port} << 8;
    std::uint64_t mixed = (ports | tuple.protocol) * 0x9e3779b97f4a7c15ULL;
    mixed ^= std::hash<doline::IpAddress>()(tuple.client.address) + (mixed << 6) + (mixed >> 2);
    mixed ^= std::hash<doline::IpAddress>()(tuple.destination.address) * 0xd6e8feb86659fd93ULL;
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
  }
};

// Arrival: one query as it came in, and the route its response must take back.
#pragma once

#include <cstdint>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/destination.h"
#include "dns/message.h"

namespace doline::listener {

/// Way of arrival, as far as the answer differs: datagrams have a size limit, streams have not.
enum class Carrier : std::uint8_t { udp, tcp };

/// How a response goes back: from the very address and port the query was sent to. Small, by value; outlives the
/// arrival.
struct ReplyRoute {
  Carrier carrier = Carrier::udp;
  std::uint16_t socket = 0;      ///< udp: which of this worker's sockets
  std::uint32_t interface = 0;   ///< index of arrival: udp for link-local sources; of all after tell_interfaces()
  IpAddress local;               ///< udp: source address of the response (PKTINFO)
  std::uint64_t connection = 0;  ///< tcp: which connection; one that has ended swallows the response
  std::uint16_t worker = 0;      ///< whose socket or connection it is (set by the worker, not by listeners)
};

/// Everything known about a query before it is parsed. `message` is borrowed for the time of the call.
struct Arrival {
  dns::Octets message;
  Endpoint client;
  IpAddress behind{};  ///< whose query the trusted router `client` passes on (PROXY v2); unspecified: its own
  device::Destination destination;  ///< `local` with our own address, or the foreign resolver that was meant
  ReplyRoute route;
  Moment at;  ///< one reading per batch

  [[nodiscard]] bool is_passed_on() const { return behind != IpAddress(); }
};

}  // namespace doline::listener

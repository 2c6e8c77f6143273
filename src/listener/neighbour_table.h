// NeighbourTable: the kernel's neighbour table (ARP and IPv6 neighbour discovery; rtnetlink, no capability needed):
// which MAC address a client of this LAN has.
//
// The kernel enters a client there while that resolves our address, so mostly before its first query. A client that
// knows our MAC already, and has a new address, it meets only when something is sent there. One owner, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "device/mac_address.h"
#include "device/roster.h"

namespace doline::listener {

/// Asks the kernel for the rows of a family (AF_UNSPEC: all), which come as datagrams on `netlink`; false: see errno.
bool request_neighbours(int netlink, unsigned char family);

struct Neighbour {
  device::Sighting sighting;
  unsigned interface = 0;  ///< its index
};

/// The neighbours in one datagram of RTM_NEWNEIGH messages; what is malformed, multicast, NOARP or without MAC is
/// passed over.
[[nodiscard]] std::vector<Neighbour> parse_neighbours(std::span<const std::uint8_t> datagram);

class NeighbourTable {
 public:
  NeighbourTable();
  ~NeighbourTable();
  NeighbourTable(const NeighbourTable&) = delete;
  NeighbourTable& operator=(const NeighbourTable&) = delete;

  /// Reads all rows of the client's family, for the kernel tells none by its address alone. None where the kernel knows
  /// none, or no netlink socket could be had.
  [[nodiscard]] std::optional<device::MacAddress> find(const IpAddress& client);
  /// Has the kernel find out about a client that find() does not know, by an empty datagram to its discard port. False:
  /// it is no neighbour (behind a router, or on a link without MACs), or nothing can be sent there.
  bool meet(const IpAddress& client);

 private:
  int netlink_;                              // -1: none could be had
  int knocking_v4_ = -1, knocking_v6_ = -1;  // made at the first use
};

}  // namespace doline::listener

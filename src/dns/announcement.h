// Announcement: what a multicast DNS response (RFC 6762) says of names: hosts with their addresses, and instances of
// services with the hosts that they are on (RFC 6763). It has no question, and anyone on the link may send one.
//
// A value that borrows nothing. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "dns/message.h"
#include "dns/name.h"

namespace doline::dns {

inline constexpr std::size_t announced_records_max = 256;  ///< of one message; what stands behind is not read

struct Announcement {
  struct Host {
    Name name;  ///< in the case that was sent
    IpAddress address;
  };
  struct Instance {
    Name name;                 ///< `Living Room._airplay._tcp.local`
    std::optional<Name> host;  ///< of its SRV record
  };
  std::vector<Host> hosts;
  std::vector<Instance> instances;
};

/// Records that say goodbye (TTL 0) are left out, and those of other types and classes. The fault: it is no response,
/// or one of those records does not parse.
[[nodiscard]] Result<Announcement, MessageFault> read_announcement(Octets message);

}  // namespace doline::dns

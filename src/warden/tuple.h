// Tuple: how conntrack names one direction of a flow.
#pragma once

#include <cstdint>

#include "base/ip_address.h"
#include "warden/netlink.h"

namespace doline::warden {

struct Tuple {
  std::uint8_t protocol = 0;  ///< IPPROTO_...
  Endpoint source, destination;
};

/// Of CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. What is not there stays as it is above.
[[nodiscard]] Tuple read_tuple(const nlattr& nest);

}  // namespace doline::warden

// A PROXY header, version 2, as a router writes it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.h"

namespace doline::tests {

/// Of a datagram. Both endpoints are of one family.
inline std::vector<std::uint8_t> proxy_octets(const Endpoint& client, const Endpoint& destination) {
  std::vector<std::uint8_t> octets{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21};
  const bool is_v4 = client.address.is_v4();
  octets.push_back(is_v4 ? 0x12 : 0x22);
  octets.push_back(0);
  octets.push_back(is_v4 ? 12 : 36);
  for (const Endpoint* end : {&client, &destination})
    octets.insert(octets.end(), end->address.octets().begin(), end->address.octets().end());
  for (const Endpoint* end : {&client, &destination}) {
    octets.push_back(static_cast<std::uint8_t>(end->port >> 8));
    octets.push_back(static_cast<std::uint8_t>(end->port));
  }
  return octets;
}

}  // namespace doline::tests

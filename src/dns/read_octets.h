// Numbers in a message, for who has checked that they are there.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>

#include "dns/message.h"

namespace doline::dns {

[[nodiscard]] inline std::uint16_t read16(Octets octets, std::size_t at) {
  std::uint16_t in_order;
  std::memcpy(&in_order, octets.data() + at, sizeof in_order);
  return ntohs(in_order);
}
[[nodiscard]] inline std::uint32_t read32(Octets octets, std::size_t at) {
  std::uint32_t in_order;
  std::memcpy(&in_order, octets.data() + at, sizeof in_order);
  return ntohl(in_order);
}
/// Of a whole header: RCODE without what EDNS adds.
[[nodiscard]] inline ResponseCode code_of(Octets message) {
  return static_cast<ResponseCode>(message[3] & 0x0f);
}
/// Where the name at `at` ends, by its labels or a pointer; of octets that are known to be well formed, never beyond
/// their end by more than a label.
[[nodiscard]] inline std::size_t behind_name(Octets octets, std::size_t at) {
  while (at < octets.size() && octets[at] != 0 && octets[at] < 0xc0) at += octets[at] + 1u;
  return at + (at < octets.size() && octets[at] >= 0xc0 ? 2 : 1);
}

}  // namespace doline::dns

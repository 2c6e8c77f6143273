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

}  // namespace doline::dns

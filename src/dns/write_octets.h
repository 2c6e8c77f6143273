// Numbers into a message, for who has checked that there is room.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>

namespace doline::dns {

inline void put16(std::uint8_t* at, std::uint16_t value) {
  const std::uint16_t in_order = htons(value);
  std::memcpy(at, &in_order, sizeof in_order);
}
inline void put32(std::uint8_t* at, std::uint32_t value) {
  const std::uint32_t in_order = htonl(value);
  std::memcpy(at, &in_order, sizeof in_order);
}

}  // namespace doline::dns

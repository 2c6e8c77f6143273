// Numbers in a message, for who has checked that they are there.
#pragma once

#include <cstdint>

#include "dns/message.h"

namespace doline::dns {

[[nodiscard]] inline std::uint16_t read16(Octets octets, std::size_t at) {
  return static_cast<std::uint16_t>(octets[at] << 8 | octets[at + 1]);
}
[[nodiscard]] inline std::uint32_t read32(Octets octets, std::size_t at) {
  return std::uint32_t{read16(octets, at)} << 16 | read16(octets, at + 2);
}

}  // namespace doline::dns

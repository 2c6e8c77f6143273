// Lanes: sixteen octets side by side, compared at once. GCC's and clang's vectors, of no one machine. Private to the
// room.
#pragma once

#include <cstdint>
#include <cstring>

namespace doline::blocklist {

using Lanes [[gnu::vector_size(16)]] = std::uint8_t;

/// `octets` has at least sixteen.
inline Lanes load_lanes(const void* octets) {
  Lanes lanes;
  std::memcpy(&lanes, octets, sizeof lanes);
  return lanes;
}

/// Bit n: lane n is not 0. Each is 0 or 0xff, as comparisons make them.
inline std::uint32_t bits_of(Lanes lanes) {
  using Words [[gnu::vector_size(16)]] = std::uint64_t;
  constexpr Lanes bits{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  constexpr std::uint64_t sum = 0x0101010101010101;  // as factor: of all octets of a word, in the highest
  const auto words = reinterpret_cast<Words>(lanes & bits);
  if ((words[0] | words[1]) == 0) return 0;
  return static_cast<std::uint32_t>(words[0] * sum >> 56 | words[1] * sum >> 56 << 8);
}

}  // namespace doline::blocklist

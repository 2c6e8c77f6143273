// each_suffix_hash(): a name's hash and those of its ancestors, each from the one before. For what is kept by name and
// asked about below it; never stored.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "dns/name.h"

namespace doline::policy {

/// `label`: its length octet and its octets, inside a Name's block.
[[nodiscard]] inline std::uint64_t hash_with_label(std::uint64_t hash, const std::uint8_t* label,
                                                   std::size_t octets_readable) {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15;
  const std::size_t octets = label[0] + std::size_t{1};
  for (std::size_t at = 0; at < octets; at += 8) {
    const std::size_t count = octets - at;
    std::uint64_t word = 0;
    if (count >= 8 || octets_readable - at >= 8) {
      std::memcpy(&word, label + at, 8);
      if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
      if (count < 8) word &= (std::uint64_t{1} << (8 * count)) - 1;
    } else {
      for (std::size_t more = 0; more < count; ++more) word |= std::uint64_t{label[at + more]} << (8 * more);
    }
    hash = (hash ^ word) * factor;
    hash ^= hash >> 32;
  }
  return hash;
}

/// Calls `take(hash)` for the name itself and for every ancestor, the root included, from the root on.
template <class Take>
void each_suffix_hash(const dns::Name& lowered, Take take) {
  const std::uint8_t* const octets = lowered.wire().data();
  std::array<std::uint8_t, dns::labels_max> begins;  // [0, count)
  std::size_t count = 0;
  for (std::size_t at = 0; octets[at] != 0; at += octets[at] + std::size_t{1})
    begins[count++] = static_cast<std::uint8_t>(at);
  std::uint64_t hash = 0;
  take(hash);
  while (count-- > 0) {
    hash = hash_with_label(hash, octets + begins[count], dns::Name::octets_readable - begins[count]);
    take(hash);
  }
}

[[nodiscard]] inline std::uint64_t whole_hash(const dns::Name& lowered) {
  std::uint64_t whole = 0;
  each_suffix_hash(lowered, [&](std::uint64_t hash) { whole = hash; });
  return whole;
}

}  // namespace doline::policy

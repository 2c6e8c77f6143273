// Image: the octets of a compiled file, made from a Gathering. The other half of list_set.cpp; FORMAT.md describes
// both.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "blocklist/gathering.h"

namespace doline::blocklist {

enum class ImageFault : std::uint8_t {
  unlucky_seed,  ///< two names that a look-up could not tell apart, or too many in one place: gather again under
                 ///< another
  too_large,     ///< the interned sets do not fit their 32-bit bounds
};

struct Image {
  std::vector<std::uint8_t> octets;
  std::uint64_t names = 0;
  std::vector<std::uint32_t> names_of_list;  ///< distinct, by ListId
};

/// Empties `gathering`, whose distinct names merge() has just counted as `names`.
[[nodiscard]] Result<Image, ImageFault> make_image(Gathering& gathering, std::uint64_t names, std::uint64_t seed,
                                                   std::uint64_t fingerprint, std::size_t list_count, Depths named,
                                                   Depths below);

/// Puts right the checksums of an image whose sections have been written or (in fuzz targets) changed.
void seal(std::vector<std::uint8_t>& octets);

}  // namespace doline::blocklist

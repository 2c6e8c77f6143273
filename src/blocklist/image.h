// Image: the octets of a compiled file, made from a Gathering. The other half of list_set.cpp; FORMAT.md describes
// both.
#pragma once

#include <cstdint>
#include <functional>
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
  FileHeader header;
  std::vector<ListSummary> lists;
};
/// Takes the file from its beginning to its end, piece by piece. In place of the header, which is complete last, come
/// 512 octets of 0.
using OnOctets = std::function<void(Octets)>;

/// Takes what merge() has just sorted, whose distinct names it counted as `names`, and lets go of it.
[[nodiscard]] Result<Image, ImageFault> make_image(Gathering gathering, std::uint64_t names, const Seed& seed,
                                                   std::uint64_t fingerprint, std::size_t list_count, Depths below,
                                                   const OnOctets& on_octets);

}  // namespace doline::blocklist

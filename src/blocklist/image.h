// Image: a compiled file before it is written, made from a Gathering. The other half of list_set.cpp; FORMAT.md
// describes both.
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

/// The header, which describes the sections, and the sections in their order.
struct Image {
  FileHeader header;
  std::vector<Block> blocks;
  std::vector<std::uint8_t> codes;
  std::vector<RareStatement> rare;
  std::vector<Statement> statements;
  std::vector<std::uint32_t> set_bounds;
  std::vector<std::uint16_t> set_members;
  std::vector<ListSummary> lists;

  /// The file from its beginning to its end; borrowed from this value.
  [[nodiscard]] std::vector<Octets> pieces() const;
};

/// Takes what merge() has just sorted, whose distinct names it counted as `names`, and lets go of it.
[[nodiscard]] Result<Image, ImageFault> make_image(Gathering gathering, std::uint64_t names, const Seed& seed,
                                                   std::uint64_t fingerprint, std::size_t list_count, Depths below);

}  // namespace doline::blocklist

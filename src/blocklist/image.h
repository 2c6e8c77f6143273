// Image: the octets of a compiled file, made from a Gathering. The other half of list_set.cpp; FORMAT.md describes
// both.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "blocklist/gathering.h"
#include "blocklist/rule_table.h"

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

/// What is to be written.
struct ImageInput {
  Gathering gathering;  ///< which merge() has just sorted
  std::uint64_t names;  ///< distinct ones, as merge() counted them
  Seed seed;
  std::uint64_t fingerprint;
  std::vector<bool> dropped;  ///< a flag a list: what it says does not count
  Depths below;
  RuleTable rules;
};
[[nodiscard]] Result<Image, ImageFault> make_image(ImageInput input, const OnOctets& on_octets);

}  // namespace doline::blocklist

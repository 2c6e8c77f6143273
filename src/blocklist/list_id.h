// The numbers of lists.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/id.h"

namespace doline::blocklist {

/// Position of a list in the set, in the order of the configuration.
using ListId = Id<struct ListTag, std::uint16_t>;
inline constexpr std::size_t lists_max = 4096;

}  // namespace doline::blocklist

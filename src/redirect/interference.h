// Interference: what else in a machine's ruleset touches DNS on its way, found by reading `nft list ruleset`, in
// sentences.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "redirect/options.h"

namespace doline::redirect {

inline constexpr std::size_t ruleset_octets_max = 8u << 20;

/// `ruleset`: what `nft list ruleset` prints; our own tables are passed over. Total: an unknown line is no line. At
/// most sentences_max sentences.
[[nodiscard]] std::vector<std::string> find_interference(std::string_view ruleset, const Options& options);

}  // namespace doline::redirect

// Interference: what else on a machine touches DNS on its way, or uses the numbers that ours uses: found by reading
// what nft and legacy iptables list, and its settings; in sentences, each with its cure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "redirect/host_facts.h"
#include "redirect/options.h"

namespace doline::redirect {

inline constexpr std::size_t ruleset_octets_max = 8u << 20;

/// `ruleset`: what `nft list ruleset` prints; our own tables are passed over. Total: an unknown line is no line. At
/// most sentences_max sentences.
[[nodiscard]] std::vector<std::string> find_interference(std::string_view ruleset, const Options& options);

/// `rules`: what `iptables-legacy -t TABLE -S` prints, which nft does not show.
[[nodiscard]] std::vector<std::string> find_legacy_interference(std::string_view table, std::string_view rules,
                                                                const Options& options);
/// Why stray DNS would have no answer at all as long as the rules are there; nothing where it has.
[[nodiscard]] std::optional<std::string> find_trap(const Options& options, const HostFacts& facts);
/// Settings of the machine that stand in the way, that one among them.
[[nodiscard]] std::vector<std::string> find_hindrances(const Options& options, const HostFacts& facts);

}  // namespace doline::redirect

// Pieces of nft scripts that both the rules (nft_rules.h) and the gate (gate_rules.h) are written of. Pure; options
// have no problems.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "redirect/options.h"

namespace doline::redirect {

/// `{ a, b }` of whatever `text` makes of each value; of at least one.
template <class Values, class Text>
std::string braces(const Values& values, Text text) {
  std::string result;
  for (const auto& value : values) result += (result.empty() ? "{ " : ", ") + text(value);
  return result + " }";
}

[[nodiscard]] std::string interfaces_of(const Options& options);
/// A rule for each prefix that returns; `field`: saddr, daddr.
[[nodiscard]] std::string return_for(std::string_view field, const std::vector<IpPrefix>& prefixes);
/// Rules that return for the MAC addresses that are exempt; none where there are none.
[[nodiscard]] std::string return_for(const std::vector<device::MacAddress>& macs);
/// All that is exempt, by whom and to whom.
[[nodiscard]] std::string return_for_exempt(const Options& options);

}  // namespace doline::redirect

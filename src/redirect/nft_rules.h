// The nft scripts of a plan. A script has one statement per line and no line continues another, so that the warden can
// send it to `nft -i` as one line, that is as one transaction.
#pragma once

#include <string>
#include <vector>

#include "redirect/host_facts.h"
#include "redirect/options.h"

namespace doline::redirect {

enum class TableLife : std::uint8_t { as_long_as_its_maker, until_removed };

/// `table inet doline {...}`. `options` have no problems. `lan`: the networks of the interfaces, of which `remote`
/// alone wants to know: with one arm the route to the LAN and the route to the world leave by the same interface.
[[nodiscard]] std::string nft_rules(const Options& options, TableLife life, const std::vector<IpPrefix>& lan = {});
/// `doline_seen`, which outlives the rules: who asked whom, and the short life of flows that were brought home. Makes
/// what is missing, renews the rules, keeps the elements.
[[nodiscard]] std::string nft_seen(const Options& options, const std::vector<IpPrefix>& lan = {});
/// The same script with `;` for line ends and without comments.
[[nodiscard]] std::string on_one_line(const std::string& script);

}  // namespace doline::redirect

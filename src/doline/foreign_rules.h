// find_foreign_rules(), find_port_holders(): what touches this machine's DNS beside Doline and cannot be seen by Doline
// itself, which has no privilege for it: rules of legacy iptables, which nft does not show, and programs that hold a
// port of ours on all addresses. For `doline redirect` as root.
#pragma once

#include <string>
#include <vector>

#include "redirect/options.h"

namespace doline {

/// A sentence each, with its cure. Runs iptables-legacy where its tables are there already, which loads no module.
[[nodiscard]] std::vector<std::string> find_foreign_rules(const redirect::Options& options);

/// A sentence for each port that Doline cannot listen on for what it catches, with its cure: another program whose name
/// may be seen (root sees all) holds it on all addresses, and no Doline has it already.
[[nodiscard]] std::vector<std::string> find_port_holders(const redirect::Options& options);

}  // namespace doline

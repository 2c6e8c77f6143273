// The runs of iptables that stand in for nft where there is none. Made so that twice does the same as once; nothing
// ties these rules to a process, so only the warden's farewell removes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "redirect/plan.h"

namespace doline::redirect {

[[nodiscard]] std::vector<ProgramStep> iptables_apply(const Options& options, const HostFacts& facts);
/// Of either mode; what is not there may fail to be removed.
[[nodiscard]] std::vector<ProgramStep> iptables_undo(const HostFacts& facts);
/// The runs that print all chains; other than iptables itself they make no table, load no module and wait for nobody.
[[nodiscard]] std::vector<ProgramStep> iptables_list(const HostFacts& facts);
/// Of what one of them printed, what iptables_apply() makes: the lines about our chains, under their table's
/// ("*mangle"). Empty: nothing of it is there.
[[nodiscard]] std::string our_lines(std::string_view printed);

}  // namespace doline::redirect

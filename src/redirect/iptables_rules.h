// The runs of iptables that stand in for nft where there is none. Made so that twice does the same as once; nothing
// ties these rules to a process, so only the warden's farewell removes them.
#pragma once

#include <vector>

#include "redirect/plan.h"

namespace doline::redirect {

[[nodiscard]] std::vector<ProgramStep> iptables_apply(const Options& options, const HostFacts& facts);
/// Of either mode; what is not there may fail to be removed.
[[nodiscard]] std::vector<ProgramStep> iptables_undo(const HostFacts& facts);

}  // namespace doline::redirect

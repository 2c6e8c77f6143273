// Inspection: looks at what the machine holds, and changes nothing: is everything as it was applied, and what else
// touches DNS here? On the warden's loop; where programs must be run, the answer comes by a callback.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "redirect/plan.h"
#include "warden/kernel_access.h"

namespace doline::warden {

/// The rules as `nft` or iptables lists them, stateless: no counters, no elements with timeouts. Empty: there are none.
/// Where iptables cannot list them, that is what is said.
void list_rules(uv_loop_t* loop, const std::string& nft, const redirect::Plan* plan,
                std::function<void(std::string)> done);

/// What hinders the plan's rules on this machine, or works against them, a sentence each. `nft` empty: there is none.
void find_interference(uv_loop_t* loop, const std::string& nft, std::shared_ptr<const redirect::Plan> plan,
                       Routing& routing, std::function<void(std::vector<std::string>)> done);

/// What is not as the plan has it, a sentence each. `listed_then`, `listed_now`: list_rules() when it was applied, and
/// now.
[[nodiscard]] std::vector<std::string> find_changes(const redirect::Plan& plan, const std::string& listed_then,
                                                    const std::string& listed_now, KernelAccess& kernel);

/// Does the plan have a table with this script, and the kernel not?
[[nodiscard]] bool is_gone(const std::string& script, const char* table, NfTables& tables);

}  // namespace doline::warden

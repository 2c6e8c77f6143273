// Leftovers: what a Doline that was killed has left of its redirect, found and removed by the process that is asked to:
// `doline redirect status`, `verify` and `remove` while no Doline runs. Blocks, for some tens of milliseconds. Not for
// the resolver, whose warden does the same by itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "redirect/options.h"
#include "redirect/plan.h"

namespace doline::warden {

struct Leftovers {
  redirect::TableState rules = redirect::TableState::absent;
  redirect::TableState gate = redirect::TableState::absent;
  redirect::TableState seen = redirect::TableState::absent;
  redirect::TableState watch = redirect::TableState::absent;
  std::vector<redirect::RuleStep> rule_steps;
  std::vector<redirect::RouteStep> route_steps;
  std::vector<std::string> iptables_chains;  ///< "mangle of /usr/sbin/iptables"

  [[nodiscard]] bool is_nothing() const;
  /// Do they still touch anybody's queries? The memory and routes for a mark that nobody sets do not.
  [[nodiscard]] bool intercept() const;
  /// A sentence for each.
  [[nodiscard]] std::vector<std::string> describe() const;
};

/// CAP_NET_ADMIN: without it the kernel shows nothing and changes nothing.
[[nodiscard]] bool may_change_rules();
/// `options`: as the configuration says; of them the kernel's numbers and the interfaces matter.
[[nodiscard]] Leftovers find_leftovers(const redirect::Options& options);
/// The memory of who asked whom is meant to outlive a crash, and with on_failure: closed so is all that refuses.
enum class Memory : std::uint8_t { forget, keep };

/// All of them, and the flows that remember them; nothing where a living process holds the rules, and no routes where
/// rules stay. Whoever calls it has the claim (claim.h). What could not be removed and why, a sentence each.
[[nodiscard]] std::vector<std::string> remove_leftovers(const redirect::Options& options, Memory memory);

}  // namespace doline::warden

// Comparison: what a plan would change on this machine: rule tables, policy rules, routes, chains of iptables, as they
// are and as they would be. So that like is compared with like, the plan is carried out in an empty network namespace
// and listed there by the very program that lists what is here. Changes nothing. For `doline redirect plan`; blocks for
// some tens of milliseconds.
//
// Policy rules and routes everybody may read; the rest asks for root.
#pragma once

#include <string>
#include <vector>

#include "redirect/difference.h"
#include "redirect/plan.h"

namespace doline::warden {

struct Comparison {
  std::vector<redirect::Part> parts;
  std::vector<std::string> unread;  ///< what could not be read, and why: a sentence each
};

/// `plan`: possible. With mode off it is compared with nothing at all.
[[nodiscard]] Comparison compare(const redirect::Plan& plan, const redirect::HostFacts& facts);

}  // namespace doline::warden

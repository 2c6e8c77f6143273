// explain(): the way to a verdict, step by step, for `doline explain`. The same walk as decide(), without its index: so
// it also tells of the rules that did not match, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/decide.h"
#include "policy/walk.h"

namespace doline::policy {

struct Step {
  enum class Outcome : std::uint8_t { skipped, observed, set_aside /* by an exemption */, decided };
  RuleId rule;  ///< or lists_rule (only where there are such lists), or no_rule: `otherwise`
  Outcome outcome = Outcome::skipped;
  Mismatch mismatch = Mismatch::none;     ///< of a skipped one: the first condition that does not hold
  std::optional<Action> action;           ///< what it does, or would have done
  std::optional<blocklist::ListId> list;  ///< that led to it
  const Exemption* exemption = nullptr;   ///< that set it aside; the book's
};

struct Explanation {
  Verdict verdict;          ///< decide()'s, or review()'s where there are addresses of an answer
  std::vector<Step> steps;  ///< in order; the last one decided, or was set aside and leaves it at forwarding
};

/// Allocates. Any thread.
[[nodiscard]] Explanation explain(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking);

}  // namespace doline::policy

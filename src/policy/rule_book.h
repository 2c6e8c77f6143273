// RuleBook: all rules, compiled. Immutable value in a snapshot, read by workers without locks.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/rule.h"

namespace doline::policy {

enum class ListKind : std::uint8_t { block, allow };

/// What the book must know of each list; position = ListId.
struct ListPolicy {
  std::string name;
  ListKind kind = ListKind::block;
  Mode mode = Mode::enforce;
};

struct RuleBookSettings {
  std::vector<Rule> rules;
  std::vector<RewriteTarget> rewrites;
  std::vector<ListPolicy> lists;
  Action otherwise = Forward{};
};

class RuleBook {
 public:
  /// Lists that no rule names act as one last rule: allow before block.
  explicit RuleBook(RuleBookSettings settings);
  [[nodiscard]] std::span<const Rule> rules() const { return settings_.rules; }
  [[nodiscard]] const Rule& rule(RuleId id) const;                   ///< a real rule, not no_rule or lists_rule
  [[nodiscard]] const RewriteTarget& rewrite(Rewrite action) const { return settings_.rewrites[action.target]; }
  [[nodiscard]] std::span<const ListPolicy> lists() const { return settings_.lists; }
  [[nodiscard]] const Action& otherwise() const { return settings_.otherwise; }

 private:
  friend class Decider;
  RuleBookSettings settings_;
  std::vector<std::vector<bool>> lists_of_rule_;   // [rule][list]
  std::vector<bool> unnamed_lists_;                // [list]: no rule names it
};

}  // namespace doline::policy

// ReasonTexts: by which list or rule something was blocked or rewritten, as the text of EDE says it. Made once per
// snapshot, so that blocked answers allocate nothing.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rule_book.h"

namespace doline::resolver {

enum class Deed : std::uint8_t { blocked, rewritten };

class ReasonTexts {
 public:
  void install(const policy::RuleBook& rules) {
    lists_.clear();
    for (const policy::ListPolicy& list : rules.lists()) lists_.push_back(deeds("list " + list.name));
    rules_.clear();
    for (const policy::Rule& rule : rules.rules())
      rules_.push_back(deeds(rule.line == 0 ? "the " + rule.file : "rule at line " + std::to_string(rule.line)));
  }
  /// Good until the next install(); empty where neither is known.
  [[nodiscard]] std::string_view text(policy::RuleId rule, std::optional<blocklist::ListId> list, Deed deed) const {
    if (list && list->value < lists_.size()) return lists_[list->value][static_cast<std::size_t>(deed)];
    if (rule.value < rules_.size()) return rules_[rule.value][static_cast<std::size_t>(deed)];
    return {};
  }

 private:
  using Deeds = std::array<std::string, 2>;
  static Deeds deeds(const std::string& by) { return {"blocked by " + by, "rewritten by " + by}; }

  std::vector<Deeds> lists_, rules_;  // by number
};

}  // namespace doline::resolver

// RuleBook: all rules, compiled. Immutable value in a snapshot, read by workers without locks.
//
// Compiling does two things. It turns locks into rules before the operator's, and "the last rule of the lists that no
// rule names" and `otherwise` into two behind them, so that a walk needs no special begin or end. And it indexes the
// rules by name, type, device and group, so that a walk meets only those that may match: with a thousand rules by name
// it meets a handful. Regular expressions are one set: many cost a query hardly more than one.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "blocklist/pattern_set.h"
#include "policy/exemption.h"
#include "policy/hash_index.h"
#include "policy/lock.h"
#include "policy/rule.h"

namespace doline::policy {

/// `doh`: names and addresses of DoH servers, for those whose encrypted DNS is refused or recorded; rules that name
/// such a list take it as one that blocks.
enum class ListKind : std::uint8_t { block, allow, doh };

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
  std::vector<std::string> groups;      ///< names by GroupId: lines of lists and exemptions name clients' groups
  std::vector<std::string> interfaces;  ///< that rules speak of, at most interfaces_max; position = bit
  std::vector<Exemption> exemptions;
  std::vector<Lock> locks;  ///< at most locks_max; of a device one
  Action otherwise = Forward{};
};

class RuleBook {
 public:
  /// Lists that no rule names act as one last rule: allow before block; those of DoH servers say nothing there. Ids in
  /// the settings that lead nowhere break an invariant.
  explicit RuleBook(RuleBookSettings settings);
  /// By RuleId: those of locks, then the operator's.
  [[nodiscard]] std::span<const Rule> rules() const { return settings_.rules; }
  [[nodiscard]] bool has_locks() const { return !settings_.locks.empty(); }
  [[nodiscard]] bool is_of_lock(RuleId id) const { return id.value < settings_.locks.size(); }
  [[nodiscard]] const Rule& rule(RuleId id) const;  ///< a real rule, not no_rule or lists_rule
  [[nodiscard]] const RewriteTarget& rewrite(Rewrite action) const { return settings_.rewrites[action.target]; }
  [[nodiscard]] std::span<const ListPolicy> lists() const { return settings_.lists; }
  [[nodiscard]] std::span<const Exemption> exemptions() const { return settings_.exemptions; }
  [[nodiscard]] std::span<const std::string> groups() const { return settings_.groups; }
  [[nodiscard]] std::span<const std::string> interfaces() const { return settings_.interfaces; }
  [[nodiscard]] const Action& otherwise() const { return settings_.otherwise; }
  /// Is there a rule that is tried when the answer is there, above the one with this id?
  [[nodiscard]] bool speaks_of_answers_above(RuleId id) const { return first_answer_place_ < place_of(id); }
  /// Is there one that asks lists, above the one with this id?
  [[nodiscard]] bool asks_lists_above(RuleId id) const { return first_list_place_ < place_of(id); }

 private:
  friend class Walk;

  /// One bit a place of the walk: locks, the operator's rules, then the lists' rule, then `otherwise`.
  using Row = std::array<std::uint64_t, (locks_max + rules_max + 2 + 63) / 64>;

  struct Compiled {
    RuleId id;
    Action then;
    Action allowed;  // instead of `then`, where an allow list names the name
    Mode mode = Mode::enforce;
    std::uint32_t lists = no_lists;            // which row of list_rows_
    bool has_conditions = false;               // beside lists
    std::uint32_t safe_from = 0, safe_to = 0;  // of safe_names_; equal: it is no rule of safe search
  };
  struct HashedSafeName {
    std::uint64_t hash = 0;
    SafeName safe;
  };
  static constexpr std::uint32_t no_lists = 0xffffffff;

  [[nodiscard]] std::span<const std::uint64_t> list_row(std::uint32_t row) const {
    return std::span(list_rows_).subspan(row * list_words_, list_words_);
  }
  /// In the order of the walk.
  [[nodiscard]] std::size_t place_of(RuleId id) const {
    if (id == no_rule) return settings_.rules.size() + 1;
    return id == lists_rule ? settings_.rules.size() : id.value;
  }
  std::uint32_t add_list_row(std::span<const std::uint64_t> row);

  RuleBookSettings settings_;
  std::vector<Compiled> compiled_;  // [place]
  std::size_t list_words_ = 0;      // of a row that has a bit for each list
  std::vector<std::uint64_t> list_rows_;
  std::uint32_t allow_lists_ = 0, enforced_lists_ = 0;  // rows

  std::vector<HashedSafeName> safe_names_;  // rule by rule, each rule's by hash
  std::size_t first_answer_place_ = ~std::size_t{0}, first_list_place_ = ~std::size_t{0};

  std::size_t words_ = 0;  // of a Row that are in use
  // Rules that speak of answers are in with_answers_ only: before there is one they cannot match.
  Row all_{}, without_lists_{}, with_answers_{}, without_names_{}, without_devices_{}, without_groups_{},
      without_types_{};
  bool is_indexed_ = false;  // by any of what follows
  HashIndex by_name_, by_device_, by_type_;
  std::bitset<dns::labels_max + 1> name_depths_;              // how many labels the names of by_name_ have
  std::shared_ptr<const blocklist::PatternSet> expressions_;  // that may find any name; null: none
  std::vector<std::uint16_t> expression_places_;              // of each
  std::vector<Row> by_group_;                                 // empty, or one for each possible group
};

}  // namespace doline::policy

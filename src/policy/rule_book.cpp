#include "policy/rule_book.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "policy/suffix_hash.h"
#include "policy/walk.h"

namespace doline::policy {

namespace {

constexpr std::size_t expressions_tried_alone_max = 3;  // so few are cheaper one by one

/// An expression that may find any name.
bool is_of_any_name(const NamePattern& pattern) {
  return pattern.kind == NamePattern::Kind::expression && pattern.name.is_root();
}

/// Names of which one covers every name that the rule can match, but for those that its expressions find.
std::vector<dns::Name> key_names(const Rule& rule) {
  std::vector<dns::Name> keys;
  for (const NamePattern& pattern : rule.when.names)
    if (!is_of_any_name(pattern)) keys.push_back(pattern.name);
  if (!rule.when.names.empty()) return keys;
  if (!rule.when.service_names.empty()) return rule.when.service_names;
  for (const SafeName& safe : rule.safe_search) keys.push_back(safe.name);
  return keys;
}

void set_bit(std::span<std::uint64_t> row, std::size_t at) {
  row[at / 64] |= std::uint64_t{1} << at % 64;
}

}  // namespace

std::uint32_t RuleBook::add_list_row(std::span<const std::uint64_t> row) {
  // With no lists at all rows have no words, and still their numbers must differ from no_lists.
  const std::size_t number = list_words_ == 0 ? 0 : list_rows_.size() / list_words_;
  list_rows_.insert(list_rows_.end(), row.begin(), row.end());
  return static_cast<std::uint32_t>(number);
}

RuleBook::RuleBook(RuleBookSettings settings) : settings_(std::move(settings)) {
  check(settings_.rules.size() <= rules_max && settings_.locks.size() <= locks_max);
  std::vector<Rule> of_locks;
  for (const Lock& lock : settings_.locks) of_locks.push_back(to_rule(lock));
  settings_.rules.insert(settings_.rules.begin(), std::make_move_iterator(of_locks.begin()),
                         std::make_move_iterator(of_locks.end()));
  const std::size_t rule_count = settings_.rules.size(), list_count = settings_.lists.size();
  check(list_count <= blocklist::lists_max);
  check(settings_.interfaces.size() <= interfaces_max);
  const auto check_action = [&](const Action& action) {
    if (const auto* rewrite = std::get_if<Rewrite>(&action)) check(rewrite->target < settings_.rewrites.size());
  };

  // 1. The lists: which allow, which are enforced, and which are nobody's.
  list_words_ = (list_count + 63) / 64;
  std::vector<std::uint64_t> allow(list_words_), enforced(list_words_), unnamed(list_words_);
  for (std::size_t i = 0; i < list_count; ++i) {
    if (settings_.lists[i].kind == ListKind::allow) set_bit(allow, i);
    if (settings_.lists[i].mode == Mode::enforce) set_bit(enforced, i);
    if (settings_.lists[i].kind != ListKind::doh) set_bit(unnamed, i);
  }
  allow_lists_ = add_list_row(allow);
  enforced_lists_ = add_list_row(enforced);

  // 2. The rules, the lists' rule, `otherwise`.
  const auto forward_of = [](const Action& action) {
    const auto* forward = std::get_if<Forward>(&action);
    return forward ? *forward : Forward{};
  };
  for (std::size_t place = 0; place < rule_count; ++place) {
    const Rule& rule = settings_.rules[place];
    check_action(rule.then);
    Compiled compiled{{static_cast<std::uint16_t>(place)}, rule.then, forward_of(rule.then), rule.mode, no_lists,
                      !rule.when.is_empty_but_lists()};
    if (!rule.when.lists.empty()) {
      std::vector<std::uint64_t> row(list_words_);
      for (const blocklist::ListId list : rule.when.lists) {
        check(list.value < list_count);
        set_bit(row, list.value);
        unnamed[list.value / 64] &= ~(std::uint64_t{1} << list.value % 64);
      }
      compiled.lists = add_list_row(row);
    }
    compiled.safe_from = static_cast<std::uint32_t>(safe_names_.size());
    for (const SafeName& safe : rule.safe_search) {
      check_action(safe.to);
      safe_names_.push_back({whole_hash(safe.name), safe});
    }
    compiled.safe_to = static_cast<std::uint32_t>(safe_names_.size());
    std::sort(safe_names_.begin() + compiled.safe_from, safe_names_.end(),
              [](const HashedSafeName& left, const HashedSafeName& right) { return left.hash < right.hash; });
    if (!rule.when.answer.is_empty()) first_answer_place_ = std::min(first_answer_place_, place);
    compiled_.push_back(compiled);
  }
  check_action(settings_.otherwise);
  compiled_.push_back(
      {lists_rule, Sinkhole{}, forward_of(settings_.otherwise), Mode::enforce, add_list_row(unnamed), false});
  compiled_.push_back({no_rule, settings_.otherwise, settings_.otherwise, Mode::enforce, no_lists, false});

  // 3. The index.
  words_ = (compiled_.size() + 63) / 64;
  std::vector<std::string_view> expressions;
  for (std::size_t place = 0; place < compiled_.size(); ++place) {
    const Rule none;
    const Rule& rule = place < rule_count ? settings_.rules[place] : none;
    const Condition& when = rule.when;
    const auto small_place = static_cast<std::uint16_t>(place);
    if (!when.answer.is_empty()) {
      set_bit(with_answers_, place);
    } else {
      set_bit(all_, place);
      if (compiled_[place].lists == no_lists)
        set_bit(without_lists_, place);
      else
        first_list_place_ = std::min(first_list_place_, place);
    }
    const std::vector<dns::Name> keys = key_names(rule);
    bool is_found = !keys.empty();
    for (const NamePattern& pattern : when.names) {
      if (!is_of_any_name(pattern)) continue;
      is_found = expressions.size() < blocklist::patterns_max;
      if (!is_found) break;
      expressions.push_back(pattern.expression->text());
      expression_places_.push_back(small_place);
    }
    if (!is_found) set_bit(without_names_, place);
    for (const dns::Name& name : keys) {
      by_name_.add(whole_hash(name), small_place);
      name_depths_.set(static_cast<std::size_t>(name.label_count()));
    }
    if (when.types.empty()) set_bit(without_types_, place);
    for (const dns::RecordType type : when.types) by_type_.add(static_cast<std::uint64_t>(type), small_place);
    if (when.device_names.empty()) set_bit(without_devices_, place);
    for (const std::string& name : when.device_names) by_device_.add(hash_of(name), small_place);
    if (when.groups == 0) {
      set_bit(without_groups_, place);
      continue;
    }
    if (by_group_.empty()) by_group_.resize(device::groups_max);
    for (std::size_t group = 0; group < device::groups_max; ++group)
      if ((when.groups >> group & 1) != 0) set_bit(by_group_[group], place);
  }
  if (expressions.size() > expressions_tried_alone_max)
    expressions_ = std::make_shared<const blocklist::PatternSet>(expressions);
  else
    for (const std::uint16_t place : expression_places_) set_bit(without_names_, place);
  is_indexed_ = expressions_ || !by_group_.empty();
  for (HashIndex* index : {&by_name_, &by_device_, &by_type_}) {
    index->seal();
    is_indexed_ = is_indexed_ || !index->is_empty();
  }
}

const Rule& RuleBook::rule(RuleId id) const {
  check(id.value < settings_.rules.size());
  return settings_.rules[id.value];
}

}  // namespace doline::policy

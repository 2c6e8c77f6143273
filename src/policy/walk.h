// Walk: the rules of a book that may match a query, in order, each compared with it. The one way from rules to
// verdicts: decide() goes along it to the first rule that decides, explain() tells of every step.
//
// Lives on the stack for one decision; borrows all it is given. No allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "blocklist/list_set.h"
#include "policy/decide.h"
#include "policy/rule_book.h"

namespace doline::policy {

/// The first condition of a rule that does not hold.
enum class Mismatch : std::uint8_t {
  none,
  device,
  group,
  network,
  interface,
  name,
  service,
  unless,
  type,
  intercepted,
  meant_for,
  time,
  safe_search,
  itself,
  no_answer,
  answer,
  listed
};

/// What one rule says of one query.
struct Judgement {
  Mismatch mismatch = Mismatch::none;
  std::optional<Action> decided;          ///< what happens, if the rule is enforced
  std::optional<Action> observed;         ///< what would, if all that observes were enforced and that is something else
  std::optional<blocklist::ListId> list;  ///< of those that led to `decided`, else to `observed`
};

/// Can lines of lists say anything of an answer that they did not say of the name?
[[nodiscard]] inline bool speak_of_answers(const blocklist::ListSet& lists) {
  return lists.lists_answers() || lists.lists_origins() || lists.lists_servers();
}
/// What lists say of the answer and of whom it comes from, behind what they say of the client and the name: RPZ's order
/// of triggers, which decides inside a zone.
void add_words_on_answer(const blocklist::ListSet& lists, const Asking& asking, blocklist::Listing& listing);

class Walk {
 public:
  /// `listing`: what the lists say of the name.
  Walk(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking, const blocklist::Listing& listing);

  /// Places in the book: its rules, the lists' rule, `otherwise`.
  [[nodiscard]] std::size_t place_count() const { return book_.compiled_.size(); }
  [[nodiscard]] RuleId rule_at(std::size_t place) const { return book_.compiled_[place].id; }
  [[nodiscard]] bool has_lists(std::size_t place) const;
  /// The whole comparison, whether or not the index would have passed the place over.
  [[nodiscard]] Judgement judge(std::size_t place) const;

  /// The exemption that sets an action aside, where it is one that refuses and the book has one for this query.
  [[nodiscard]] const Exemption* find_exemption(const Action& action) const {
    return book_.settings_.exemptions.empty() ? nullptr : find_exemption_among(action);
  }

  /// Calls `take(place)` for every place that may match, in order, until it returns true.
  template <class Take>
  void each_candidate(Take take) const {
    each_candidate_among(listing_.is_empty() ? book_.without_lists_ : book_.all_, book_.words_ * 64, take);
  }
  /// The same for the rules that speak of answers, and stand above the one that decided.
  template <class Take>
  void each_of_answers_above(RuleId decided, Take take) const {
    // Of lists, those whose lines speak of answers: they are in the listing only now.
    RuleBook::Row among = book_.with_answers_;
    if (speak_of_answers(lists_))
      for (std::size_t i = 0; i < book_.words_; ++i) among[i] |= book_.all_[i] & ~book_.without_lists_[i];
    each_candidate_among(among, book_.place_of(decided), take);
  }

 private:
  template <class Take>
  void each_candidate_among(const RuleBook::Row& among, std::size_t end, Take take) const {
    RuleBook::Row found;
    if (book_.is_indexed_) find_candidates(found, among);
    const RuleBook::Row& row = book_.is_indexed_ ? found : among;
    for (std::size_t word = 0; word < book_.words_; ++word)
      for (std::uint64_t bits = row[word]; bits != 0; bits &= bits - 1) {
        const std::size_t place = word * 64 + static_cast<std::size_t>(__builtin_ctzll(bits));
        if (place >= end || take(place)) return;
      }
  }
  void find_candidates(RuleBook::Row& row, const RuleBook::Row& among) const;
  [[nodiscard]] Mismatch compare(const Condition& when) const;
  [[nodiscard]] bool is_meant_for(const MeantFor& meant_for) const;
  [[nodiscard]] bool answers(const AnswerCondition& wanted, const IpAddress& address) const;
  [[nodiscard]] const Rewrite* find_safe(const RuleBook::Compiled& rule) const;
  [[nodiscard]] bool is_time(const Condition& when) const;
  [[nodiscard]] const Exemption* find_exemption_among(const Action& action) const;
  /// Where lines say more than that they list it.
  void judge_words(std::size_t place, const Action& then, Judgement& judgement) const;
  /// The longest listed name's first list among those of the row.
  template <class Among>
  [[nodiscard]] std::optional<blocklist::ListId> find_list(Among among) const;

  const RuleBook& book_;
  const blocklist::ListSet& lists_;
  const Asking& asking_;
  const blocklist::Listing& listing_;
  std::array<std::uint64_t, blocklist::lists_max / 64> listed_;  // [0, list_words_), where the listing is not empty
  bool has_words_ = false;                                       // not all of them plain
};

[[nodiscard]] std::string_view to_string(Mismatch mismatch);  ///< `another device`

/// As a HashIndex has them.
[[nodiscard]] std::uint64_t hash_of(std::string_view device_name);

}  // namespace doline::policy

// weigh(): what lists that are named together say together, where some of them say more than "it is listed".
//
// First to last: an allow list, or an exception that is $important; what is $important; an exception, or a zone's
// PASSTHRU; an answer of a line's own; a plain word. Among equals the longest name decides. Of zones (RPZ) the first in
// the order of the configuration speaks, and of its words those on the client before those on the longest name; what
// the draft calls CNAME . is its plain word. An exception of `$dnsrewrite` takes away that answer, or all. Pure;
// without allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "blocklist/list_set.h"
#include "policy/decide.h"
#include "policy/rule_book.h"

namespace doline::policy {

struct Weighed {
  enum class Outcome : std::uint8_t { allow, block, answer };
  Outcome outcome = Outcome::block;
  blocklist::ListId list;
  bool is_of_zone = false;
  std::uint32_t set = 0, word = 0;  ///< where the answer is
};

/// Of the lists that both rows name (one bit a list, up to the book's words).
[[nodiscard]] std::optional<Weighed> weigh(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking,
                                           const blocklist::Listing& listing, std::span<const std::uint64_t> named,
                                           std::span<const std::uint64_t> counting);
/// What happens by an answer of lines.
[[nodiscard]] Action to_action(const blocklist::ListSet& lists, const Weighed& answer);

/// Calls `take(const blocklist::LineAnswer&)` for the answer and for all that lines of the same list say beside it
/// under the same conditions: the addresses of a name, one a line.
template <class Take>
void each_answer(const blocklist::ListSet& lists, const ListAnswer& answer, Take take) {
  const blocklist::ListRule& decided = *lists.word(answer.word).rule;
  for (const std::uint32_t number : lists.words_of(answer.set)) {
    const blocklist::ListRule* rule = lists.word(number).rule;
    if (rule == nullptr || rule->effect != decided.effect || rule->list != decided.list ||
        rule->is_important != decided.is_important)
      continue;
    const bool is_alike = rule->conditions == decided.conditions ||
                          (rule->conditions && decided.conditions && *rule->conditions == *decided.conditions);
    if (is_alike) take(*rule->answer);
  }
}
/// The name that is looked up instead, where the answer is a CNAME and another type was asked for. `*.garden.example`:
/// the name asked for stands for `*`; where that is too long, nothing.
[[nodiscard]] std::optional<dns::Name> find_target(const blocklist::ListSet& lists, const ListAnswer& answer,
                                                   const dns::Question& question);

}  // namespace doline::policy

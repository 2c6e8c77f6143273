// weigh(): what lists that are named together say together, where some of them say more than "it is listed".
//
// PRECEDENCE.md says in which order. What RPZ's draft calls CNAME . is the zone's plain word. Pure; without allocation.
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
  std::uint32_t set = 0, word = 0, without = 0;  ///< where the answer is, as ListAnswer has it
};

/// Of the lists that both rows name (one bit a list, up to the book's words).
[[nodiscard]] std::optional<Weighed> weigh(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking,
                                           const blocklist::Listing& listing, std::span<const std::uint64_t> named,
                                           std::span<const std::uint64_t> counting);
/// What happens by an answer of lines.
[[nodiscard]] Action to_action(const blocklist::ListSet& lists, const Weighed& answer);

/// Does a line's answer stand beside another one, the addresses of a name beside each other? Of the same list, under
/// the same conditions; a code and a CNAME stand alone.
[[nodiscard]] bool stands_beside(const blocklist::ListRule& rule, const blocklist::ListRule& decided);

/// Calls `take(const blocklist::LineAnswer&)` for the answer and for all that stand beside it.
template <class Take>
void each_answer(const blocklist::ListSet& lists, const ListAnswer& answer, Take take) {
  const blocklist::ListRule& decided = *lists.word(answer.word).rule;
  std::uint32_t at = 0, last = ~std::uint32_t{0};
  lists.each_word(answer.set, [&](std::uint32_t number, auto) {
    const blocklist::ListRule* rule = lists.word(number).rule;
    if (rule == nullptr || !stands_beside(*rule, decided)) return;
    const bool is_left = at >= 32 || (answer.without >> at & 1) == 0;
    ++at;
    if (is_left && number != last) take(*lists.word(last = number).rule->answer);
  });
}
/// The name that is looked up instead, where the answer is a CNAME and another type was asked for. `*.garden.example`:
/// the name asked for stands for `*`; where that is too long, nothing.
[[nodiscard]] std::optional<dns::Name> find_target(const blocklist::ListSet& lists, const ListAnswer& answer,
                                                   const dns::Question& question);

}  // namespace doline::policy

#include "blocklist/rule_table.h"

#include <algorithm>

namespace doline::blocklist {

std::uint32_t RuleTable::number_of(const std::string& text) {
  const auto [place, is_new] = numbers_.try_emplace(text, static_cast<std::uint32_t>(texts.size()));
  if (is_new) texts.push_back(text);
  return place->second;
}

std::optional<std::uint32_t> RuleTable::word_of(ListId list, const ListRule& rule) {
  if (rule.is_plain()) return plain_word | list.value;
  const std::uint32_t text = number_of(to_string(rule));
  const auto [place, is_new] =
      known_.try_emplace(std::uint64_t{list.value} << 32 | text, static_cast<std::uint32_t>(rows.size()));
  if (!is_new) return place->second;
  if (rows.size() == rows_max) return std::nullopt;
  Row row{list, text, false, 0};
  if (rule.effect == ListRule::Effect::cancel) {
    ListRule cancelled = rule;
    cancelled.effect = rule.answer         ? ListRule::Effect::answer
                       : rule.is_exception ? ListRule::Effect::allow
                                           : ListRule::Effect::block;
    row.is_cancel = true;
    row.cancelled = number_of(to_string(cancelled));
  }
  rows.push_back(row);
  return place->second;
}

void RuleTable::add_prefix(const IpPrefix& prefix, PrefixKind kind, std::uint32_t word) {
  const auto length = static_cast<std::uint32_t>(prefix.length() + (prefix.address().is_v4() ? 96 : 0));
  prefixes[{prefix.address().mapped(), length, static_cast<std::uint32_t>(kind)}].push_back(word);
}

void RuleTable::settle(std::vector<std::uint32_t>& words, const std::vector<bool>& dropped) const {
  std::erase_if(words, [&](std::uint32_t word) { return dropped[list_of(word).value]; });
  std::vector<std::uint32_t> cancelled;
  for (const std::uint32_t word : words)
    if ((word & plain_word) == 0 && rows[word].is_cancel) cancelled.push_back(rows[word].cancelled);
  if (!cancelled.empty())
    std::erase_if(words, [&](std::uint32_t word) {
      const bool is_plain = (word & plain_word) != 0;
      const std::uint32_t text = is_plain ? plain_text : rows[word].text;
      return (!is_plain && rows[word].is_cancel) ||
             std::find(cancelled.begin(), cancelled.end(), text) != cancelled.end();
    });
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
}

}  // namespace doline::blocklist

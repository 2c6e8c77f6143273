#include "blocklist/rule_table.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace doline::blocklist {

namespace {

/// As AdGuard has it: a code before another name, that before records; no record at all is the least.
std::uint8_t order_of(const ListRule& rule) {
  if (rule.effect != ListRule::Effect::answer) return 0;
  if (rule.answer->kind == LineAnswer::Kind::record) return rule.answer->type == dns::RecordType::cname ? 1 : 2;
  return rule.answer->kind == LineAnswer::Kind::code && rule.answer->code == dns::ResponseCode::noerror ? 3 : 0;
}

}  // namespace

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
  Row row{list, text};
  row.order = order_of(rule);
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

std::vector<std::uint32_t> RuleTable::put_in_order() {
  std::vector<std::uint32_t> order(rows.size()), numbers(rows.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](std::uint32_t at) {
    const Row& row = rows[at];
    return std::tuple(row.order, row.list, std::string_view(texts[row.text]));
  };
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t left, std::uint32_t right) { return key(left) < key(right); });
  std::vector<Row> ordered;
  for (const std::uint32_t at : order) {
    numbers[at] = static_cast<std::uint32_t>(ordered.size());
    ordered.push_back(rows[at]);
  }
  rows = std::move(ordered);
  const auto renumber = [&](auto& words_by_what) {
    for (auto& [what, words] : words_by_what)
      for (std::uint32_t& word : words)
        if ((word & plain_word) == 0) word = numbers[word];
  };
  renumber(patterns);
  renumber(prefixes);
  return numbers;
}

void RuleTable::settle(std::vector<Spoken>& spoken, const std::vector<bool>& dropped) const {
  std::erase_if(spoken, [&](const Spoken& said) { return dropped[list_of(said.word).value]; });
  std::sort(spoken.begin(), spoken.end(),
            [](const Spoken& left, const Spoken& right) { return left.word < right.word; });
  const auto is_repeated = [](const Spoken& left, const Spoken& right) { return left.word == right.word; };
  spoken.erase(std::unique(spoken.begin(), spoken.end(), is_repeated), spoken.end());
}

void RuleTable::append_words(std::span<const Spoken> settled, Extents extents, std::u32string& words) const {
  const auto is_cancel = [&](std::uint32_t word) { return (word & plain_word) == 0 && rows[word].is_cancel; };
  const bool has_cancels =
      std::any_of(settled.begin(), settled.end(), [&](const Spoken& said) { return is_cancel(said.word); });
  // Who takes back a line of this extent, by one of the same.
  const auto takers_of = [&](std::uint32_t word, Extents extent) {
    const std::uint32_t text = (word & plain_word) != 0 ? plain_text : rows[word].text;
    std::u32string takers;
    for (const Spoken& said : settled)
      if (is_cancel(said.word) && (said.extents & extent) != 0 && rows[said.word].cancelled == text)
        takers += taken_back_by | rows[said.word].list.value;
    return takers;
  };
  for (const Spoken& said : settled) {
    if ((said.extents & extents) == 0 || is_cancel(said.word)) continue;
    const ListId list = list_of(said.word);
    std::vector<std::u32string> ways;  // to be taken back: a line of each extent has its own
    for (const Extents extent : {name_alone, below_alone, name_and_below}) {
      if ((said.extents & extents & extent) == 0) continue;
      std::u32string takers = has_cancels && is_of(list, ListFormat::adblock) ? takers_of(said.word, extent) : U"";
      if (takers.find(taken_back_by | list.value) == takers.npos) ways.push_back(std::move(takers));
    }
    std::sort(ways.begin(), ways.end());
    if (!ways.empty() && ways.front().empty()) ways.resize(1);
    ways.erase(std::unique(ways.begin(), ways.end()), ways.end());
    for (const std::u32string& takers : ways) words.append(1, said.word).append(takers);
  }
}

}  // namespace doline::blocklist

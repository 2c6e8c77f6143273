#include "dns/public_suffix.h"

#include <algorithm>
#include <array>

namespace doline::dns {

namespace {

/// Under which, below a country's two letters, names are registered nearly everywhere.
constexpr std::array<std::string_view, 24> usual_words{"ac",  "biz", "co",  "com",  "ed",  "edu", "gob", "go",
                                                       "gov", "gv",  "id",  "info", "ltd", "me",  "mil", "ne",
                                                       "net", "nhs", "nom", "or",   "org", "plc", "sch", "web"};

std::string key_of(const Name& name) {
  const auto wire = name.wire();
  return {reinterpret_cast<const char*>(wire.data()), wire.size()};
}

/// Its labels from the left.
std::string_view label_at(const Name& name, int number) {
  const auto wire = name.wire();
  std::size_t at = 0;
  while (number-- > 0) at += wire[at] + 1u;
  return {reinterpret_cast<const char*>(wire.data()) + at + 1, wire[at]};
}

}  // namespace

PublicSuffixes PublicSuffixes::read(std::string_view list) {
  PublicSuffixes suffixes;
  while (!list.empty()) {
    const auto end = list.find('\n');
    std::string_view line = list.substr(0, end);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    line = line.substr(0, line.find_first_of(" \t\r"));
    if (line.empty() || line.starts_with("//")) continue;
    Rule rule = Rule::suffix;
    if (line.starts_with("*.")) {
      rule = Rule::below;
      line.remove_prefix(2);
    } else if (line.starts_with('!')) {
      rule = Rule::exception;
      line.remove_prefix(1);
    }
    const auto is_plain = [](char letter) { return static_cast<unsigned char>(letter) < 0x80; };
    if (!std::all_of(line.begin(), line.end(), is_plain)) continue;
    if (const auto name = Name::parse(line); name && !name->is_root())
      suffixes.rules_[key_of(name->lowered())] |= static_cast<std::uint8_t>(rule);
  }
  return suffixes;
}

/// Of the rules that match, an exception decides, else the longest (publicsuffix.org, "Formal Algorithm").
int PublicSuffixes::suffix_labels(const Name& lowered) const {
  const int labels = lowered.label_count();
  if (labels < 2) return labels;
  if (is_guess()) {
    const std::string_view last = label_at(lowered, labels - 1), before = label_at(lowered, labels - 2);
    const bool is_country = last.size() == 2;
    const bool is_reverse = last == "arpa" && (before == "in-addr" || before == "ip6");
    const bool is_usual = std::find(usual_words.begin(), usual_words.end(), before) != usual_words.end();
    return is_reverse || (is_country && is_usual) ? 2 : 1;
  }
  int longest = 1;
  for (int count = 1; count <= labels; ++count) {
    const auto found = rules_.find(key_of(lowered.ancestor(labels - count)));
    if (found == rules_.end()) continue;
    const auto has = [&](Rule rule) { return (found->second & static_cast<std::uint8_t>(rule)) != 0; };
    if (has(Rule::exception)) return count - 1;
    if (has(Rule::suffix)) longest = std::max(longest, count);
    if (has(Rule::below) && labels > count) longest = std::max(longest, count + 1);
  }
  return longest;
}

Name PublicSuffixes::registrable(const Name& lowered) const {
  const int labels = lowered.label_count();
  return lowered.ancestor(std::max(0, labels - suffix_labels(lowered) - 1));
}

}  // namespace doline::dns

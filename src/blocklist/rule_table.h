// RuleTable: what lines say that is more than "this name is listed", each rule of each list once, while lists are
// compiled. And what is listed that is no name: expressions and addresses.
//
// Lives while compile() runs, on its thread; image.cpp writes it down.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "blocklist/file_format.h"
#include "blocklist/list_rule.h"

namespace doline::blocklist {

class RuleTable {
 public:
  struct Row {
    ListId list;
    std::uint32_t text = 0;       ///< number of its text
    bool is_cancel = false;       ///< `$badfilter`
    std::uint32_t cancelled = 0;  ///< the text that then does not count
  };
  static constexpr std::size_t rows_max = 1U << 24;
  static constexpr std::uint32_t plain_text = 0;

  /// A word as file_format.h has it: for a plain rule the list's plain word. Nothing: there are too many.
  std::optional<std::uint32_t> word_of(ListId list, const ListRule& rule);
  void add_pattern(std::string_view expression, std::uint32_t word) {
    patterns[std::string(expression)].push_back(word);
  }
  void add_prefix(const IpPrefix& prefix, PrefixKind kind, std::uint32_t word);

  /// Takes out of `words` what does not count: of lists that are left out, and what others among them cancel, and they.
  void settle(std::vector<std::uint32_t>& words, const std::vector<bool>& dropped) const;
  [[nodiscard]] ListId list_of(std::uint32_t word) const {
    return (word & plain_word) != 0 ? ListId{static_cast<std::uint16_t>(word)} : rows[word].list;
  }

  [[nodiscard]] bool is_zone(ListId list) const { return list.value < zones.size() && zones[list.value]; }

  std::vector<Row> rows;
  std::vector<std::string> texts{""};
  std::map<std::string, std::vector<std::uint32_t>> patterns;  ///< words by expression
  std::map<Prefix, std::vector<std::uint32_t>> prefixes;       ///< with set 0
  std::vector<bool> zones;                                     ///< a flag a list: RPZ
  std::vector<bool> servers;                                   ///< a flag a list: it names name servers

 private:
  std::uint32_t number_of(const std::string& text);

  std::unordered_map<std::string, std::uint32_t> numbers_{{"", plain_text}};
  std::unordered_map<std::uint64_t, std::uint32_t> known_;  // list << 32 | text -> row
};

}  // namespace doline::blocklist

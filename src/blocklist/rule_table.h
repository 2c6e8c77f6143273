// RuleTable: what lines say that is more than "this name is listed", each rule of each list once, while lists are
// compiled. And what is listed that is no name: expressions and addresses.
//
// Lives while compile() runs, on its thread; image.cpp writes it down.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "blocklist/file_format.h"
#include "blocklist/gathering.h"
#include "blocklist/list_file.h"
#include "blocklist/list_rule.h"

namespace doline::blocklist {

/// A word as file_format.h has it, and what of a name it is said of; of what is no name `name_alone`.
struct Spoken {
  std::uint32_t word;
  Extents extents;
};

class RuleTable {
 public:
  struct Row {
    ListId list;
    std::uint32_t text = 0;       ///< number of its text
    std::uint8_t order = 0;       ///< of the answer, beside others on the same name
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

  /// Once all is read: numbers rules by what they say, whatever the order of the lines was; of answers that can stand
  /// beside each other the one that counts comes first. Returns the new numbers by the old ones; word_of() is over.
  std::vector<std::uint32_t> put_in_order();
  /// Takes out of what is said of a name what lists say that are left out, and sorts the rest.
  void settle(std::vector<Spoken>& spoken, const std::vector<bool>& dropped) const;
  /// The words that count of the name, or of what is below (`extents`): without those that a `$badfilter` of their own
  /// list takes back; behind those that another list's takes back, that list as `taken_back_by`.
  void append_words(std::span<const Spoken> settled, Extents extents, std::u32string& words) const;
  /// Of a word, or of what stands behind one.
  [[nodiscard]] ListId list_of(std::uint32_t word) const {
    return (word & (plain_word | taken_back_by)) != 0 ? ListId{static_cast<std::uint16_t>(word)} : rows[word].list;
  }

  [[nodiscard]] bool is_of(ListId list, ListFormat format) const {
    return list.value < formats.size() && formats[list.value] == format;
  }

  std::vector<Row> rows;
  std::vector<std::string> texts{""};
  std::map<std::string, std::vector<std::uint32_t>> patterns;  ///< words by expression
  std::map<Prefix, std::vector<std::uint32_t>> prefixes;       ///< with set 0
  std::vector<std::optional<ListFormat>> formats;              ///< of each list
  std::vector<bool> servers;                                   ///< a flag a list: it names name servers

 private:
  std::uint32_t number_of(const std::string& text);

  std::unordered_map<std::string, std::uint32_t> numbers_{{"", plain_text}};
  std::unordered_map<std::uint64_t, std::uint32_t> known_;  // list << 32 | text -> row
};

}  // namespace doline::blocklist

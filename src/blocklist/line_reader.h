// LineReader: the fast path under list_file.h and compile.h: lines of list text to lower-cased wire names, no
// allocation.
//
// Takes text in pieces, so that a file of any size needs one buffer; remembers nothing of a line but its number. A name
// is made in place in the reader's own 255 octets and lent to the callback. One thread; not reusable for a second file.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/ip_address.h"
#include "blocklist/list_file.h"
#include "dns/name.h"

namespace doline::blocklist {

/// A line beyond this is not read (`too_long`): hosts files put a dozen names on a line, never hundreds.
inline constexpr std::size_t line_octets_max = 16 * 1024;

/// A name as the reader lends it: valid until the callback returns.
struct ListedName {
  std::span<const std::uint8_t> wire;  ///< small letters, with the root label
  std::uint8_t labels = 0;
  bool covers_name = true;
  bool covers_below = false;
  std::uint32_t line = 0;
};

class LineReader {
 public:
  LineReader(ListFormat format, bool subdomains) : format_(format), subdomains_(subdomains) {}

  /// Reads the whole lines of `text` and returns how many octets that were; with `last`, also an unfinished line at its
  /// end. `on_name(const ListedName&)` returns false to stop; `on_problem(const LineProblem&)`.
  template <class OnName, class OnProblem>
  std::size_t read(std::string_view text, bool last, OnName&& on_name, OnProblem&& on_problem);

  [[nodiscard]] const ReadResult& result() const { return result_; }

 private:
  struct Token {
    std::string_view text;
    std::size_t column = 0;  // from 0
  };
  // Every octet as a name may have it: letters made small, digits, `-`, `_` and `.` themselves; 0 what no name has.
  static constexpr std::array<std::uint8_t, 256> folded = [] {
    std::array<std::uint8_t, 256> table{};
    for (int letter = 'a'; letter <= 'z'; ++letter) {
      table[static_cast<std::size_t>(letter)] = static_cast<std::uint8_t>(letter);
      table[static_cast<std::size_t>(letter - 'a' + 'A')] = static_cast<std::uint8_t>(letter);
    }
    for (int digit = '0'; digit <= '9'; ++digit)
      table[static_cast<std::size_t>(digit)] = static_cast<std::uint8_t>(digit);
    table['-'] = '-';
    table['_'] = '_';
    table['.'] = '.';
    return table;
  }();
  static constexpr bool is_blank(char octet) { return octet == ' ' || octet == '\t' || octet == '\r'; }

  static Token next_token(std::string_view line, std::size_t from) {
    while (from < line.size() && is_blank(line[from])) ++from;
    std::size_t end = from;
    while (end < line.size() && !is_blank(line[end])) ++end;
    return {line.substr(from, end - from), from};
  }

  template <class OnName, class OnProblem>
  bool read_line(std::string_view line, OnName& on_name, OnProblem& on_problem);
  template <class OnName, class OnProblem>
  bool read_name(Token token, bool covers_name, bool covers_below, OnName& on_name, OnProblem& on_problem);
  template <class OnProblem>
  void report(std::size_t column, LineFault fault, OnProblem& on_problem) {
    ++result_.problems;
    on_problem(LineProblem{line_, static_cast<std::uint32_t>(column + 1), fault});
  }
  // Fills wire_ and labels_; else the fault and how far into the token it lies.
  std::optional<std::pair<LineFault, std::size_t>> to_wire(std::string_view token);
  bool is_address(std::string_view token);
  [[nodiscard]] bool is_localhost_kin() const;

  ListFormat format_;
  bool subdomains_;
  bool skipping_ = false;  // inside a line that is too long
  std::uint32_t line_ = 0;
  ReadResult result_;
  std::array<std::uint8_t, 48> address_{};  // text of the last address read: hosts files repeat one
  std::size_t address_size_ = 0;
  std::array<std::uint8_t, dns::name_octets_max + 1> wire_{};
  std::size_t wire_size_ = 0;
  std::uint8_t labels_ = 0;
};

template <class OnName, class OnProblem>
std::size_t LineReader::read(std::string_view text, bool last, OnName&& on_name, OnProblem&& on_problem) {
  std::size_t at = 0;
  while (at < text.size()) {
    const void* newline = std::memchr(text.data() + at, '\n', text.size() - at);
    if (newline == nullptr && !last && text.size() - at <= line_octets_max) return at;
    const std::size_t end =
        newline != nullptr ? static_cast<std::size_t>(static_cast<const char*>(newline) - text.data()) : text.size();
    if (!skipping_) {
      ++line_;
      ++result_.lines;
      if (end - at > line_octets_max) {
        report(0, LineFault::too_long, on_problem);
      } else if (!read_line(text.substr(at, end - at), on_name, on_problem)) {
        return std::min(end + 1, text.size());
      }
    }
    skipping_ = newline == nullptr && !last;
    at = std::min(end + 1, text.size());
  }
  return at;
}

template <class OnName, class OnProblem>
bool LineReader::read_line(std::string_view line, OnName& on_name, OnProblem& on_problem) {
  std::size_t from = 0;
  if (line_ == 1 && line.starts_with("\xef\xbb\xbf")) from = 3;  // UTF-8 byte order mark
  Token first = next_token(line, from);
  if (first.text.empty()) return true;
  switch (first.text.front()) {
    case '#':
    case '!':
    case ';':
      return true;
    default:
      break;
  }
  if (const void* hash = std::memchr(line.data() + first.column, '#', line.size() - first.column)) {
    line = line.substr(0, static_cast<std::size_t>(static_cast<const char*>(hash) - line.data()));
    first = next_token(line, from);
  }

  if (format_ == ListFormat::hosts) {
    if (!is_address(first.text)) {
      report(first.column, LineFault::bad_name, on_problem);
      return true;
    }
    Token token = next_token(line, first.column + first.text.size());
    if (token.text.empty()) report(first.column, LineFault::no_name, on_problem);
    for (; !token.text.empty(); token = next_token(line, token.column + token.text.size())) {
      if (token.text == "0.0.0.0") continue;  // StevenBlack's preamble
      if (!read_name(token, true, subdomains_, on_name, on_problem)) return false;
    }
    return true;
  }

  const Token second = next_token(line, first.column + first.text.size());
  if (!second.text.empty()) {
    if (is_address(first.text)) {
      report(first.column, LineFault::an_address, on_problem);
    } else {
      report(second.column, LineFault::bad_name, on_problem);
    }
    return true;
  }
  if (!first.text.starts_with("*.")) return read_name(first, true, subdomains_, on_name, on_problem);
  return read_name({first.text.substr(2), first.column + 2}, false, true, on_name, on_problem);
}

template <class OnName, class OnProblem>
bool LineReader::read_name(Token token, bool covers_name, bool covers_below, OnName& on_name, OnProblem& on_problem) {
  if (const auto fault = to_wire(token.text)) {
    report(token.column + fault->second, fault->first, on_problem);
    return true;
  }
  if (is_localhost_kin()) return true;
  ++result_.entries;
  return on_name(ListedName{{wire_.data(), wire_size_}, labels_, covers_name, covers_below, line_});
}

}  // namespace doline::blocklist

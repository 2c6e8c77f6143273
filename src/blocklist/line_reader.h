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

/// So much of the text must be there for a line to be read at a glance: an address, a name of up to 240 octets, an end.
inline constexpr std::size_t glance_octets = 300;

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

  template <class OnName>
  std::size_t read_plain_line(std::string_view text, OnName& on_name, bool& goes_on);
  template <class OnName, class OnProblem>
  bool read_line(std::string_view line, OnName& on_name, OnProblem& on_problem);
  template <class OnName, class OnProblem>
  bool read_name(Token token, bool covers_name, bool covers_below, OnName& on_name, OnProblem& on_problem);
  template <class OnProblem>
  void report(std::size_t column, LineFault fault, OnProblem& on_problem) {
    ++result_.problems;
    on_problem(LineProblem{line_, static_cast<std::uint32_t>(column + 1), fault});
  }
  // Fills wire_ and labels_ with the name at the beginning of `text` and returns its octets there; 0 where it takes a
  // second look. 242 octets can be read.
  std::size_t to_wire_at_a_glance(const char* text);
  // Fills wire_ and labels_; else the fault and how far into the token it lies.
  std::optional<std::pair<LineFault, std::size_t>> to_wire(std::string_view token);
  bool is_address(std::string_view token);
  [[nodiscard]] std::string_view last_address() const { return {address_.data(), address_size_}; }
  [[nodiscard]] bool is_localhost_kin() const;

  ListFormat format_;
  bool subdomains_;
  bool skipping_ = false;  // inside a line that is too long
  std::uint32_t line_ = 0;
  ReadResult result_;
  std::array<char, 48> address_{};  // text of the last address read: hosts files repeat one
  std::size_t address_size_ = 0;
  std::array<std::uint8_t, dns::name_octets_max + 1> wire_{};
  std::size_t wire_size_ = 0;
  std::uint8_t labels_ = 0;
};

template <class OnName, class OnProblem>
std::size_t LineReader::read(std::string_view text, bool last, OnName&& on_name, OnProblem&& on_problem) {
  std::size_t at = 0;
  while (at < text.size()) {
    bool goes_on = true;
    if (const std::size_t plain = skipping_ ? 0 : read_plain_line(text.substr(at), on_name, goes_on); plain > 0) {
      at += plain;
      if (!goes_on) return at;
      continue;
    }
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

// Most lines are a name and no more, or the address of an earlier line, a blank and a name. Returns the line's octets;
// 0: it is not of these, or may not be whole.
template <class OnName>
std::size_t LineReader::read_plain_line(std::string_view text, OnName& on_name, bool& goes_on) {
  if (text.size() < glance_octets) return 0;
  std::size_t begin = 0;
  if (format_ == ListFormat::hosts) {
    if (address_size_ == 0 || !text.starts_with(last_address()) || !is_blank(text[address_size_])) return 0;
    begin = address_size_ + 1;
  }
  std::size_t end = begin + to_wire_at_a_glance(text.data() + begin);
  if (end == begin) return 0;
  if (text[end] == '\r') ++end;
  if (text[end] != '\n') return 0;
  ++line_;
  ++result_.lines;
  ++result_.entries;
  goes_on = on_name(ListedName{{wire_.data(), wire_size_}, labels_, true, subdomains_, line_});
  return end + 1;
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

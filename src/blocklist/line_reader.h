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
#include "blocklist/line_item.h"
#include "blocklist/list_file.h"
#include "dns/name.h"

namespace doline::blocklist {

/// A line beyond this is not read (`too_long`): hosts files put a dozen names on a line, never hundreds.
inline constexpr std::size_t line_octets_max = 16 * 1024;

/// So much of the text must be there for a line to be read at a glance: an address, a name of up to 240 octets, an end.
inline constexpr std::size_t glance_octets = 300;

/// A name as the reader lends it, with all lists' plain word on it; valid until the callback returns.
struct ListedName {
  std::span<const std::uint8_t> wire;  ///< small letters, with the root label
  std::uint8_t labels = 0;
  bool covers_name = true;
  bool covers_below = false;
  std::uint32_t line = 0;
};

/// Anything else that a line may say, lent as long.
struct ListedRule {
  Listed of = Listed::name;
  ListedName name;                                    ///< of names
  std::string_view pattern;                           ///< of Listed::pattern
  std::shared_ptr<const Expression> expression = {};  ///< the pattern's
  IpPrefix prefix;                                    ///< of the addresses
  const ListRule& rule;
  std::uint32_t line = 0;
  [[nodiscard]] bool is_of_name() const { return of == Listed::name || of == Listed::server_name; }
};

class LineReader {
 public:
  LineReader(ListFormat format, bool subdomains) : format_(format), subdomains_(subdomains) {}

  /// Reads the whole lines of `text` and returns how many octets that were; with `last`, also an unfinished line at its
  /// end. `on_name(const ListedName&)` and `on_rule(const ListedRule&)` return false to stop; `on_problem(const
  /// LineProblem&)`.
  template <class OnName, class OnRule, class OnProblem>
  std::size_t read(std::string_view text, bool last, OnName&& on_name, OnRule&& on_rule, OnProblem&& on_problem);

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
  template <class OnName, class OnRule, class OnProblem>
  bool read_line(std::string_view line, OnName& on_name, OnRule& on_rule, OnProblem& on_problem);
  template <class OnName, class OnRule, class OnProblem>
  bool read_hosts_line(std::string_view line, Token first, OnName& on_name, OnRule& on_rule, OnProblem& on_problem);
  template <class OnName, class OnRule, class OnProblem>
  bool take_items(OnName& on_name, OnRule& on_rule, OnProblem& on_problem);
  template <class OnName, class OnProblem>
  bool read_name(Token token, bool covers_name, bool covers_below, OnName& on_name, OnProblem& on_problem);
  // The same with a rule.
  template <class OnRule, class OnProblem>
  bool read_rule(Token token, const LineItem& item, OnRule& on_rule, OnProblem& on_problem);
  void count(const ListRule& rule) {
    ++result_.entries;
    ++result_.rules;
    if (rule.is_exception) ++result_.exceptions;
  }
  // Null where RE2 takes none such.
  static std::shared_ptr<const Expression> try_pattern(std::string_view pattern);
  [[nodiscard]] bool is_plain_format() const {
    return format_ == ListFormat::hosts || format_ == ListFormat::domains || format_ == ListFormat::wildcard;
  }
  // Fills items_ with what a line says whose format is not hosts or domains.
  void read_items(std::string_view line);
  void read_trimmed(std::string_view line);
  template <class OnProblem>
  void report(std::size_t column, LineFault fault, OnProblem& on_problem) {
    ++result_.problems;
    ++result_.skipped[static_cast<std::size_t>(fault)];
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
  LineItem own_address_;  // what a hosts line with this address says; plain for 0.0.0.0 and the like
  LineItems items_;
  UnboundReader unbound_;
  ZoneReader zone_;
  std::array<std::uint8_t, dns::name_octets_max + 1> wire_{};
  std::size_t wire_size_ = 0;
  std::uint8_t labels_ = 0;
};

template <class OnName, class OnRule, class OnProblem>
std::size_t LineReader::read(std::string_view text, bool last, OnName&& on_name, OnRule&& on_rule,
                             OnProblem&& on_problem) {
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
      } else if (!read_line(text.substr(at, end - at), on_name, on_rule, on_problem)) {
        return std::min(end + 1, text.size());
      }
    }
    skipping_ = newline == nullptr && !last;
    at = std::min(end + 1, text.size());
  }
  return at;
}

// Most lines are a name and no more, or the address of an earlier line, a blank and a name, or `||name^`. Returns the
// line's octets; 0: it is not of these, or may not be whole.
template <class OnName>
std::size_t LineReader::read_plain_line(std::string_view text, OnName& on_name, bool& goes_on) {
  if (text.size() < glance_octets) return 0;
  std::size_t begin = 0;
  switch (format_) {
    case ListFormat::hosts:
      if (address_size_ == 0 || !own_address_.rule.is_plain() || !text.starts_with(last_address()) ||
          !is_blank(text[address_size_]))
        return 0;
      begin = address_size_ + 1;
      break;
    case ListFormat::domains:
    case ListFormat::wildcard:
      break;
    case ListFormat::adblock:
      if (!text.starts_with("||")) return 0;
      begin = 2;
      break;
    default:
      return 0;
  }
  std::size_t end = begin + to_wire_at_a_glance(text.data() + begin);
  if (end == begin) return 0;
  const bool is_adblock = format_ == ListFormat::adblock;
  if (is_adblock && text[end++] != '^') return 0;
  if (text[end] == '\r') ++end;
  if (text[end] != '\n') return 0;
  ++line_;
  ++result_.lines;
  ++result_.entries;
  goes_on = on_name(ListedName{{wire_.data(), wire_size_}, labels_, true, is_adblock || subdomains_, line_});
  return end + 1;
}

template <class OnName, class OnRule, class OnProblem>
bool LineReader::read_line(std::string_view line, OnName& on_name, OnRule& on_rule, OnProblem& on_problem) {
  std::size_t from = 0;
  if (line_ == 1 && line.starts_with("\xef\xbb\xbf")) from = 3;  // UTF-8 byte order mark
  if (format_ == ListFormat::rpz) line.remove_prefix(from);      // blanks at its beginning are of meaning
  Token first = next_token(line, format_ == ListFormat::rpz ? 0 : from);
  if (first.text.empty()) return true;
  if (!is_plain_format()) {
    read_items(line);
    return take_items(on_name, on_rule, on_problem);
  }
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
  if (format_ == ListFormat::hosts) return read_hosts_line(line, first, on_name, on_rule, on_problem);

  const Token second = next_token(line, first.column + first.text.size());
  if (!second.text.empty()) {
    if (is_address(first.text)) {
      report(first.column, LineFault::an_address, on_problem);
    } else {
      report(second.column, LineFault::bad_name, on_problem);
    }
    return true;
  }
  if (const std::size_t star = first.text.rfind('*'); star != first.text.npos) {
    if (star != 0 || !first.text.starts_with("*.")) {
      read_items(line);
      return take_items(on_name, on_rule, on_problem);
    }
    return read_name({first.text.substr(2), first.column + 2}, false, true, on_name, on_problem);
  }
  return read_name(first, true, subdomains_, on_name, on_problem);
}

template <class OnName, class OnRule, class OnProblem>
bool LineReader::read_hosts_line(std::string_view line, Token first, OnName& on_name, OnRule& on_rule,
                                 OnProblem& on_problem) {
  if (!is_address(first.text)) {
    report(first.column, LineFault::bad_name, on_problem);
    return true;
  }
  Token token = next_token(line, first.column + first.text.size());
  if (token.text.empty()) report(first.column, LineFault::no_name, on_problem);
  own_address_.covers_below = subdomains_;
  for (; !token.text.empty(); token = next_token(line, token.column + token.text.size())) {
    if (token.text == "0.0.0.0") continue;  // StevenBlack's preamble
    if (own_address_.rule.is_plain() ? !read_name(token, true, subdomains_, on_name, on_problem)
                                     : !read_rule(token, own_address_, on_rule, on_problem))
      return false;
  }
  return true;
}

template <class OnName, class OnRule, class OnProblem>
bool LineReader::take_items(OnName& on_name, OnRule& on_rule, OnProblem& on_problem) {
  for (const LineItem& item : items_.all()) {
    if (item.fault) {
      report(item.column, *item.fault, on_problem);
      continue;
    }
    bool goes_on = true;
    if (item.of == Listed::name) {
      goes_on = item.rule.is_plain()
                    ? read_name({item.name, item.column}, item.covers_name, item.covers_below, on_name, on_problem)
                    : read_rule({item.name, item.column}, item, on_rule, on_problem);
    } else if (item.of == Listed::server_name) {
      goes_on = read_rule({item.name, item.column}, item, on_rule, on_problem);
    } else {
      std::shared_ptr<const Expression> expression;
      if (item.of == Listed::pattern && !(expression = try_pattern(item.pattern))) {
        report(item.column, LineFault::bad_pattern, on_problem);
        continue;
      }
      count(item.rule);
      goes_on = on_rule(ListedRule{item.of, {}, item.pattern, expression, item.prefix, item.rule, line_});
    }
    if (!goes_on) return false;
  }
  return true;
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

template <class OnRule, class OnProblem>
bool LineReader::read_rule(Token token, const LineItem& item, OnRule& on_rule, OnProblem& on_problem) {
  if (const auto fault = to_wire(token.text)) {
    report(token.column + fault->second, fault->first, on_problem);
    return true;
  }
  if (is_localhost_kin()) return true;
  count(item.rule);
  return on_rule(ListedRule{item.of,
                            {{wire_.data(), wire_size_}, labels_, item.covers_name, item.covers_below, line_},
                            "",
                            {},
                            {},
                            item.rule,
                            line_});
}

}  // namespace doline::blocklist

// LineItem: what one line of a list lists, as its format's parser finds it; names are still text.
//
// Private to the room: the parsers of the formats that say more than names, and LineReader, which asks them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "blocklist/list_file.h"
#include "blocklist/list_rule.h"

namespace doline::blocklist {

struct LineItem {
  Listed of = Listed::name;
  std::string_view name;   ///< of names; `.` is every name
  std::size_t column = 0;  ///< from 0, of the name or of what is at fault
  bool covers_name = true;
  bool covers_below = true;
  std::string pattern;  ///< of Listed::pattern: a regular expression
  IpPrefix prefix;      ///< of the addresses
  ListRule rule;
  std::optional<LineFault> fault;  ///< instead of all others
};

/// Takes what a line says, one after the other. Reused from line to line.
class LineItems {
 public:
  void clear() { items_.clear(); }
  LineItem& add() { return items_.emplace_back(); }
  void add_fault(std::size_t column, LineFault fault) {
    LineItem& item = add();
    item.column = column;
    item.fault = fault;
  }
  /// The line began so many octets further to the left.
  void shift(std::size_t octets) {
    for (LineItem& item : items_) item.column += octets;
  }
  [[nodiscard]] const std::vector<LineItem>& all() const { return items_; }

 private:
  std::vector<LineItem> items_;
};

/// A line of AdBlock's DNS rules, without blanks around it; also `0.0.0.0 name` and plain names, as such lists have
/// them.
void read_adblock_line(std::string_view line, LineItems& items);
/// A line of dnsmasq's configuration: `address=`, `server=`, `local=`.
void read_dnsmasq_line(std::string_view line, LineItems& items);
/// A regular expression, as Pi-hole takes it: with `;querytype=`, `;reply=`.
void read_regex_line(std::string_view line, LineItems& items);
/// Is it one of the words behind an expression?
[[nodiscard]] bool is_regex_word(std::string_view word);
/// An address or a prefix.
void read_address_line(std::string_view line, LineItems& items);

/// A name with `*` inside, `ad*.example`: as many octets as one likes, dots too, in its place.
void read_wildcard_line(std::string_view line, LineItems& items);

/// Unbound's `local-zone:` and `local-data:`. What data means depends on the type of the zone above it, where that is
/// the last one read.
class UnboundReader {
 public:
  void read_line(std::string_view line, LineItems& items);

 private:
  void read_zone(std::string_view line, std::string_view rest, LineItems& items);
  void read_data(std::string_view line, std::string_view rest, LineItems& items);
  [[nodiscard]] bool is_in_zone(const std::string& name) const;

  std::string zone_;  // small letters, without the final dot
  std::string type_;
};

/// An RPZ zone in master-file form (RFC 1035 §5.1), its records taken as the draft draft-vixie-dnsop-dns-rpz says.
class ZoneReader {
 public:
  /// Lines come with the blanks before them: those say that a record has the owner of the last.
  void read_line(std::string_view line, LineItems& items);

 private:
  void read_record(LineItems& items);
  [[nodiscard]] std::string absolute(std::string_view name) const;
  void list_trigger(std::string_view type, std::string_view rdata, LineItems& items);

  std::string record_;  // that is not complete yet, its lines joined
  int open_parentheses_ = 0;
  std::string origin_;               // absolute, with the final dot; empty: not told
  std::optional<std::string> apex_;  // the zone's own name, as soon as it is known
  std::string owner_;                // of the last record, absolute
};

}  // namespace doline::blocklist

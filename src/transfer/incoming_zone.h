// IncomingZone: a zone as it comes from its primary, message by message: what is asked (AXFR, RFC 5936; IXFR, RFC
// 1995), and what the records mean in the order in which they come.
//
// Records become lines of zone text at once: the lists' own reader takes them from there, and no other meaning is made
// of them. Nothing of a zone counts before `done`. No I/O, no clock; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/transfer_message.h"

namespace doline::transfer {

/// Of what comes, in messages: past it the transfer is given up.
inline constexpr std::uint64_t transfer_octets_max = std::uint64_t{256} << 20;
/// Of the lines of a difference, which waits in memory; past it the zone is fetched whole.
inline constexpr std::uint64_t difference_octets_max = std::uint64_t{16} << 20;

/// The query for a zone: whole, or what has changed since `have`.
[[nodiscard]] std::vector<std::uint8_t> make_transfer_query(std::uint16_t id, const dns::Name& zone,
                                                            std::optional<std::uint32_t> have);

/// One record as a line of text, with its end: names absolute and in small letters, no TTL, so that equal lines are
/// equal records. What has no short form is written as RFC 3597 says.
[[nodiscard]] std::string to_line(const dns::Record& record);

struct LineChange {
  bool is_added = false;
  std::string line;
  bool operator==(const LineChange&) const = default;
};

class IncomingZone {
 public:
  enum class Kind : std::uint8_t { unknown, unchanged, whole, difference };
  struct Fault {
    std::string text;             ///< a sentence's end
    bool may_come_whole = false;  ///< only the difference cannot be had
  };

  /// `have`: the serial of the copy at hand, where a difference was asked for.
  IncomingZone(dns::Name zone, std::optional<std::uint32_t> have) : zone_(zone), have_(have) {}

  /// A message, checked and of this conversation. True: the zone is complete.
  [[nodiscard]] Result<bool, Fault> take(const dns::TransferMessage& message);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  /// Of the zone that comes; known once the first message has been taken.
  [[nodiscard]] const dns::SoaNumbers& soa() const { return soa_; }
  [[nodiscard]] const std::string& soa_line() const { return soa_line_; }
  /// Of Kind::whole: the lines that have come since the last call, the SOA record first.
  [[nodiscard]] std::string take_text() { return std::exchange(text_, {}); }
  /// Of Kind::difference, in order; without SOA records.
  [[nodiscard]] std::vector<LineChange> take_changes() { return std::exchange(changes_, {}); }

 private:
  enum class Expect : std::uint8_t { first, second, records, removals, additions, nothing };
  std::optional<Fault> take_record(const dns::Record& record, bool is_alone);
  std::optional<Fault> take_soa(const dns::Record& record, bool is_alone);

  dns::Name zone_;
  std::optional<std::uint32_t> have_;
  Expect expect_ = Expect::first;
  Kind kind_ = Kind::unknown;
  dns::SoaNumbers soa_;
  std::string soa_line_;
  std::uint32_t step_ = 0;  // the serial that this part of a difference leads to
  std::uint64_t records_ = 0, change_octets_ = 0;
  std::string text_;
  std::vector<LineChange> changes_;
};

/// The text of the copy with the changes made, the new SOA line first. Nothing where the copy is not what the changes
/// were made for: a record that goes is not there, or one that comes is there already. Time and memory by the size of
/// both.
[[nodiscard]] std::optional<std::string> apply_changes(std::string_view copy, std::string_view soa_line,
                                                       const std::vector<LineChange>& changes);

}  // namespace doline::transfer

// Segments: records of the query log, up to some thousands together, column by column; what SCHEMA.md describes octet
// by octet.
//
// A column is the sorted set of the values that occur in it and, for every row, the place of its value in that set, in
// as few bits as places need. The sets of those columns that are searched, or whose values are ids, stand in the
// `head`, so that a search that finds its value in none of them need not read the `body`. Ids are those of the
// dictionaries; 0 is none. Octets come from disks: whatever they hold, decoding ends in rows or in nothing, in time and
// memory bounded by their number. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dns/message.h"

namespace doline::querylog {

/// Stored in databases: never renumber, only append. A column that is not in a segment is 0 in all its rows, and one
/// that is not known here is passed over.
enum class Column : std::uint8_t {
  time = 0,  ///< microseconds since 1970; stored as the difference to the row before
  device = 1,
  client = 2,
  destination = 3,
  name = 4,
  qtype = 5,
  verdict = 6,
  answer = 7,
  destination_source = 8,
  transport = 9,
  rule = 10,
  lists = 11,
  observed = 12,  ///< the verdict's number and one; 0 where none
  observed_rule = 13,
  source = 14,
  rcode = 15,
  ttl = 16,
  upstream = 17,
  latency_us = 18,
  dnssec = 19,
  withheld = 20,  ///< 1: the answer is upstream's, and the client did not get it
};
inline constexpr std::size_t columns = 21;

inline constexpr std::size_t segment_rows_max = 65'535;
inline constexpr std::size_t segment_columns_max = 64;

/// Indexed by Column; that of `time` is not used.
using Values = std::array<std::uint32_t, columns>;

class Segment;

/// Gathers rows and writes them as a segment. Used again and again: it keeps its room.
class SegmentWriter {
 public:
  void add(std::int64_t time, const Values& values);
  /// All of another's, behind its own; or of a segment whose body was read.
  void add(const SegmentWriter& rows);
  void add(const Segment& rows);
  [[nodiscard]] std::size_t rows() const { return times_.size(); }
  [[nodiscard]] std::int64_t first() const;  ///< earliest time; with rows
  [[nodiscard]] std::int64_t last() const;   ///< latest
  /// At most segment_rows_max rows.
  void write(std::vector<std::uint8_t>& head, std::vector<std::uint8_t>& body);
  void clear();

 private:
  [[nodiscard]] std::uint32_t* values_of(std::size_t column) { return values_.data() + (column - 1) * room_; }
  [[nodiscard]] const std::uint32_t* values_of(std::size_t column) const {
    return values_.data() + (column - 1) * room_;
  }
  void make_room(std::size_t rows);
  std::size_t begin_rows(const std::vector<std::int64_t>& times);

  std::vector<std::int64_t> times_;
  std::vector<std::uint32_t> values_;  // all columns but `time`, one after the other, each with room for so many rows
  std::size_t room_ = 0;

  // Of the column that is being written.
  struct Numbered {
    std::uint64_t value;
    std::uint16_t number;  // in the order in which values came
  };
  std::vector<std::uint64_t> differences_;
  std::vector<Numbered> set_;           // ascending
  std::vector<std::uint16_t> slots_;    // of hashes: a value's number and one
  std::vector<std::uint16_t> numbers_;  // for each row its value's; and, where a set has several, each number's place
  std::vector<std::uint16_t> place_of_;
  template <class Value>
  void find_set(const Value* values, std::size_t rows);
};

/// What a segment holds. After read_head(): the sets of the searched columns; after read_body(): the rows.
class Segment {
 public:
  /// False: no head of a segment. All that was read before is void. The octets need not live on.
  [[nodiscard]] bool read_head(dns::Octets head);
  /// Of the same segment. False: no body for that head. The octets must live as long as values are asked for.
  [[nodiscard]] bool read_body(dns::Octets body);

  [[nodiscard]] std::size_t rows() const { return rows_; }
  /// Ascending; empty where all are 0. Before read_body() only those in the head. Not of `time`.
  [[nodiscard]] std::span<const std::uint32_t> set(Column column) const { return at(column).set; }
  /// The position in set(), which is not empty.
  [[nodiscard]] std::size_t place(Column column, std::size_t row) const;
  [[nodiscard]] std::uint32_t value(Column column, std::size_t row) const;
  [[nodiscard]] Values values(std::size_t row) const;
  /// Of all rows.
  void copy_values(Column column, std::uint32_t* into) const;
  [[nodiscard]] const std::vector<std::int64_t>& times() const { return times_; }

 private:
  struct Stored {
    bool is_known = false;  // else passed over
    std::uint8_t id = 0;
    std::uint8_t coding = 0;
    std::uint32_t count = 0;  // of values in the set
    std::uint32_t set_octets = 0;
  };
  struct Read {
    std::vector<std::uint32_t> set;
    dns::Octets places;
    unsigned bits = 0;
  };
  [[nodiscard]] const Read& at(Column column) const { return columns_[static_cast<std::size_t>(column)]; }

  std::size_t rows_ = 0;
  std::vector<Stored> stored_;
  std::array<Read, columns> columns_;
  std::vector<std::int64_t> times_;
};

}  // namespace doline::querylog

// SegmentTable: the table `segment` of a query log: writing segments, reading them back, taking rows out of them.
//
// Belongs to the thread of its Database, which must outlive it. Transactions are the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "querylog/database.h"
#include "querylog/segment.h"

namespace doline::querylog {

/// Rows of a full segment; fewer are gathered until they are so many.
inline constexpr std::size_t segment_rows = 8'192;
inline constexpr int level_sealed = 9;  ///< gathered for good; all others stand behind the last of these

class SegmentTable {
 public:
  struct Entry {
    std::int64_t number = 0;  ///< of its first row; those of the others follow
    int level = 0;            ///< how often its rows were gathered
    std::int64_t rows = 0;
    std::int64_t first = 0, last = 0;  ///< times, earliest and latest
  };

  [[nodiscard]] static Result<SegmentTable, DatabaseFault> open(Database& database);

  /// In the order of their numbers.
  [[nodiscard]] Result<std::vector<Entry>, DatabaseFault> all();
  [[nodiscard]] Result<std::vector<Entry>, DatabaseFault> unsealed();
  /// At most `most`, all of whose rows are earlier than `all_before` or one of whose is earlier than `one_before`.
  [[nodiscard]] Result<std::vector<Entry>, DatabaseFault> sealed_before(std::int64_t all_before,
                                                                        std::int64_t one_before, std::size_t most);
  /// The number of the next row.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> end();

  /// False: there is none of this number. One that cannot be read is DatabaseFault::corrupt.
  [[nodiscard]] Result<bool, DatabaseFault> read_head(std::int64_t number, Segment& into);
  /// Valid until the next read.
  [[nodiscard]] Result<bool, DatabaseFault> read(std::int64_t number, Segment& into);

  [[nodiscard]] Result<void, DatabaseFault> insert(std::int64_t number, int level, SegmentWriter& rows);
  [[nodiscard]] Result<void, DatabaseFault> remove(std::int64_t number);
  /// Writes the segment anew with those rows for which `keeps` says so, the last of them under the numbers that they
  /// have. How many went.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> keep_only(
      const Entry& entry, const std::function<bool(const Segment&, std::size_t row)>& keeps);

 private:
  [[nodiscard]] Result<std::vector<Entry>, DatabaseFault> entries(Statement& from);

  Statement all_, unsealed_, sealed_before_, end_, read_head_, read_, insert_, remove_;
  std::vector<std::uint8_t> head_, body_;
  SegmentWriter kept_;
};

}  // namespace doline::querylog

// Old rows: those of a query log of version 1, a row of a table for each query, on their way into segments.
//
// The dictionaries stay as they are. Rows move in small steps, oldest first, while the log is written and read; one
// that has not moved yet is not found by readers. Who has the Database calls this; transactions are the caller's.
#pragma once

#include "base/result.h"
#include "querylog/database.h"
#include "querylog/segment_table.h"

namespace doline::querylog {

/// Moved rows have lower numbers; rows that are written while some are still to be moved, these and higher ones.
inline constexpr std::int64_t number_behind_old_rows = std::int64_t{1} << 40;

[[nodiscard]] Result<bool, DatabaseFault> has_old_rows(Database& database);
/// A segment's worth. When there is none left, the old table goes.
[[nodiscard]] Result<void, DatabaseFault> move_old_rows(Database& database, SegmentTable& segments);

}  // namespace doline::querylog

// EntryTable: a dictionary of the query log whose entries are octets, `name` or `answer`: gives new entries their ids,
// and writes many of them by one statement, which costs a fraction of what each by its own would.
//
// Belongs to the thread of its Database, which must outlive it. Transactions are the caller's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "querylog/database.h"

namespace doline::querylog {

class EntryTable {
 public:
  /// A table of `id`, which is the rowid, and of this column.
  [[nodiscard]] static Result<EntryTable, DatabaseFault> open(Database& database, const std::string& name,
                                                              const std::string& column);

  /// With each transaction: what was added in another that came to nothing is forgotten.
  [[nodiscard]] Result<void, DatabaseFault> begin();
  /// The id of a new entry. It is in the table after put().
  [[nodiscard]] Result<std::uint32_t, DatabaseFault> add(std::span<const std::uint8_t> octets);
  /// Writes what was added and is not in the table yet.
  [[nodiscard]] Result<void, DatabaseFault> put();
  /// Ends what a fault has left in the middle.
  void reset();

 private:
  static constexpr std::size_t together = 32;  // by one statement

  Statement newest_, insert_;
  std::int64_t last_ = 0;             // the id given last
  std::vector<std::uint8_t> octets_;  // of the entries that wait, one behind another
  std::vector<std::size_t> ends_;     // of each
};

}  // namespace doline::querylog

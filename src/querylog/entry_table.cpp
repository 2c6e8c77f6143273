#include "querylog/entry_table.h"

#include <utility>

namespace doline::querylog {

Result<EntryTable, DatabaseFault> EntryTable::open(Database& database, const std::string& name,
                                                   const std::string& column) {
  // One statement for any number of entries up to `together`: places that are not used are NULL.
  std::string places;
  for (std::size_t place = 0; place < together; ++place) places += place == 0 ? "(?)" : ", (?)";
  // FAIL: there is nothing to take back but the transaction, which the caller does.
  auto insert = database.prepare("INSERT OR FAIL INTO " + name + "(" + column + ") SELECT * FROM (VALUES " + places +
                                 ") WHERE column1 NOT NULL");
  if (!insert) return fail(insert.error());
  auto newest = database.prepare("SELECT max(id) FROM " + name);
  if (!newest) return fail(newest.error());
  EntryTable table;
  table.insert_ = std::move(*insert);
  table.newest_ = std::move(*newest);
  return table;
}

Result<void, DatabaseFault> EntryTable::begin() {
  octets_.clear();
  ends_.clear();
  const ResetAtEnd reset(newest_);
  const auto row = newest_.step();
  if (!row) return fail(row.error());
  last_ = newest_.integer(0);
  if (last_ < 0) return fail(DatabaseFault::corrupt);
  return {};
}

Result<std::uint32_t, DatabaseFault> EntryTable::add(std::span<const std::uint8_t> octets) {
  if (ends_.size() == together)
    if (const auto done = put(); !done) return fail(done.error());
  if (last_ >= UINT32_MAX) return fail(DatabaseFault::corrupt);
  octets_.insert(octets_.end(), octets.begin(), octets.end());
  ends_.push_back(octets_.size());
  return static_cast<std::uint32_t>(++last_);
}

Result<void, DatabaseFault> EntryTable::put() {
  if (ends_.empty()) return {};
  const std::span<const std::uint8_t> all(octets_);
  std::size_t begin = 0;
  for (std::size_t place = 0; place < together; ++place) {
    const int position = static_cast<int>(place) + 1;
    if (place < ends_.size()) {
      insert_.bind(position, all.subspan(begin, ends_[place] - begin));
      begin = ends_[place];
    } else {
      insert_.bind_null(position);
    }
  }
  if (const auto done = insert_.run(); !done) return done;
  octets_.clear();
  ends_.clear();
  // The database counts on from its newest, as add() did.
  if (insert_.last_row_id() != last_) return fail(DatabaseFault::corrupt);
  return {};
}

void EntryTable::reset() {
  newest_.reset();
  insert_.reset();
}

}  // namespace doline::querylog

#include "querylog/segment_table.h"

#include <utility>

namespace doline::querylog {

Result<SegmentTable, DatabaseFault> SegmentTable::open(Database& database) {
  static_assert(level_sealed == 9);
  SegmentTable table;
  const std::pair<Statement*, const char*> statements[] = {
      // Sealed ones by an index that holds all that is asked, so that their octets are not gone through.
      {&table.all_,
       "SELECT number, 9, rows, first, last FROM segment WHERE level = 9 UNION ALL "
       "SELECT number, level, rows, first, last FROM segment WHERE number > "
       "(SELECT coalesce(max(number), 0) FROM segment WHERE level = 9) ORDER BY 1"},
      {&table.unsealed_,
       "SELECT number, level, rows, first, last FROM segment WHERE number > "
       "(SELECT coalesce(max(number), 0) FROM segment WHERE level = 9) ORDER BY 1"},
      {&table.sealed_before_,
       "SELECT number, 9, rows, first, last FROM segment WHERE level = 9 AND first < ?1 AND (last < ?1 OR first < ?2) "
       "ORDER BY first LIMIT ?3"},
      {&table.end_, "SELECT number + rows FROM segment ORDER BY number DESC LIMIT 1"},
      {&table.read_head_, "SELECT head FROM segment WHERE number = ?1"},
      {&table.read_, "SELECT head, body FROM segment WHERE number = ?1"},
      {&table.insert_, "INSERT INTO segment VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
      {&table.remove_, "DELETE FROM segment WHERE number = ?1"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = database.prepare(sql);
    if (!prepared) return fail(prepared.error());
    *statement = std::move(*prepared);
  }
  return table;
}

Result<std::vector<SegmentTable::Entry>, DatabaseFault> SegmentTable::entries(Statement& from) {
  const ResetAtEnd reset(from);
  std::vector<Entry> found;
  for (;;) {
    const auto row = from.step();
    if (!row) return fail(row.error());
    if (!*row) return found;
    found.push_back(
        {from.integer(0), static_cast<int>(from.integer(1)), from.integer(2), from.integer(3), from.integer(4)});
  }
}

Result<std::vector<SegmentTable::Entry>, DatabaseFault> SegmentTable::all() {
  return entries(all_);
}

Result<std::vector<SegmentTable::Entry>, DatabaseFault> SegmentTable::unsealed() {
  return entries(unsealed_);
}

Result<std::vector<SegmentTable::Entry>, DatabaseFault> SegmentTable::sealed_before(std::int64_t all_before,
                                                                                    std::int64_t one_before,
                                                                                    std::size_t most) {
  sealed_before_.bind(1, all_before).bind(2, one_before).bind(3, static_cast<std::int64_t>(most));
  return entries(sealed_before_);
}

Result<std::int64_t, DatabaseFault> SegmentTable::end() {
  const ResetAtEnd reset(end_);
  const auto row = end_.step();
  if (!row) return fail(row.error());
  return *row ? end_.integer(0) : 1;
}

Result<bool, DatabaseFault> SegmentTable::read_head(std::int64_t number, Segment& into) {
  const ResetAtEnd reset(read_head_);
  const auto row = read_head_.bind(1, number).step();
  if (!row) return fail(row.error());
  if (!*row) return false;
  if (!into.read_head(read_head_.octets(0))) return fail(DatabaseFault::corrupt);
  return true;
}

Result<bool, DatabaseFault> SegmentTable::read(std::int64_t number, Segment& into) {
  const ResetAtEnd reset(read_);
  const auto row = read_.bind(1, number).step();
  if (!row) return fail(row.error());
  if (!*row) return false;
  if (!into.read_head(read_.octets(0))) return fail(DatabaseFault::corrupt);
  const auto body = read_.octets(1);
  body_.assign(body.begin(), body.end());
  if (!into.read_body(body_)) return fail(DatabaseFault::corrupt);
  return true;
}

Result<void, DatabaseFault> SegmentTable::insert(std::int64_t number, int level, SegmentWriter& rows) {
  std::vector<std::uint8_t> body;
  rows.write(head_, body);
  insert_.bind(1, number).bind(2, std::int64_t{level}).bind(3, static_cast<std::int64_t>(rows.rows()));
  insert_.bind(4, rows.first()).bind(5, rows.last());
  insert_.bind(6, std::span<const std::uint8_t>(head_)).bind(7, std::span<const std::uint8_t>(body));
  return insert_.run();
}

Result<void, DatabaseFault> SegmentTable::remove(std::int64_t number) {
  return remove_.bind(1, number).run();
}

Result<std::int64_t, DatabaseFault> SegmentTable::keep_only(
    const Entry& entry, const std::function<bool(const Segment&, std::size_t row)>& keeps) {
  Segment segment;
  const auto found = read(entry.number, segment);
  if (!found) return fail(found.error());
  if (!*found) return 0;
  kept_.clear();
  for (std::size_t row = 0; row < segment.rows(); ++row)
    if (keeps(segment, row)) kept_.add(segment.times()[row], segment.values(row));
  const auto gone = static_cast<std::int64_t>(segment.rows() - kept_.rows());
  if (gone == 0) return 0;
  if (const auto removed = remove(entry.number); !removed) return fail(removed.error());
  if (kept_.rows() > 0)
    if (const auto inserted = insert(entry.number + gone, entry.level, kept_); !inserted) return fail(inserted.error());
  return gone;
}

}  // namespace doline::querylog

#include "querylog/old_rows.h"

namespace doline::querylog {

Result<bool, DatabaseFault> has_old_rows(Database& database) {
  const auto tables = database.integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'query'");
  if (!tables) return fail(tables.error());
  return *tables != 0;
}

namespace {

constexpr std::size_t columns_of_version_1 = static_cast<std::size_t>(Column::dnssec) + 1;

}  // namespace

Result<void, DatabaseFault> move_old_rows(Database& database, SegmentTable& segments) {
  // In the order of Column; in version 1, what is none was NULL.
  auto oldest = database.prepare(
      "SELECT ts, device, client, destination, name, qtype, verdict, answer, destination_source, transport, rule, "
      "lists, observed + 1, observed_rule, source, rcode, ttl, upstream, latency_us, dnssec FROM query ORDER BY ts "
      "LIMIT ?1");
  if (!oldest) return fail(oldest.error());
  oldest->bind(1, static_cast<std::int64_t>(segment_rows));
  SegmentWriter rows;
  for (;;) {
    const auto row = oldest->step();
    if (!row) return fail(row.error());
    if (!*row) break;
    Values values{};
    for (std::size_t column = 1; column < columns_of_version_1; ++column) {
      const std::int64_t value = oldest->integer(static_cast<int>(column));
      if (value < 0 || value > UINT32_MAX) return fail(DatabaseFault::corrupt);
      values[column] = static_cast<std::uint32_t>(value);
    }
    rows.add(oldest->integer(0), values);
  }
  oldest->reset();
  if (rows.rows() == 0) return database.execute("DROP TABLE query");
  const auto number = database.integer("SELECT coalesce(max(number + rows), 1) FROM segment WHERE number < " +
                                       std::to_string(number_behind_old_rows));
  if (!number) return fail(number.error());
  if (const auto done = segments.insert(*number, level_sealed, rows); !done) return done;
  return database.execute("DELETE FROM query WHERE ts <= " + std::to_string(rows.last()));
}

}  // namespace doline::querylog

#include "querylog/forget.h"

#include <algorithm>

#include "querylog/schema.h"

namespace doline::querylog {

namespace {

constexpr milliseconds forgetting_patience{10'000};
constexpr std::int64_t slice_rows = 20'000;  // of one transaction

// What the remaining rows name, and their sums. The rows are read in their order and added up as the writer does it, so
// that no table of temporary ones is needed.
constexpr const char* rebuild = R"(
DELETE FROM name_hour;
INSERT OR IGNORE INTO name_hour SELECT name, ts / 3600000000 FROM query;
DELETE FROM name WHERE id NOT IN (SELECT name FROM name_hour);
DELETE FROM answer WHERE id NOT IN (SELECT answer FROM query WHERE answer IS NOT NULL);
DELETE FROM answer_address WHERE answer NOT IN (SELECT id FROM answer);
DELETE FROM endpoint WHERE id NOT IN (
  SELECT client FROM query WHERE client IS NOT NULL
  UNION SELECT destination FROM query WHERE destination IS NOT NULL
  UNION SELECT upstream FROM query WHERE upstream IS NOT NULL);
DELETE FROM text WHERE id NOT IN (
  SELECT rule FROM query WHERE rule IS NOT NULL
  UNION SELECT lists FROM query WHERE lists IS NOT NULL
  UNION SELECT observed_rule FROM query WHERE observed_rule IS NOT NULL);
DELETE FROM device WHERE id NOT IN (SELECT device FROM query);
DELETE FROM device_hour;
INSERT INTO device_hour SELECT device, ts / 3600000000, verdict, destination IS NOT NULL, 1, ts, ts FROM query WHERE true
  ON CONFLICT DO UPDATE SET
    queries = queries + 1, first = min(first, excluded.first), last = max(last, excluded.last);
DELETE FROM destination_hour;
INSERT INTO destination_hour SELECT device, ts / 3600000000, destination, 1 FROM query WHERE destination IS NOT NULL
  ON CONFLICT DO UPDATE SET queries = queries + 1;
DELETE FROM client_hour;
INSERT INTO client_hour SELECT device, client, ts / 3600000000 FROM query WHERE client IS NOT NULL
  ON CONFLICT DO UPDATE SET hour = max(hour, excluded.hour);
)";

/// All of it or nothing. How many rows its last statement changed.
Result<std::int64_t, DatabaseFault> in_transaction(Database& database, const std::string& sql) {
  if (const auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return fail(begun.error());
  auto done = database.execute(sql);
  const std::int64_t changes = done ? database.changes() : 0;
  if (done) done = database.execute("COMMIT");
  if (done) return changes;
  if (database.in_transaction()) (void)database.execute("ROLLBACK");
  return fail(done.error());
}

Result<std::string, DatabaseFault> condition_of(Database& database, const Forgetting& what) {
  std::string condition = "true";
  if (what.before) condition += " AND ts < " + std::to_string(what.before->time_since_epoch().count());
  if (what.devices.empty()) return condition;
  auto find = database.prepare("SELECT id FROM device WHERE name = ?1");
  if (!find) return fail(find.error());
  std::string ids;
  for (const std::string& name : what.devices) {
    const ResetAtEnd reset(*find);
    find->bind(1, std::string_view(name));
    for (;;) {
      const auto row = find->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      ids += (ids.empty() ? "" : ",") + std::to_string(find->integer(0));
    }
  }
  return condition + " AND device IN (" + ids + ")";
}

}  // namespace

Result<Forgotten, DatabaseFault> forget(const std::filesystem::path& file, const Forgetting& what) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return fail(DatabaseFault::missing);
  auto opened = Database::open(file, Database::Access::write, forgetting_patience);
  if (!opened) return fail(opened.error());
  Database& database = *opened;
  if (const auto checked = check_schema(database); !checked) return fail(checked.error());
  if (const auto set = database.execute("PRAGMA secure_delete = ON"); !set) return fail(set.error());

  const auto condition = condition_of(database, what);
  if (!condition) return fail(condition.error());
  const std::string slice = "DELETE FROM query WHERE ts IN (SELECT ts FROM query WHERE " + *condition + " LIMIT " +
                            std::to_string(slice_rows) + ")";
  Forgotten forgotten;
  for (std::int64_t gone = slice_rows; gone == slice_rows;) {
    const auto done = in_transaction(database, slice);
    if (!done) return fail(done.error());
    gone = *done;
    forgotten.rows += static_cast<std::uint64_t>(gone);
  }
  // Always: where it was interrupted before it came to this, it is said again.
  if (const auto rebuilt = in_transaction(database, rebuild); !rebuilt) return fail(rebuilt.error());
  // secure_delete overwrites what is deleted, but not the copies that were left behind when pages were once rearranged.
  const auto rewritten = database.execute("VACUUM");
  const auto is_wal_kept = database.integer("PRAGMA wal_checkpoint(TRUNCATE)");
  forgotten.leaves_remains = !rewritten || !is_wal_kept || *is_wal_kept != 0;
  return forgotten;
}

std::vector<std::filesystem::path> set_aside_logs(const std::filesystem::path& file) {
  std::vector<std::filesystem::path> found;
  const std::string prefix = file.filename().string() + ".corrupt-";
  std::error_code error;
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().filename().string().starts_with(prefix)) found.push_back(entry->path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace doline::querylog

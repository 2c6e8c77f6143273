#include "querylog/forget.h"

#include <algorithm>
#include <functional>

#include "querylog/flow_table.h"
#include "querylog/old_rows.h"
#include "querylog/schema.h"
#include "querylog/segment_table.h"

namespace doline::querylog {

namespace {

constexpr milliseconds forgetting_patience{10'000};
constexpr std::size_t slice_segments = 4;  // of one transaction

using Ids = std::vector<std::uint32_t>;

/// All of `work` or nothing.
Result<void, DatabaseFault> in_transaction(Database& database,
                                           const std::function<Result<void, DatabaseFault>()>& work) {
  if (const auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return begun;
  auto done = work();
  if (done) done = database.execute("COMMIT");
  if (!done && database.in_transaction()) (void)database.execute("ROLLBACK");
  return done;
}

Result<Ids, DatabaseFault> devices_named(Database& database, const std::vector<std::string>& names) {
  auto find = database.prepare("SELECT id FROM device WHERE name = ?1");
  if (!find) return fail(find.error());
  Ids ids;
  for (const std::string& name : names) {
    const ResetAtEnd reset(*find);
    find->bind(1, std::string_view(name));
    for (;;) {
      const auto row = find->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      ids.push_back(static_cast<std::uint32_t>(find->integer(0)));
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool contains(const Ids& ids, std::uint32_t id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

/// Takes what matches out of a segment. `devices`: ids, or nothing for all.
Result<std::int64_t, DatabaseFault> forget_in(SegmentTable& segments, const SegmentTable::Entry& entry,
                                              const std::optional<Ids>& devices, std::int64_t before) {
  if (entry.first >= before) return 0;
  if (devices) {
    Segment segment;
    const auto found = segments.read_head(entry.number, segment);
    if (!found) return fail(found.error());
    const auto set = segment.set(Column::device);
    if (!*found || std::none_of(set.begin(), set.end(), [&](std::uint32_t id) { return contains(*devices, id); }))
      return 0;
  } else if (entry.last < before) {
    if (const auto removed = segments.remove(entry.number); !removed) return fail(removed.error());
    return entry.rows;
  }
  return segments.keep_only(entry, [&](const Segment& segment, std::size_t row) {
    return segment.times()[row] >= before || (devices && !contains(*devices, segment.value(Column::device, row)));
  });
}

/// Takes entries away that neither segment nor flow names.
Result<void, DatabaseFault> forget_entries(Database& database, SegmentTable& segments) {
  const auto entries = segments.all();
  if (!entries) return fail(entries.error());
  struct Dictionary {
    const char* sql;
    std::vector<Column> columns;
    const char* of_flows;
  };
  const auto has_flows = has_flow_table(database);
  if (!has_flows) return fail(has_flows.error());
  const Dictionary dictionaries[] = {
      {"DELETE FROM device WHERE id NOT IN temp.named", {Column::device}, "SELECT device FROM flow"},
      {"DELETE FROM endpoint WHERE id NOT IN temp.named",
       {Column::client, Column::destination, Column::upstream},
       "SELECT client FROM flow UNION SELECT destination FROM flow"},
      {"DELETE FROM name WHERE id NOT IN temp.named", {Column::name}, "SELECT name FROM flow"},
      {"DELETE FROM text WHERE id NOT IN temp.named",
       {Column::rule, Column::lists, Column::observed_rule},
       "SELECT interface FROM flow"},
      {"DELETE FROM answer WHERE id NOT IN temp.named", {Column::answer}, nullptr}};
  if (const auto made = database.execute("CREATE TEMP TABLE IF NOT EXISTS named(id INTEGER PRIMARY KEY)"); !made)
    return made;
  auto name = database.prepare("INSERT INTO temp.named VALUES(?1)");
  if (!name) return fail(name.error());
  for (const Dictionary& dictionary : dictionaries) {
    Ids named;
    Segment segment;
    for (const SegmentTable::Entry& entry : *entries) {
      if (const auto read = segments.read_head(entry.number, segment); !read) return fail(read.error());
      for (const Column column : dictionary.columns) {
        const auto set = segment.set(column);
        named.insert(named.end(), set.begin(), set.end());
      }
      if (named.size() > 4 * segment_rows_max) {
        std::sort(named.begin(), named.end());
        named.erase(std::unique(named.begin(), named.end()), named.end());
      }
    }
    if (*has_flows && dictionary.of_flows != nullptr) {
      auto of_flows = database.prepare(dictionary.of_flows);
      if (!of_flows) return fail(of_flows.error());
      for (;;) {
        const auto row = of_flows->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        named.push_back(static_cast<std::uint32_t>(of_flows->integer(0)));
      }
    }
    std::sort(named.begin(), named.end());
    named.erase(std::unique(named.begin(), named.end()), named.end());
    if (const auto emptied = database.execute("DELETE FROM temp.named"); !emptied) return emptied;
    for (const std::uint32_t id : named)
      if (const auto done = name->bind(1, std::int64_t{id}).run(); !done) return done;
    if (const auto done = database.execute(dictionary.sql); !done) return done;
  }
  return {};
}

}  // namespace

Result<Forgotten, DatabaseFault> forget(const std::filesystem::path& file, const Forgetting& what) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return fail(DatabaseFault::missing);
  auto opened = Database::open(file, Database::Access::write, forgetting_patience);
  if (!opened) return fail(opened.error());
  Database& database = *opened;
  if (const auto checked = check_schema(database); !checked) return fail(checked.error());
  // The temporary table of what is named would else lie in a file.
  if (const auto set = database.execute("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY"); !set)
    return fail(set.error());
  auto segments = SegmentTable::open(database);
  if (!segments) return fail(segments.error());

  for (;;) {  // rows of an older log are looked for in segments too
    auto has_old = false;
    const auto moved = in_transaction(database, [&]() -> Result<void, DatabaseFault> {
      const auto old = has_old_rows(database);
      if (!old) return fail(old.error());
      has_old = *old;
      return has_old ? move_old_rows(database, *segments) : Result<void, DatabaseFault>{};
    });
    if (!moved) return fail(moved.error());
    if (!has_old) break;
  }

  const std::int64_t before = what.before ? what.before->time_since_epoch().count() : INT64_MAX;
  Forgotten forgotten;
  // A running writer goes on between two slices, and gathers what was still to be looked at under numbers that were
  // not: what is not sealed is gone through at last, in one transaction.
  const auto forget_all_of = [&](const std::vector<SegmentTable::Entry>& entries) -> Result<void, DatabaseFault> {
    std::optional<Ids> devices;
    if (!what.devices.empty()) {
      auto ids = devices_named(database, what.devices);
      if (!ids) return fail(ids.error());
      devices = std::move(*ids);
    }
    for (const SegmentTable::Entry& entry : entries) {
      const auto gone = forget_in(*segments, entry, devices, before);
      if (!gone) return fail(gone.error());
      forgotten.rows += static_cast<std::uint64_t>(*gone);
    }
    const auto flows_gone = forget_flows(
        database, devices ? std::optional<std::span<const std::uint32_t>>(*devices) : std::nullopt, before);
    if (!flows_gone) return fail(flows_gone.error());
    forgotten.flows += *flows_gone;
    return {};
  };
  std::int64_t behind = 0;
  for (bool is_done = false; !is_done;) {
    const auto done = in_transaction(database, [&]() -> Result<void, DatabaseFault> {
      auto entries = segments->all();
      if (!entries) return fail(entries.error());
      std::erase_if(*entries, [&](const SegmentTable::Entry& entry) { return entry.number < behind; });
      const auto unsealed = std::find_if(entries->begin(), entries->end(),
                                         [](const SegmentTable::Entry& entry) { return entry.level != level_sealed; });
      const auto sealed = static_cast<std::size_t>(unsealed - entries->begin());
      is_done = sealed <= slice_segments;
      if (!is_done) {
        entries->resize(slice_segments);
        behind = entries->back().number + entries->back().rows;
      }
      return forget_all_of(*entries);
    });
    if (!done) return fail(done.error());
  }
  // Always: where it was interrupted before it came to this, it is said again.
  if (const auto done = in_transaction(database, [&] { return forget_entries(database, *segments); }); !done)
    return fail(done.error());
  // secure_delete overwrites what is deleted, but not the copies that were left behind when pages were once rearranged.
  *segments = SegmentTable();
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

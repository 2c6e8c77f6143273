#include "querylog/flow_table.h"

#include <utility>

namespace doline::querylog {

namespace {

constexpr const char* make_table = R"(
CREATE TABLE IF NOT EXISTS flow(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,
  device INTEGER NOT NULL,
  client INTEGER NOT NULL,
  client_port INTEGER NOT NULL,
  destination INTEGER NOT NULL,
  port INTEGER NOT NULL,
  protocol INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  explanation INTEGER NOT NULL,
  name INTEGER NOT NULL,
  interface INTEGER NOT NULL,
  packets_out INTEGER, octets_out INTEGER, packets_in INTEGER, octets_in INTEGER,
  refused INTEGER NOT NULL DEFAULT 0);
)";
constexpr const char* add_refused = "ALTER TABLE flow ADD COLUMN refused INTEGER NOT NULL DEFAULT 0";

void bind_traffic(Statement& statement, int position, const flows::Traffic& traffic) {
  for (const std::uint64_t count : {traffic.packets_out, traffic.octets_out, traffic.packets_in, traffic.octets_in})
    statement.bind(position++, static_cast<std::int64_t>(count));
}

Result<bool, DatabaseFault> counts_one(Database& database, const char* sql) {
  const auto count = database.integer(sql);
  if (!count) return fail(count.error());
  return *count == 1;
}

std::uint32_t id_of(const Statement& statement, int column) {
  return static_cast<std::uint32_t>(statement.integer(column));
}

}  // namespace

Result<FlowTable, DatabaseFault> FlowTable::open(Database& database) {
  if (const auto made = database.execute(make_table); !made) return fail(made.error());
  const auto tells_refused = tells_refused_flows(database);
  if (!tells_refused) return fail(tells_refused.error());
  if (!*tells_refused)
    if (const auto added = database.execute(add_refused); !added) return fail(added.error());
  FlowTable table;
  const std::pair<Statement*, const char*> statements[] = {
      {&table.insert_,
       "INSERT INTO flow(time, device, client, client_port, destination, port, protocol, kind, explanation, name, "
       "interface, packets_out, octets_out, packets_in, octets_in, refused) "
       "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING number"},
      {&table.set_traffic_,
       "UPDATE flow SET packets_out = ?2, octets_out = ?3, packets_in = ?4, octets_in = ?5 WHERE number = ?1"},
      {&table.oldest_, "SELECT time FROM flow ORDER BY number LIMIT 1"},
      {&table.remove_,
       "DELETE FROM flow WHERE number IN (SELECT number FROM flow ORDER BY number LIMIT ?2) AND time < ?1"},
      {&table.ids_,
       "SELECT number, device, client, destination, name, interface FROM flow WHERE number > ?1 ORDER BY number "
       "LIMIT ?2"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = database.prepare(sql);
    if (!prepared) return fail(prepared.error());
    *statement = std::move(*prepared);
  }
  return table;
}

Result<std::int64_t, DatabaseFault> FlowTable::insert(const FlowEntry& entry) {
  const ResetAtEnd reset(insert_);
  insert_.bind(1, entry.time)
      .bind(2, std::int64_t{entry.device})
      .bind(3, std::int64_t{entry.client})
      .bind(4, std::int64_t{entry.client_port})
      .bind(5, std::int64_t{entry.destination})
      .bind(6, std::int64_t{entry.port})
      .bind(7, std::int64_t{entry.protocol})
      .bind(8, static_cast<std::int64_t>(entry.kind))
      .bind(9, static_cast<std::int64_t>(entry.explanation))
      .bind(10, std::int64_t{entry.name})
      .bind(11, std::int64_t{entry.interface})
      .bind(16, std::int64_t{entry.is_refused});
  if (entry.traffic)
    bind_traffic(insert_, 12, *entry.traffic);
  else
    for (int position = 12; position <= 15; ++position) insert_.bind_null(position);
  const auto row = insert_.step();
  if (!row) return fail(row.error());
  if (!*row) return fail(DatabaseFault::corrupt);
  const std::int64_t number = insert_.integer(0);
  const auto end = insert_.step();
  if (!end) return fail(end.error());
  return number;
}

Result<void, DatabaseFault> FlowTable::set_traffic(std::int64_t number, const flows::Traffic& traffic) {
  set_traffic_.bind(1, number);
  bind_traffic(set_traffic_, 2, traffic);
  return set_traffic_.run();
}

Result<std::int64_t, DatabaseFault> FlowTable::oldest() {
  const ResetAtEnd reset(oldest_);
  const auto row = oldest_.step();
  if (!row) return fail(row.error());
  return *row ? oldest_.integer(0) : 0;
}

Result<std::size_t, DatabaseFault> FlowTable::remove_before(std::int64_t cutoff, std::size_t most) {
  const auto first = oldest();
  if (!first) return fail(first.error());
  if (*first == 0 || *first >= cutoff) return 0;
  if (const auto done = remove_.bind(1, cutoff).bind(2, static_cast<std::int64_t>(most)).run(); !done)
    return fail(done.error());
  return most;
}

Result<std::optional<std::int64_t>, DatabaseFault> FlowTable::ids_behind(
    std::int64_t after, std::size_t most, const std::function<void(const FlowEntry&)>& see) {
  const ResetAtEnd reset(ids_);
  ids_.bind(1, after).bind(2, static_cast<std::int64_t>(most));
  std::optional<std::int64_t> last;
  for (;;) {
    const auto row = ids_.step();
    if (!row) return fail(row.error());
    if (!*row) return last;
    last = ids_.integer(0);
    FlowEntry entry;
    entry.device = id_of(ids_, 1);
    entry.client = id_of(ids_, 2);
    entry.destination = id_of(ids_, 3);
    entry.name = id_of(ids_, 4);
    entry.interface = id_of(ids_, 5);
    see(entry);
  }
}

void FlowTable::reset() {
  for (Statement* statement : {&insert_, &set_traffic_, &oldest_, &remove_, &ids_}) statement->reset();
}

Result<bool, DatabaseFault> has_flow_table(Database& database) {
  return counts_one(database, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'flow'");
}

Result<bool, DatabaseFault> tells_refused_flows(Database& database) {
  return counts_one(database, "SELECT count(*) FROM pragma_table_info('flow') WHERE name = 'refused'");
}

Result<std::uint64_t, DatabaseFault> forget_flows(Database& database,
                                                  const std::optional<std::span<const std::uint32_t>>& devices,
                                                  std::int64_t before) {
  const auto has_table = has_flow_table(database);
  if (!has_table) return fail(has_table.error());
  if (!*has_table) return 0;
  std::string sql = "DELETE FROM flow WHERE time < ?1";
  if (devices) {
    sql += " AND device IN (";
    for (const std::uint32_t id : *devices) sql += std::to_string(id) + ",";
    sql += "0)";
  }
  auto take = database.prepare(sql);
  if (!take) return fail(take.error());
  if (const auto done = take->bind(1, before).run(); !done) return fail(done.error());
  return static_cast<std::uint64_t>(database.changes());
}

}  // namespace doline::querylog

#include "querylog/schema.h"

#include <array>

namespace doline::querylog {

namespace {

// auto_vacuum and page_size must come before the first table; journal_mode stays with the file.
constexpr const char* settings = R"(
PRAGMA page_size = 4096;
PRAGMA auto_vacuum = INCREMENTAL;
)";

constexpr const char* segment_tables = R"(
CREATE TABLE segment(
  number INTEGER PRIMARY KEY,
  level INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  head BLOB NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX segment_sealed ON segment(level, first, last, rows) WHERE level = 9;
)";

constexpr const char* dictionary_tables = R"(
CREATE TABLE device(
  id INTEGER PRIMARY KEY,
  name TEXT, mac BLOB, vendor TEXT, hostname TEXT, groups TEXT);
CREATE TABLE endpoint(id INTEGER PRIMARY KEY, address BLOB NOT NULL, port INTEGER NOT NULL, UNIQUE(address, port));
CREATE TABLE name(id INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE answer(id INTEGER PRIMARY KEY, octets BLOB NOT NULL);
PRAGMA application_id = 1146047566;
)";

// Version 1 kept a row for each query, in a table `query` that old_rows.h empties bit by bit, and dated its
// dictionaries by the hour.
constexpr const char* from_version_1 = R"(
DROP TABLE name_hour;
DROP TABLE device_hour;
DROP TABLE destination_hour;
DROP TABLE client_hour;
DROP TABLE answer_address;
DROP TABLE secret;
DROP INDEX answer_by_hash;
ALTER TABLE endpoint DROP COLUMN last_hour;
ALTER TABLE answer DROP COLUMN first_hour;
ALTER TABLE answer DROP COLUMN last_hour;
ALTER TABLE answer DROP COLUMN hash;
ALTER TABLE answer DROP COLUMN name;
)";

// Has come later: made where it is missing, and a log without it has none.
constexpr const char* presence_table = R"(
CREATE TABLE IF NOT EXISTS presence(
  device INTEGER NOT NULL,
  client INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY(device, client, first)) WITHOUT ROWID;
)";

constexpr const char* set_version = "PRAGMA user_version = 2;";
static_assert(application_id == 1146047566 && schema_version == 2);

}  // namespace

Result<void, DatabaseFault> check_schema(Database& database) {
  const auto ours = database.integer("PRAGMA application_id");
  if (!ours) return fail(ours.error());
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*ours != application_id) {
    const auto objects = database.integer("SELECT count(*) FROM sqlite_schema");
    if (!objects) return fail(objects.error());
    return fail(*objects == 0 ? DatabaseFault::older_schema : DatabaseFault::foreign);
  }
  if (*version > schema_version) return fail(DatabaseFault::newer_schema);
  if (*version < schema_version) return fail(DatabaseFault::older_schema);
  return {};
}

Result<void, DatabaseFault> create_or_check_schema(Database& database) {
  const auto checked = check_schema(database);
  if (checked) return database.execute(presence_table);
  if (checked.error() != DatabaseFault::older_schema) return checked;
  const auto old = database.integer("PRAGMA user_version");
  if (!old) return fail(old.error());
  const auto ours = database.integer("PRAGMA application_id");
  if (!ours) return fail(ours.error());
  const bool is_empty = *ours != application_id;
  if (!is_empty && *old != 1) return fail(DatabaseFault::corrupt);
  if (is_empty)
    if (const auto set = database.execute(settings); !set) return set;
  const auto made =
      database.execute(std::string("PRAGMA secure_delete = FAST; BEGIN IMMEDIATE;") + segment_tables +
                       (is_empty ? dictionary_tables : from_version_1) + presence_table + set_version + "COMMIT");
  if (!made && database.in_transaction()) (void)database.execute("ROLLBACK");
  return made;
}

std::string to_name_key(const dns::Name& name) {
  const auto lowered = name.lowered();
  const auto wire = lowered.wire();
  std::array<std::uint8_t, 128> starts{};
  std::size_t count = 0;
  for (std::size_t at = 0; wire[at] != 0; at += 1u + wire[at]) starts[count++] = static_cast<std::uint8_t>(at);
  std::string key;
  key.reserve(wire.size());
  while (count-- > 0) {
    const auto label = wire.subspan(starts[count], 1u + wire[starts[count]]);
    key.append(reinterpret_cast<const char*>(label.data()), label.size());
  }
  return key;
}

dns::Name from_name_key(std::string_view key) {
  std::string wire(1, '\0');
  for (std::size_t at = 0; at < key.size();) {
    const std::size_t label = 1u + static_cast<unsigned char>(key[at]);
    if (label > key.size() - at || wire.size() + label > dns::name_octets_max) return {};
    wire.insert(0, key.substr(at, label));
    at += label;
  }
  const auto name = dns::Name::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
  return name ? *name : dns::Name();
}

}  // namespace doline::querylog

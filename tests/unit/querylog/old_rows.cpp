#include "querylog/old_rows.h"

#include <set>

#include "querylog/forget.h"
#include "querylog/schema.h"
#include "querylog/store.h"
#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;
using samples::morning;

namespace {

/// As the Doline of version 1 made it.
constexpr const char* version_1 = R"(
PRAGMA page_size = 4096;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE query(
  ts INTEGER PRIMARY KEY,
  device INTEGER NOT NULL,
  client INTEGER,
  destination INTEGER,
  destination_source INTEGER NOT NULL,
  transport INTEGER NOT NULL,
  name INTEGER NOT NULL,
  qtype INTEGER NOT NULL,
  verdict INTEGER NOT NULL,
  rule INTEGER,
  lists INTEGER,
  observed INTEGER,
  observed_rule INTEGER,
  source INTEGER NOT NULL,
  rcode INTEGER NOT NULL,
  answer INTEGER,
  ttl INTEGER,
  upstream INTEGER,
  latency_us INTEGER NOT NULL,
  dnssec INTEGER NOT NULL);
CREATE INDEX query_by_device ON query(device);
CREATE INDEX query_by_destination ON query(destination) WHERE destination IS NOT NULL;
CREATE TABLE device(
  id INTEGER PRIMARY KEY,
  name TEXT, mac BLOB, vendor TEXT, hostname TEXT, groups TEXT);
CREATE TABLE endpoint(
  id INTEGER PRIMARY KEY, address BLOB NOT NULL, port INTEGER NOT NULL, last_hour INTEGER NOT NULL, UNIQUE(address, port));
CREATE TABLE name(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE name_hour(name INTEGER, hour INTEGER, PRIMARY KEY(name, hour)) WITHOUT ROWID;
CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE answer(
  id INTEGER PRIMARY KEY,
  hash INTEGER NOT NULL,
  name INTEGER NOT NULL,
  first_hour INTEGER NOT NULL,
  last_hour INTEGER NOT NULL,
  octets BLOB NOT NULL);
CREATE INDEX answer_by_hash ON answer(hash);
CREATE TABLE answer_address(address BLOB, answer INTEGER, PRIMARY KEY(address, answer)) WITHOUT ROWID;
CREATE TABLE device_hour(
  device INTEGER, hour INTEGER, verdict INTEGER, intercepted INTEGER, queries INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, PRIMARY KEY(device, hour, verdict, intercepted)) WITHOUT ROWID;
CREATE TABLE destination_hour(
  device INTEGER, hour INTEGER, destination INTEGER, queries INTEGER NOT NULL,
  PRIMARY KEY(device, hour, destination)) WITHOUT ROWID;
CREATE TABLE client_hour(
  device INTEGER, client INTEGER, hour INTEGER NOT NULL, PRIMARY KEY(device, client)) WITHOUT ROWID;
CREATE TABLE secret(id INTEGER PRIMARY KEY, octets BLOB NOT NULL);
INSERT INTO secret VALUES(1, randomblob(16));
PRAGMA application_id = 1146047566;
PRAGMA user_version = 1;
COMMIT;
)";

// One query a second: in turns of the camera, which meant a foreign resolver, and of the phone, which was blocked.
constexpr const char* rows_of_version_1 = R"(
BEGIN;
INSERT INTO device VALUES(1, 'wyze-base', x'94513d139a35', 'Wyze Labs', 'WyzeBase-Sta', 'cameras' || char(10)),
  (2, 'phone', NULL, NULL, NULL, NULL);
INSERT INTO endpoint VALUES(1, x'c0a83268', 0, 498775), (2, x'72727272', 53, 498775), (3, x'09090909', 53, 498775),
  (4, x'c0a83269', 0, 498775);
INSERT INTO name VALUES(1, x'03636f6d0477797a6503617069'), (2, x'076578616d706c6503616473');
INSERT INTO name_hour VALUES(1, 498775), (2, 498775);
INSERT INTO text VALUES(1, 'otherwise'), (2, 'lists'), (3, 'ads' || char(10)), (4, 'doline.yml:40');
INSERT INTO answer VALUES(1, 77, 1, 498775, 498775, x'000104c0000201');
INSERT INTO answer_address VALUES(x'c0000201', 1);
INSERT INTO device_hour VALUES(1, 498775, 0, 1, 10000, 1795590000000000, 1795609998000000);
INSERT INTO destination_hour VALUES(1, 498775, 2, 10000);
INSERT INTO client_hour VALUES(1, 1, 498775);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
INSERT INTO query SELECT 1795590000000000 + i * 2000000, 1, 1, 2, 1, 1, 1, 28, 0, 1, NULL, 1, 4, 4, 3, 1, 60, 3, 777, 1
  FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
INSERT INTO query SELECT 1795590001000000 + i * 2000000, 2, 4, NULL, 0, 0, 2, 1, 1, 2, 3, NULL, NULL, 1, 0, NULL, NULL,
  NULL, 12, 0 FROM n;
COMMIT;
)";

void make_log_of_version_1(const std::filesystem::path& file, bool with_rows = true) {
  auto database = Database::open(file, Database::Access::write, milliseconds(0));
  REQUIRE(database.has_value());
  REQUIRE(database->execute(version_1).has_value());
  if (with_rows) REQUIRE(database->execute(rows_of_version_1).has_value());
}

std::int64_t number(const std::filesystem::path& file, const std::string& sql) {
  auto database = Database::open(file, Database::Access::read, milliseconds(0));
  REQUIRE(database.has_value());
  const auto value = database->integer(sql);
  REQUIRE(value.has_value());
  return *value;
}

void write_one(Store& store) {
  Record record;
  record.qname = samples::name("new.example");
  record.time = morning + std::chrono::hours(24);
  Row row(record);
  Identity identity;
  identity.name = "tv";
  REQUIRE(store.begin().has_value());
  row[Column::device] = *store.device(identity);
  row[Column::name] = *store.name(record.qname);
  REQUIRE(store.insert(row).has_value());
  REQUIRE(store.commit().has_value());
}

void check_old_rows(const std::vector<LogRow>& rows) {
  REQUIRE(rows.size() >= 20'000);
  for (std::size_t at = 0; at < 20'000; ++at) {
    REQUIRE(rows[at].time == morning + std::chrono::seconds(at));
    REQUIRE(rows[at].device == (at % 2 == 0 ? "wyze-base" : "phone"));
  }
  const LogRow& camera = rows[4'000];
  CHECK(camera.mac->to_string() == "94:51:3d:13:9a:35");
  CHECK(camera.vendor == "Wyze Labs");
  CHECK(camera.groups == std::vector<std::string>{"cameras"});
  CHECK(camera.client == samples::address("192.168.50.104"));
  CHECK(camera.original_destination->to_string() == "114.114.114.114:53");
  CHECK(camera.destination_source == device::DestinationSource::tproxy);
  CHECK(camera.transport == Transport::tcp);
  CHECK(camera.qname == samples::name("api.wyze.com"));
  CHECK(camera.qtype == dns::RecordType::aaaa);
  CHECK(camera.verdict == VerdictKind::forward);
  CHECK(camera.rule == "otherwise");
  CHECK(camera.observed == VerdictKind::block);
  CHECK(camera.observed_rule == "doline.yml:40");
  CHECK(camera.source == Source::upstream);
  CHECK(camera.code == dns::ResponseCode::nxdomain);
  CHECK(camera.answers.size() == 1);
  CHECK(camera.ttl == 60u);
  CHECK(camera.upstream->to_string() == "9.9.9.9:53");
  CHECK(camera.latency_us == 777);
  CHECK(camera.dnssec == Dnssec::upstream_said_secure);
  const LogRow& phone = rows[4'001];
  CHECK(phone.qname == samples::name("ads.example"));
  CHECK(phone.lists == std::vector<std::string>{"ads"});
  CHECK_FALSE(phone.original_destination.has_value());
  CHECK_FALSE(phone.observed.has_value());
  CHECK_FALSE(phone.ttl.has_value());
  CHECK_FALSE(phone.upstream.has_value());
}

}  // namespace

TEST_CASE("a log of version 1 is brought over in steps while it is written, and nothing of it is lost") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  make_log_of_version_1(file);
  CHECK(LogReader::open(file).error() == DatabaseFault::older_schema);
  auto store = Store::open(file, milliseconds(1'000));
  REQUIRE(store.has_value());
  CHECK(number(file, "PRAGMA user_version") == schema_version);
  write_one(**store);
  CHECK(samples::rows(file).size() == 1);
  int steps = 0;
  std::size_t seen = 1;
  for (bool has_more = true; has_more; ++steps) {
    const auto more = (*store)->retire(INT64_MIN, UINT64_MAX, 2);
    REQUIRE(more.has_value());
    has_more = *more;
    write_one(**store);
    CHECK(samples::rows(file).size() > seen);
    seen = samples::rows(file).size();
  }
  CHECK(steps >= 4);
  CHECK(number(file, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'query%' OR name LIKE '%hour'") == 0);
  const auto rows = samples::rows(file);
  check_old_rows(rows);
  CHECK(rows.size() == 20'001u + static_cast<std::size_t>(steps));
  samples::check_dictionaries(file);
  LogFilter by_answer;
  by_answer.answers = {samples::address("192.0.2.1")};
  CHECK(samples::rows(file, by_answer).size() == 10'000);
}

TEST_CASE("bringing a log over goes on where it was interrupted") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  make_log_of_version_1(file);
  for (int run = 0; run < 5; ++run) {
    auto store = Store::open(file, milliseconds(1'000));
    REQUIRE(store.has_value());
    write_one(**store);
    REQUIRE((*store)->retire(INT64_MIN, UINT64_MAX, 2).has_value());
  }
  const auto rows = samples::rows(file);
  check_old_rows(rows);
  CHECK(rows.size() == 20'005);
  std::set<std::uint64_t> numbers;
  for (const LogRow& row : rows) numbers.insert(row.number);
  CHECK(numbers.size() == rows.size());
}

TEST_CASE("a log of version 1 without rows becomes one as it is made new") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  make_log_of_version_1(file, false);
  auto store = Store::open(file, milliseconds(1'000));
  REQUIRE(store.has_value());
  REQUIRE((*store)->retire(INT64_MIN, UINT64_MAX, 2).has_value());
  write_one(**store);
  CHECK(samples::rows(file).size() == 1);
  REQUIRE(Store::open(folder / "fresh.db", milliseconds(1'000)).has_value());
  const auto columns_of = [](const std::filesystem::path& of) {
    auto database = Database::open(of, Database::Access::read, milliseconds(0));
    REQUIRE(database.has_value());
    auto statement = database->prepare(
        "SELECT s.name, c.name, c.type, c.[notnull], c.pk FROM sqlite_schema AS s, pragma_table_info(s.name) AS c "
        "WHERE "
        "s.type = 'table'");
    REQUIRE(statement.has_value());
    std::set<std::string> column_names;
    while (statement->step() == true) {
      std::string line;
      for (int column = 0; column < 5; ++column) line += std::string(statement->text(column)) + " ";
      column_names.insert(line);
    }
    return column_names;
  };
  CHECK(columns_of(file) == columns_of(folder / "fresh.db"));
}

TEST_CASE("what is forgotten is forgotten among old rows too") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  make_log_of_version_1(file);
  REQUIRE(Store::open(file, milliseconds(1'000)).has_value());
  const auto forgotten = forget(file, {{"phone"}, {}});
  REQUIRE(forgotten.has_value());
  CHECK(forgotten->rows == 10'000);
  CHECK(samples::rows(file).size() == 10'000);
  samples::check_dictionaries(file);
}

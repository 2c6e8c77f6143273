#include "querylog/store.h"

#include <fstream>

#include "querylog/forget.h"
#include "querylog/schema.h"
#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;
using samples::a;
using samples::morning;
using samples::name;

namespace {

constexpr std::int64_t hour = 3'600'000'000;
constexpr std::int64_t start = morning.time_since_epoch().count();
constexpr std::int64_t never = INT64_MIN;
constexpr std::uint64_t unlimited = UINT64_MAX;

std::unique_ptr<Store> open(const std::filesystem::path& file) {
  auto store = Store::open(file, milliseconds(1000));
  REQUIRE(store.has_value());
  return std::move(*store);
}

std::int64_t id(const Result<std::int64_t, DatabaseFault>& found) {
  REQUIRE(found.has_value());
  REQUIRE(*found > 0);
  return *found;
}

struct Query {
  std::int64_t ts = start;
  std::string qname = "www.example.com";
  std::string answer = "192.0.2.1";
  std::string client = "192.168.50.104";
  std::string device = "wyze-base";
};

void insert(Store& store, const Query& query) {
  Record record;
  record.qname = name(query.qname);
  const std::int64_t at = hour_of(query.ts);
  Row row;
  row.record = &record;
  row.ts = query.ts;
  Identity identity;
  identity.name = query.device;
  row.device = id(store.device(identity));
  row.client = id(store.endpoint({samples::address(query.client), 0}, at));
  row.name = id(store.name(record.qname, at));
  row.rule = id(store.text("doline.yml:40"));
  if (!query.answer.empty()) {
    EncodedAnswers encoded;
    encode_answers(samples::response(query.qname, dns::RecordType::a, {a(query.qname, query.answer)}), record.qname,
                   encoded);
    row.answer = id(store.answer(row.name, encoded.octets, at));
    row.ttl = encoded.ttl;
  }
  REQUIRE(store.insert(row).has_value());
}

void write(Store& store, const std::vector<Query>& queries) {
  REQUIRE(store.begin().has_value());
  for (const Query& query : queries) insert(store, query);
  REQUIRE(store.commit().has_value());
}

std::int64_t number(const std::filesystem::path& file, const std::string& sql) {
  auto database = Database::open(file, Database::Access::read, milliseconds(0));
  REQUIRE(database.has_value());
  const auto value = database->integer(sql);
  REQUIRE(value.has_value());
  return *value;
}

void retire_all(Store& store, std::int64_t cutoff, std::uint64_t octets_max = unlimited,
                std::int64_t rows_max = 2'000) {
  for (int step = 0; step < 100'000; ++step) {
    const auto more = store.retire(cutoff, octets_max, rows_max);
    REQUIRE(more.has_value());
    if (!*more) return;
  }
  FAIL("retention does not end");
}

/// What no row names any more, and what a row names that is not there.
void check_dictionaries(const std::filesystem::path& file) {
  for (const char* sql :
       {"SELECT count(*) FROM query WHERE name NOT IN (SELECT id FROM name)",
        "SELECT count(*) FROM query WHERE answer NOT IN (SELECT id FROM answer)",
        "SELECT count(*) FROM query WHERE client NOT IN (SELECT id FROM endpoint)",
        "SELECT count(*) FROM query WHERE device NOT IN (SELECT id FROM device)",
        "SELECT count(*) FROM query WHERE NOT EXISTS(SELECT 1 FROM name_hour AS h WHERE h.name = query.name AND "
        "h.hour = ts / 3600000000)",
        "SELECT count(*) FROM query JOIN answer ON answer.id = query.answer WHERE ts / 3600000000 NOT BETWEEN "
        "first_hour AND last_hour",
        "SELECT count(*) FROM name WHERE id NOT IN (SELECT name FROM query)",
        "SELECT count(*) FROM answer WHERE id NOT IN (SELECT answer FROM query WHERE answer NOT NULL)",
        "SELECT count(*) FROM answer_address WHERE answer NOT IN (SELECT id FROM answer)",
        "SELECT count(*) FROM device WHERE id NOT IN (SELECT device FROM query)",
        // sums are by the hour: of the oldest, some rows may have gone
        "SELECT abs((SELECT count(*) FROM query WHERE ts / 3600000000 > old) - (SELECT coalesce(sum(queries), 0) FROM "
        "device_hour WHERE hour > old)) FROM (SELECT min(ts) / 3600000000 AS old FROM query)"}) {
    INFO(std::string(sql));
    CHECK(number(file, sql) == 0);
  }
}

}  // namespace

TEST_CASE("what is asked and answered again is kept once") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}, {.ts = start + 1}, {.ts = start + 2, .answer = "192.0.2.2"}});
  write(*store, {{.ts = start + 3, .answer = "192.0.2.2"}, {.ts = start + 4, .qname = "other.example.com"}});
  CHECK(number(file, "SELECT count(*) FROM query") == 5);
  CHECK(number(file, "SELECT count(*) FROM name") == 2);
  CHECK(number(file, "SELECT count(*) FROM answer") == 3);
  CHECK(number(file, "SELECT count(*) FROM answer_address") == 3);
  CHECK(number(file, "SELECT count(*) FROM endpoint") == 1);
  CHECK(number(file, "SELECT count(*) FROM device") == 1);
  CHECK(number(file, "SELECT count(*) FROM text") == 1);
  check_dictionaries(file);
}

TEST_CASE("a store that is opened again goes on with the entries that are there") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  write(*open(file), {{.ts = start}});
  write(*open(file), {{.ts = start + 1}});
  CHECK(number(file, "SELECT count(*) FROM query") == 2);
  CHECK(number(file, "SELECT count(*) FROM name") == 1);
  CHECK(number(file, "SELECT count(*) FROM answer") == 1);
  check_dictionaries(file);
}

TEST_CASE("queries of one instant are all kept, in their order, behind one another") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<Query> batch;
  for (int number = 0; number < 3'000; ++number) batch.push_back({.qname = std::to_string(number) + ".example"});
  write(*store, batch);
  write(*store, batch);
  CHECK(number(file, "SELECT count(*) FROM query") == 6'000);
  CHECK(number(file, "SELECT max(ts) - min(ts) FROM query") == 5'999);
  CHECK(number(file,
               "SELECT count(*) FROM query AS q WHERE name <> (q.ts - " + std::to_string(start) + ") % 3000 + 1") == 0);
  check_dictionaries(file);
}

TEST_CASE("a late query finds a free microsecond near its own, however full its time is") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<Query> batch;
  for (int number = 0; number < 500; ++number) batch.push_back({.ts = start + number});
  write(*store, batch);
  write(*store, {{.ts = start + hour}});
  write(*store, {{.ts = start + 100, .qname = "late.example"}, {.ts = start + 100, .qname = "later.example"}});
  CHECK(number(file, "SELECT ts FROM query WHERE name = 2") == start + 500);
  CHECK(number(file, "SELECT ts FROM query WHERE name = 3") == start + 501);
  for (int number = 500; number < 3'000; ++number) batch.push_back({.ts = start + number});
  write(*store, batch);
  write(*store, {{.ts = start, .qname = "last.example"}});
  CHECK(number(file, "SELECT count(*) FROM query WHERE name = 4") == 1);
  check_dictionaries(file);
}

TEST_CASE("a query that has to move on into the next hour is found in that hour") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  const std::int64_t last = begin_of_hour(hour_of(start) + 1) - 1;
  write(*store, {{.ts = last, .qname = "a.example"}, {.ts = last, .qname = "b.example", .answer = "192.0.2.9"}});
  check_dictionaries(file);
  samples::rows(file);
  LogFilter by_name;
  by_name.names = {{name("b.example"), false}};
  CHECK(samples::rows(file, by_name).size() == 1);
  LogFilter by_answer;
  by_answer.answers = {samples::address("192.0.2.9")};
  CHECK(samples::rows(file, by_answer).size() == 1);
}

TEST_CASE("after a roll-back nothing is there, and the same rows may be written again") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  const std::uint64_t epoch = store->epoch();
  REQUIRE(store->begin().has_value());
  insert(*store, {});
  store->roll_back();
  CHECK(store->epoch() > epoch);
  CHECK(number(file, "SELECT count(*) FROM query") == 0);
  CHECK(number(file, "SELECT count(*) FROM name") == 0);
  write(*store, {{}, {.ts = start + 1}});
  CHECK(number(file, "SELECT count(*) FROM query") == 2);
  CHECK(number(file, "SELECT min(ts) FROM query") == start);
  CHECK(number(file, "SELECT sum(queries) FROM device_hour") == 2);
  check_dictionaries(file);
}

TEST_CASE("what is too old goes, with all that only it had named, and what is still named stays") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  for (int at = 0; at < 10; ++at) {
    std::vector<Query> queries;
    for (int number = 0; number < 500; ++number) {
      const std::int64_t ts = start + at * hour + number * 1'000;
      queries.push_back({.ts = ts,
                         .qname = std::to_string(at) + "-" + std::to_string(number) + ".example",
                         .answer = "10." + std::to_string(at) + ".0." + std::to_string(number % 250),
                         .client = "192.168." + std::to_string(at) + ".7",
                         .device = "device " + std::to_string(at)});
      queries.push_back({.ts = ts + 1, .qname = "always.example"});
    }
    write(*store, queries);
  }
  check_dictionaries(file);
  retire_all(*store, start + 5 * hour, unlimited, 300);
  CHECK(number(file, "SELECT count(*) FROM query") == 5'000);
  CHECK(number(file, "SELECT min(ts) FROM query") == start + 5 * hour);
  CHECK(number(file, "SELECT count(*) FROM name") == 5 * 500 + 1);
  CHECK(number(file, "SELECT count(*) FROM endpoint") == 5 + 1);
  CHECK(number(file, "SELECT count(*) FROM device") == 5 + 1);
  CHECK(number(file, "SELECT min(hour) FROM device_hour") == hour_of(start) + 5);
  CHECK(number(file, "SELECT min(hour) FROM name_hour") == hour_of(start) + 5);
  check_dictionaries(file);

  write(*store, {{.ts = start + 10 * hour, .qname = "0-0.example"}});
  check_dictionaries(file);
  retire_all(*store, INT64_MAX);
  CHECK(number(file, "SELECT count(*) FROM query") == 0);
  CHECK(number(file, "SELECT count(*) FROM name") == 0);
  CHECK(number(file, "SELECT count(*) FROM answer") == 0);
  write(*store, {{.ts = start + 11 * hour}});
  check_dictionaries(file);
}

TEST_CASE("a late query whose hour has retired goes the same way") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}, {.ts = start + 5 * hour}});
  retire_all(*store, start + 5 * hour);
  write(*store, {{.ts = start + hour, .qname = "late.example"}});
  check_dictionaries(file);
  retire_all(*store, start + 5 * hour);
  CHECK(number(file, "SELECT count(*) FROM query") == 1);
  check_dictionaries(file);
}

TEST_CASE("a file that is too large loses its oldest rows, and no more than it must") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  for (int at = 0; at < 20; ++at) {
    std::vector<Query> queries;
    for (int number = 0; number < 2'000; ++number)
      queries.push_back({.ts = start + at * hour + number, .qname = std::to_string(number % 50) + ".example"});
    write(*store, queries);
  }
  const auto before = store->extent();
  REQUIRE(before.has_value());
  const std::uint64_t most = before->octets / 2;
  retire_all(*store, never, most, 500);
  const auto after = store->extent();
  REQUIRE(after.has_value());
  CHECK(after->used_octets <= most);
  CHECK(after->octets <= most + (std::uint64_t{2} << 20));
  CHECK(number(file, "SELECT max(ts) FROM query") == start + 19 * hour + 1'999);
  const std::int64_t left = number(file, "SELECT count(*) FROM query");
  CHECK(left > 15'000);
  CHECK(left < 25'000);
  CHECK(after->oldest == number(file, "SELECT min(ts) FROM query"));
  check_dictionaries(file);
}

TEST_CASE("what another process takes away is not named again") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}, {.ts = start + 1, .qname = "other.example", .device = "phone"}});
  const auto forgotten = forget(file, {});
  REQUIRE(forgotten.has_value());
  CHECK(forgotten->rows == 2);
  write(*store, {{.ts = start + 2}, {.ts = start + 3, .device = "phone"}});
  CHECK(number(file, "SELECT count(*) FROM query") == 2);
  check_dictionaries(file);
}

TEST_CASE("a writer of another process is waited for, then it is a fault that passes") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  auto other = Database::open(file, Database::Access::write, milliseconds(0));
  REQUIRE(other.has_value());
  REQUIRE(other->execute("BEGIN IMMEDIATE").has_value());
  CHECK(store->begin().error() == DatabaseFault::locked);
  store->roll_back();
  REQUIRE(other->execute("ROLLBACK").has_value());
  write(*store, {{}});
  check_dictionaries(file);
}

TEST_CASE("a reader that stays in the middle of a read holds up neither writing nor retention") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}, {.ts = start + 1}});
  auto reader = Database::open(file, Database::Access::read, milliseconds(0));
  REQUIRE(reader.has_value());
  REQUIRE(reader->execute("BEGIN").has_value());
  CHECK(reader->integer("SELECT count(*) FROM query") == 2);
  write(*store, {{.ts = start + hour}});
  retire_all(*store, start + 1);
  CHECK(number(file, "SELECT count(*) FROM query") == 2);
  CHECK(reader->integer("SELECT min(ts) FROM query") == start);
  REQUIRE(reader->execute("COMMIT").has_value());
  CHECK(reader->integer("SELECT min(ts) FROM query") == start + 1);
}

TEST_CASE("a file of garbage, a cut one and a foreign one are told apart") {
  const samples::Folder folder;
  std::ofstream(folder / "garbage.db") << std::string(50'000, 'x');
  CHECK(Store::open(folder / "garbage.db", milliseconds(1000)).error() == DatabaseFault::corrupt);
  {
    const auto store = open(folder / "cut.db");
    std::vector<Query> queries;
    for (int number = 0; number < 2'000; ++number) queries.push_back({.ts = start + number});
    write(*store, queries);
  }
  std::filesystem::resize_file(folder / "cut.db", std::filesystem::file_size(folder / "cut.db") / 2);
  CHECK(Store::open(folder / "cut.db", milliseconds(1000)).error() == DatabaseFault::corrupt);
  {
    auto database = Database::open(folder / "foreign.db", Database::Access::write, milliseconds(0));
    REQUIRE(database.has_value());
    REQUIRE(database->execute("CREATE TABLE photos(a)").has_value());
  }
  CHECK(Store::open(folder / "foreign.db", milliseconds(1000)).error() == DatabaseFault::foreign);
}

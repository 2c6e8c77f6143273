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

std::uint32_t id(const Store::Id& found) {
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
  record.time = WallTime(microseconds(query.ts));
  Row row(record);
  Identity identity;
  identity.name = query.device;
  row[Column::device] = id(store.device(identity));
  row[Column::client] = id(store.endpoint({samples::address(query.client), 0}));
  row[Column::name] = id(store.name(record.qname));
  row[Column::rule] = id(store.text("doline.yml:40"));
  if (!query.answer.empty()) {
    EncodedAnswers encoded;
    encode_answers(samples::response(query.qname, dns::RecordType::a, {a(query.qname, query.answer)}), record.qname,
                   encoded);
    row[Column::answer] = id(store.answer(encoded.octets));
    row[Column::ttl] = encoded.ttl;
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

void retire_all(Store& store, std::int64_t cutoff, std::uint64_t octets_max = unlimited, std::size_t segments_max = 2) {
  for (int step = 0; step < 100'000; ++step) {
    const auto more = store.retire(cutoff, octets_max, segments_max);
    REQUIRE(more.has_value());
    if (!*more) return;
  }
  FAIL("retention does not end");
}

constexpr const char* rows_in_file = "SELECT coalesce(sum(rows), 0) FROM segment";
using samples::check_dictionaries;

std::vector<std::string> names_in(const std::filesystem::path& file) {
  std::vector<std::string> found;
  for (const LogRow& row : samples::rows(file)) found.push_back(row.qname.to_string());
  return found;
}

}  // namespace

TEST_CASE("what is asked and answered again is kept once") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}, {.ts = start + 1}, {.ts = start + 2, .answer = "192.0.2.2"}});
  write(*store, {{.ts = start + 3, .answer = "192.0.2.2"}, {.ts = start + 4, .qname = "other.example.com"}});
  CHECK(number(file, rows_in_file) == 5);
  CHECK(number(file, "SELECT count(*) FROM name") == 2);
  CHECK(number(file, "SELECT count(*) FROM answer") == 2);  // of whatever name
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
  CHECK(number(file, rows_in_file) == 2);
  CHECK(number(file, "SELECT count(*) FROM name") == 1);
  CHECK(number(file, "SELECT count(*) FROM answer") == 1);
  check_dictionaries(file);
}

std::size_t found_of(const std::filesystem::path& file, const std::string& qname, bool below) {
  LogFilter filter;
  filter.names = {{name(qname), below}};
  return samples::rows(file, filter).size();
}

std::vector<Query> queries_of(int first, int count) {
  std::vector<Query> queries;
  for (int i = first; i < first + count; ++i)
    queries.push_back({.ts = start + i, .qname = "n" + std::to_string(i) + ".example", .answer = ""});
  return queries;
}

TEST_CASE("a name that comes back after very many others is found under both its ids") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  const int many = static_cast<int>(IdMemory::lines_max) * 8;
  write(*store, queries_of(0, many));
  write(*store, queries_of(0, 50));
  CHECK(number(file, "SELECT count(DISTINCT key) FROM name") == many);
  CHECK(number(file, "SELECT count(*) FROM name") > many);
  for (int i = 0; i < 50; i += 7) CHECK(found_of(file, "n" + std::to_string(i) + ".example", false) == 2);
  CHECK(found_of(file, "example", true) == static_cast<std::size_t>(many) + 50);
  retire_all(*store, INT64_MAX);
  CHECK(number(file, "SELECT count(*) FROM name") == 0);
  write(*store, queries_of(many - 5, 5));
  CHECK(number(file, "SELECT count(*) FROM name") == 5);
  check_dictionaries(file);
}

TEST_CASE("a log whose names have an index is written on, each name once") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  write(*open(file), {});
  {
    auto database = Database::open(file, Database::Access::write, milliseconds(0));
    REQUIRE(database->execute("DROP TABLE name; CREATE TABLE name(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE)")
                .has_value());
  }
  write(*open(file), queries_of(0, 40'000));  // more than are remembered
  write(*open(file), queries_of(0, 10));
  CHECK(number(file, "SELECT count(*) FROM name") == 40'000);
  CHECK(found_of(file, "n3.example", false) == 2);
  check_dictionaries(file);
}

TEST_CASE("queries of one instant are all kept, in their order") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<Query> batch;
  std::vector<std::string> expected;
  for (int number = 0; number < 3'000; ++number) batch.push_back({.qname = std::to_string(number) + ".example"});
  for (int turn = 0; turn < 4; ++turn) {
    write(*store, batch);
    for (const Query& query : batch) expected.push_back(query.qname);
  }
  CHECK(names_in(file) == expected);
  std::uint64_t before = 0;
  for (const LogRow& row : samples::rows(file)) {
    REQUIRE(row.time == morning);
    REQUIRE(row.number > before);
    before = row.number;
  }
  check_dictionaries(file);
}

TEST_CASE("a late query stands at its time, however long ago that was") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<Query> batch;
  for (int number = 0; number < 20'000; ++number)
    batch.push_back({.ts = start + number * 10, .qname = std::to_string(number % 100) + ".example"});
  write(*store, batch);
  write(*store, {{.ts = start + 105, .qname = "late.example"}});
  const auto names = names_in(file);
  REQUIRE(names.size() == 20'001);
  CHECK(names[11] == "late.example");
  auto newest_first = samples::rows(file, {}, Order::newest_first);
  CHECK(newest_first[20'001 - 12].qname == name("late.example"));
  CHECK(newest_first[0].time == WallTime(microseconds(start + 199'990)));
}

TEST_CASE("what single commits bring is gathered, so that segments are few and full") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<std::string> expected;
  for (int number = 0; number < 9'000; ++number) {
    expected.push_back(std::to_string(number) + ".example");
    write(*store, {{.ts = start + number, .qname = expected.back()}});
  }
  CHECK(number(file, "SELECT count(*) FROM segment WHERE level = 9") == 1);
  CHECK(number(file, "SELECT rows FROM segment WHERE level = 9") == static_cast<std::int64_t>(segment_rows));
  CHECK(number(file, "SELECT count(*) FROM segment") < 100);
  CHECK(names_in(file) == expected);
  check_dictionaries(file);
  // And on with those that another run left.
  for (int turn = 0; turn < 3; ++turn) {
    const auto again = open(file);
    std::vector<Query> batch;
    for (int more = 0; more < 3'000; ++more) batch.push_back({.ts = start + hour + turn, .qname = "more.example"});
    write(*again, batch);
  }
  CHECK(number(file, "SELECT count(*) FROM segment WHERE level = 9") == 2);
  CHECK(number(file, "SELECT count(*) FROM segment") == 2);
  CHECK(number(file, rows_in_file) == 18'000);
}

TEST_CASE("segments that cannot be as they say are a damaged file, not an end of the process") {
  for (const char* damage : {"UPDATE segment SET rows = 60000", "UPDATE segment SET rows = -1",
                             "UPDATE segment SET body = x''", "UPDATE segment SET rows = 9223372036854775807"}) {
    const samples::Folder folder;
    const auto file = folder / "x.db";
    write(*open(file), {{.ts = start}, {.ts = start + 1, .qname = "other.example"}});
    auto database = Database::open(file, Database::Access::write, milliseconds(0));
    REQUIRE(database.has_value());
    REQUIRE(database->execute(damage).has_value());
    const auto store = open(file);
    REQUIRE(store->begin().has_value());
    Result<void, DatabaseFault> outcome;
    for (int number = 0; number < 9'000 && outcome; ++number) {
      Record record;
      record.time = WallTime(microseconds(start));
      outcome = store->insert(Row(record));
    }
    INFO(std::string(damage));
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error() == DatabaseFault::corrupt);
  }
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
  CHECK(number(file, rows_in_file) == 0);
  CHECK(number(file, "SELECT count(*) FROM name") == 0);
  write(*store, {{}, {.ts = start + 1}});
  CHECK(number(file, rows_in_file) == 2);
  CHECK(number(file, "SELECT min(first) FROM segment") == start);
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
  retire_all(*store, start + 5 * hour);
  CHECK(number(file, rows_in_file) == 5'000);
  CHECK(samples::rows(file).front().time == WallTime(microseconds(start + 5 * hour)));
  CHECK(number(file, "SELECT count(*) FROM name") == 5 * 500 + 1);
  CHECK(number(file, "SELECT count(*) FROM endpoint") == 5 + 1);
  CHECK(number(file, "SELECT count(*) FROM device") == 5 + 1);
  check_dictionaries(file);

  write(*store, {{.ts = start + 10 * hour, .qname = "0-0.example"}});
  check_dictionaries(file);
  retire_all(*store, INT64_MAX);
  CHECK(number(file, rows_in_file) == 0);
  CHECK(number(file, "SELECT count(*) FROM name") == 0);
  CHECK(number(file, "SELECT count(*) FROM answer") == 0);
  write(*store, {{.ts = start + 11 * hour}});
  check_dictionaries(file);
}

TEST_CASE("of a segment that is old in part, the old rows go within the hour") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<Query> queries;
  for (int number = 0; number < 10'000; ++number)
    queries.push_back({.ts = start + number * hour / 1'000, .qname = std::to_string(number) + ".example"});
  write(*store, queries);
  REQUIRE(number(file, "SELECT count(*) FROM segment") == 2);
  retire_all(*store, start + hour / 2);
  CHECK(number(file, rows_in_file) == 10'000);
  retire_all(*store, start + 3 * hour);
  CHECK(number(file, rows_in_file) == 7'000);
  CHECK(names_in(file).front() == "3000.example");
  CHECK(samples::rows(file).back().number == 10'000);
  check_dictionaries(file);
  write(*store, {{.ts = start + 11 * hour, .qname = "after.example"}});
  CHECK(samples::rows(file).back().number == 10'001);
}

TEST_CASE("what is written while entries are looked for that nothing names keeps its entries") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  std::vector<Query> queries;
  for (int number = 0; number < 12'000; ++number)
    queries.push_back({.ts = start + number / 6'000 * 10 * hour, .qname = std::to_string(number) + ".example"});
  write(*store, queries);
  int written = 0;
  for (bool has_more = true; has_more; ++written) {
    // An old name, whose entry nothing names any more, and a new one.
    write(*store, {{.ts = start + 10 * hour, .qname = std::to_string(written) + ".example"},
                   {.ts = start + 10 * hour, .qname = "new" + std::to_string(written) + ".example"}});
    const auto more = store->retire(start + 5 * hour, unlimited, 1);
    REQUIRE(more.has_value());
    has_more = *more;
  }
  CHECK(written > 4);
  CHECK(number(file, rows_in_file) == 6'000 + 2 * written);
  for (const LogRow& row : samples::rows(file)) REQUIRE_FALSE(row.qname.is_root());
  retire_all(*store, start + 5 * hour);
  check_dictionaries(file);
}

TEST_CASE("a late query whose time has retired goes the same way") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}, {.ts = start + 5 * hour}});
  retire_all(*store, start + 5 * hour);
  write(*store, {{.ts = start + hour, .qname = "late.example"}});
  check_dictionaries(file);
  retire_all(*store, start + 5 * hour);
  CHECK(number(file, rows_in_file) == 1);
  check_dictionaries(file);
}

TEST_CASE("a file that is too large loses its oldest rows, and no more than it must") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  for (int at = 0; at < 20; ++at) {
    std::vector<Query> queries;
    for (int number = 0; number < 8'192; ++number)
      queries.push_back(
          {.ts = start + at * hour + number * 17 % 9'000, .qname = std::to_string(number % 50) + ".example"});
    write(*store, queries);
  }
  const auto before = store->extent();
  REQUIRE(before.has_value());
  const std::uint64_t most = before->octets / 2;
  retire_all(*store, never, most);
  const auto after = store->extent();
  REQUIRE(after.has_value());
  CHECK(after->used_octets <= most);
  CHECK(after->octets <= most + (std::uint64_t{2} << 20));
  CHECK(after->oldest == number(file, "SELECT min(first) FROM segment"));
  CHECK(number(file, "SELECT max(first) FROM segment") == start + 19 * hour);
  const std::int64_t left = number(file, rows_in_file);
  CHECK(left >= 6 * 8'192);  // of 20, beside what the tables take
  CHECK(left <= 10 * 8'192);
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
  CHECK(number(file, rows_in_file) == 2);
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
  CHECK(reader->integer(rows_in_file) == 2);
  write(*store, {{.ts = start + 3 * hour}});
  retire_all(*store, start + 2 * hour);
  CHECK(number(file, rows_in_file) == 1);
  CHECK(reader->integer("SELECT min(first) FROM segment") == start);
  REQUIRE(reader->execute("COMMIT").has_value());
  CHECK(reader->integer("SELECT min(first) FROM segment") == start + 3 * hour);
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

TEST_CASE("where a device is seen is one row while it stays, and another when it comes back") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  const auto see = [&](const std::string& device, const char* address, std::int64_t when) {
    Identity identity;
    identity.name = device;
    REQUIRE(store->begin().has_value());
    REQUIRE(store->note_presence(identity, samples::address(address), when).has_value());
    REQUIRE(store->commit().has_value());
  };
  see("tv", "192.168.1.5", start);
  see("tv", "192.168.1.5", start + hour);
  see("tv", "192.168.1.5", start + hour);
  see("tv", "192.168.1.6", start + hour);
  see("phone", "192.168.1.5", start + 2 * hour);
  CHECK(number(file, "SELECT count(*) FROM presence") == 3);
  CHECK(number(file, "SELECT max(last - first) FROM presence") == hour);
  see("tv", "192.168.1.5", start + hour + presence_gap + 1);
  CHECK(number(file, "SELECT count(*) FROM presence") == 4);

  // Retention takes what was not seen since, and then what only that had named.
  retire_all(*store, start + 90 * hour);
  CHECK(number(file, "SELECT count(*) FROM presence") == 0);
  CHECK(number(file, "SELECT count(*) FROM device") == 0);
  CHECK(number(file, "SELECT count(*) FROM endpoint") == 0);
}

TEST_CASE("what only a presence names outlives the records") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  const auto store = open(file);
  write(*store, {{.ts = start}});
  Identity tv;
  tv.name = "tv";
  REQUIRE(store->begin().has_value());
  REQUIRE(store->note_presence(tv, samples::address("192.168.1.5"), start + 10 * hour).has_value());
  REQUIRE(store->commit().has_value());
  retire_all(*store, start + 5 * hour);
  CHECK(number(file, rows_in_file) == 0);
  CHECK(number(file, "SELECT count(*) FROM device") == 1);
  CHECK(number(file, "SELECT count(*) FROM endpoint") == 1);
}

TEST_CASE("a log from before there were presences gets their table") {
  const samples::Folder folder;
  const auto file = folder / "x.db";
  {
    const auto store = open(file);
  }
  {
    auto database = Database::open(file, Database::Access::write, milliseconds(0));
    REQUIRE(database->execute("DROP TABLE presence").has_value());
  }
  CHECK(forget(file, {}).has_value());
  CHECK(LogReader::open(file)->devices()->empty());
  {
    const auto store = open(file);
  }
  CHECK(number(file, "SELECT count(*) FROM presence") == 0);
}

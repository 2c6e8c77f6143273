#include "querylog/entry_table.h"

#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;

namespace {

struct Bench {
  Bench() {
    auto opened = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
    REQUIRE(opened.has_value());
    database = std::move(*opened);
    REQUIRE(database.execute("CREATE TABLE word(id INTEGER PRIMARY KEY, octets BLOB NOT NULL)").has_value());
    auto table = EntryTable::open(database, "word", "octets");
    REQUIRE(table.has_value());
    words = std::move(*table);
    begin();
  }
  void begin() {
    REQUIRE(database.execute("BEGIN").has_value());
    REQUIRE(words.begin().has_value());
  }
  void commit() {
    REQUIRE(words.put().has_value());
    REQUIRE(database.execute("COMMIT").has_value());
  }
  Result<std::uint32_t, DatabaseFault> add(std::string_view word) {
    return words.add({reinterpret_cast<const std::uint8_t*>(word.data()), word.size()});
  }
  /// The word in the table, and - where there is none.
  std::string word(std::uint32_t id) {
    auto find = database.prepare("SELECT octets FROM word WHERE id = ?1");
    REQUIRE(find.has_value());
    const auto row = find->bind(1, std::int64_t{id}).step();
    REQUIRE(row.has_value());
    return *row ? std::string(find->text(0)) : "-";
  }
  std::int64_t count() { return *database.integer("SELECT count(*) FROM word"); }

  samples::Folder folder;
  Database database;
  EntryTable words;
};

}  // namespace

TEST_CASE("entries stand in the table under the ids that they were given, few or many, empty or long") {
  for (const int many : {0, 1, 2, 31, 32, 33, 64, 1'000}) {
    CAPTURE(many);
    Bench bench;
    std::vector<std::uint32_t> ids;
    const auto word_of = [](int number) {
      return number % 5 == 0 ? std::string()
                             : std::string(static_cast<std::size_t>(number % 7 * 300), 'x') + std::string("\0y", 2);
    };
    for (int number = 0; number < many; ++number) {
      const auto id = bench.add(word_of(number));
      REQUIRE(id.has_value());
      ids.push_back(*id);
    }
    bench.commit();
    CHECK(bench.count() == many);
    for (int number = 0; number < many; ++number)
      REQUIRE(bench.word(ids[static_cast<std::size_t>(number)]) == word_of(number));
  }
}

TEST_CASE("ids go on behind the newest entry that there is, whoever took others away meanwhile") {
  Bench bench;
  CHECK(bench.add("one") == 1u);
  CHECK(bench.add("two") == 2u);
  bench.commit();
  REQUIRE(bench.database.execute("INSERT INTO word VALUES(70, x'61')").has_value());
  bench.begin();
  CHECK(bench.add("three") == 71u);
  bench.commit();
  REQUIRE(bench.database.execute("DELETE FROM word WHERE id > 1").has_value());
  bench.begin();
  CHECK(bench.add("four") == 2u);
  bench.commit();
  CHECK(bench.word(2) == "four");
  CHECK(bench.count() == 2);
}

TEST_CASE("what was added in a transaction that came to nothing is not written by the next") {
  Bench bench;
  CHECK(bench.add("gone") == 1u);
  REQUIRE(bench.database.execute("ROLLBACK").has_value());
  bench.begin();
  CHECK(bench.add("here") == 1u);
  bench.commit();
  CHECK(bench.word(1) == "here");
  CHECK(bench.count() == 1);
}

TEST_CASE("an id that fits nowhere, and one that the database did not give, are faults of the file") {
  Bench bench;
  REQUIRE(bench.add("one").has_value());
  REQUIRE(bench.database.execute("INSERT INTO word VALUES(5, x'61')").has_value());  // behind its back
  CHECK(bench.words.put().error() == DatabaseFault::corrupt);
  REQUIRE(bench.database.execute("INSERT INTO word VALUES(4294967295, x'61')").has_value());
  REQUIRE(bench.words.begin().has_value());
  CHECK(bench.add("last").error() == DatabaseFault::corrupt);
  REQUIRE(bench.database.execute("DELETE FROM word; INSERT INTO word VALUES(-9, x'61')").has_value());
  CHECK(bench.words.begin().error() == DatabaseFault::corrupt);
}

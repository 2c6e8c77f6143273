#include "querylog/schema.h"

#include <fstream>
#include <sstream>

#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;

namespace {

Database fresh(const samples::Folder& folder) {
  auto database = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
  REQUIRE(database.has_value());
  return std::move(*database);
}

}  // namespace

TEST_CASE("an empty file becomes a query log, and stays one when it is opened again") {
  const samples::Folder folder;
  {
    auto database = fresh(folder);
    CHECK(create_or_check_schema(database).has_value());
  }
  auto database = fresh(folder);
  CHECK(check_schema(database).has_value());
  CHECK(create_or_check_schema(database).has_value());
  CHECK(database.integer("PRAGMA user_version") == schema_version);
  CHECK(database.integer("PRAGMA auto_vacuum") == 2);
}

TEST_CASE("a log of a later Doline is refused and not touched") {
  const samples::Folder folder;
  auto database = fresh(folder);
  REQUIRE(create_or_check_schema(database).has_value());
  REQUIRE(database.execute("PRAGMA user_version = 99").has_value());
  CHECK(create_or_check_schema(database).error() == DatabaseFault::newer_schema);
  CHECK(database.integer("PRAGMA user_version") == 99);
}

TEST_CASE("a database of another program is refused and not touched") {
  const samples::Folder folder;
  auto database = fresh(folder);
  REQUIRE(database.execute("CREATE TABLE photos(a)").has_value());
  CHECK(create_or_check_schema(database).error() == DatabaseFault::foreign);
  CHECK(database.integer("SELECT count(*) FROM sqlite_schema") == 1);
}

TEST_CASE("a name's key holds its labels from the right, so that what is below it begins with it") {
  CHECK(to_name_key(samples::name("WWW.Example.com")) == std::string("\3com\7example\3www"));
  CHECK(to_name_key(dns::Name()).empty());
  const auto below = to_name_key(samples::name("a.example.com"));
  CHECK(below.starts_with(to_name_key(samples::name("example.com"))));
  CHECK_FALSE(to_name_key(samples::name("an.example.com.evil")).starts_with(to_name_key(samples::name("example.com"))));
  CHECK_FALSE(to_name_key(samples::name("notexample.com")).starts_with(to_name_key(samples::name("example.com"))));
}

TEST_CASE("a key leads back to its name in small letters, whatever octets its labels hold") {
  for (const char* text : {".", "com", "WWW.example.COM", "\\000\\255.a\\.b.example", "a.b.c.d.e.f.g.h.i.j.k"}) {
    const auto name = samples::name(text);
    CHECK(from_name_key(to_name_key(name)) == name);
    CHECK(from_name_key(to_name_key(name)).to_string() == name.lowered().to_string());
  }
  const std::string label(63, 'x');
  const auto longest = samples::name(label + "." + label + "." + label + "." + std::string(61, 'y'));
  CHECK(longest.size() == 255);
  CHECK(from_name_key(to_name_key(longest)) == longest);
}

TEST_CASE("octets that are no key lead to the root") {
  CHECK(from_name_key("\5abc").is_root());
  CHECK(from_name_key(std::string(300, '\1')).is_root());
  CHECK(from_name_key("\xff").is_root());
}

TEST_CASE("SCHEMA.md names every table, index and column") {
  std::ifstream file(std::string(DOLINE_SOURCE_DIR) + "/src/querylog/SCHEMA.md");
  std::stringstream text;
  text << file.rdbuf();
  const samples::Folder folder;
  auto database = fresh(folder);
  REQUIRE(create_or_check_schema(database).has_value());
  auto names = database.prepare(
      "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' UNION SELECT c.name FROM sqlite_schema AS s, "
      "pragma_table_info(s.name) AS c WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite_%'");
  REQUIRE(names.has_value());
  int count = 0;
  for (;;) {
    const auto row = names->step();
    REQUIRE(row.has_value());
    if (!*row) break;
    ++count;
    INFO(std::string(names->text(0)));
    CHECK(text.str().find("`" + std::string(names->text(0)) + "`") != std::string::npos);
  }
  CHECK(count >= 20);
}

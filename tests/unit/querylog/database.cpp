#include "querylog/database.h"

#include <sys/stat.h>

#include <fstream>

#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;

TEST_CASE("numbers, texts, octets and nothing come back as they were bound") {
  const samples::Folder folder;
  auto database = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
  REQUIRE(database.has_value());
  REQUIRE(database->execute("CREATE TABLE t(a, b, c, d)").has_value());
  auto insert = database->prepare("INSERT INTO t VALUES(?1, ?2, ?3, ?4)");
  REQUIRE(insert.has_value());
  const std::vector<std::uint8_t> octets{0, 1, 255};
  CHECK(insert->bind(1, std::int64_t{-7})
            .bind(2, std::string_view("wo\0rd", 5))
            .bind(3, octets)
            .bind_null(4)
            .run()
            .has_value());
  CHECK(database->changes() == 1);
  auto select = database->prepare("SELECT * FROM t");
  REQUIRE(select.has_value());
  REQUIRE(select->step() == true);
  CHECK(select->integer(0) == -7);
  CHECK(select->text(1) == std::string_view("wo\0rd", 5));
  CHECK(std::vector<std::uint8_t>(select->octets(2).begin(), select->octets(2).end()) == octets);
  CHECK(select->is_null(3));
  CHECK(select->step() == false);
}

TEST_CASE("a new file is not readable by everybody") {
  const samples::Folder folder;
  const mode_t before = ::umask(0);
  auto database = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
  ::umask(before);
  REQUIRE(database.has_value());
  struct stat status{};
  REQUIRE(::stat((folder / "x.db").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("what is wrong with a file has a name") {
  const samples::Folder folder;
  CHECK(Database::open(folder / "none.db", Database::Access::read, milliseconds(0)).error() == DatabaseFault::missing);
  std::ofstream(folder / "text.db") << std::string(5000, 'x');
  CHECK(Database::open(folder / "text.db", Database::Access::read, milliseconds(0)).error() == DatabaseFault::corrupt);
  CHECK(Database::open(folder / "no" / "folder.db", Database::Access::write, milliseconds(0)).error() ==
        DatabaseFault::missing);
}

TEST_CASE("a lock that another connection holds is a fault, not a wait") {
  const samples::Folder folder;
  auto one = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
  auto other = Database::open(folder / "x.db", Database::Access::write, milliseconds(10));
  REQUIRE(one.has_value());
  REQUIRE(other.has_value());
  REQUIRE(one->execute("CREATE TABLE t(a); BEGIN IMMEDIATE").has_value());
  CHECK(other->execute("BEGIN IMMEDIATE").error() == DatabaseFault::locked);
  CHECK(one->in_transaction());
}

TEST_CASE("a file in WAL mode in a folder that cannot be written is still read") {
  const samples::Folder folder;
  {
    auto database = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
    REQUIRE(database.has_value());
    REQUIRE(database->execute("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES(42)").has_value());
  }
  REQUIRE(::chmod(folder.path().c_str(), 0555) == 0);
  auto reader = Database::open(folder / "x.db", Database::Access::read, milliseconds(0));
  REQUIRE(reader.has_value());
  CHECK(reader->integer("SELECT a FROM t") == 42);
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
}

TEST_CASE("a statement that takes too long ends as if it had found nothing") {
  const samples::Folder folder;
  auto database = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
  REQUIRE(database.has_value());
  const char* forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  database->limit_time(milliseconds(1));
  CHECK(database->integer(forever) == 0);
  database->limit_time(milliseconds::zero());
  CHECK(database->integer("SELECT 42") == 42);
}

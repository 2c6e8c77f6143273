#include "querylog/segment_table.h"

#include "querylog/schema.h"
#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;

namespace {

struct Bench {
  Bench() {
    auto opened = Database::open(folder / "x.db", Database::Access::write, milliseconds(0));
    REQUIRE(opened.has_value());
    database = std::move(*opened);
    REQUIRE(create_or_check_schema(database).has_value());
    auto table = SegmentTable::open(database);
    REQUIRE(table.has_value());
    segments = std::move(*table);
  }
  /// `count` rows of the times from `time` on, whose device is their position and one.
  void insert(std::int64_t number, int level, std::int64_t time, std::uint32_t count) {
    SegmentWriter rows;
    for (std::uint32_t row = 0; row < count; ++row) {
      Values values{};
      values[static_cast<std::size_t>(Column::device)] = row + 1;
      rows.add(time + row, values);
    }
    REQUIRE(segments.insert(number, level, rows).has_value());
  }

  samples::Folder folder;
  Database database;
  SegmentTable segments;
};

std::vector<std::int64_t> numbers(const Result<std::vector<SegmentTable::Entry>, DatabaseFault>& entries) {
  REQUIRE(entries.has_value());
  std::vector<std::int64_t> found;
  for (const SegmentTable::Entry& entry : *entries) found.push_back(entry.number);
  return found;
}

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("segments are listed in the order of their numbers, and those that are old by their times") {
  Bench bench;
  CHECK(bench.segments.end() == std::int64_t{1});
  bench.insert(1, level_sealed, 1'000, 100);
  bench.insert(101, level_sealed, 2'000, 100);
  bench.insert(201, 1, 3'000, 10);
  bench.insert(211, 0, 3'010, 1);
  CHECK(numbers(bench.segments.all()) == Numbers{1, 101, 201, 211});
  CHECK(numbers(bench.segments.unsealed()) == Numbers{201, 211});
  CHECK(bench.segments.end() == std::int64_t{212});
  CHECK(numbers(bench.segments.sealed_before(2'050, 0, 9)) == Numbers{1});
  CHECK(numbers(bench.segments.sealed_before(2'050, 2'050, 9)) == Numbers{1, 101});
  CHECK(numbers(bench.segments.sealed_before(2'050, 2'050, 1)) == Numbers{1});
  CHECK(numbers(bench.segments.sealed_before(1'000, 1'000, 9)).empty());
  const auto all = bench.segments.all();
  CHECK(all->at(1).first == 2'000);
  CHECK(all->at(1).last == 2'099);
  CHECK(all->at(1).rows == 100);
  CHECK(all->at(1).level == level_sealed);
}

TEST_CASE("a list of many segments is read from the index, without their octets") {
  Bench bench;
  auto plan =
      bench.database.prepare("EXPLAIN QUERY PLAN SELECT number, 9, rows, first, last FROM segment WHERE level = 9");
  REQUIRE(plan.has_value());
  REQUIRE(plan->step() == true);
  CHECK(std::string(plan->text(3)).find("COVERING INDEX segment_sealed") != std::string::npos);
}

TEST_CASE("rows that are taken out leave the others under their numbers, the last ones above all") {
  Bench bench;
  bench.insert(1, 2, 1'000, 100);
  const auto entry = bench.segments.all()->at(0);
  const auto keeps_all = bench.segments.keep_only(entry, [](const Segment&, std::size_t) { return true; });
  CHECK(keeps_all == std::int64_t{0});
  const auto gone = bench.segments.keep_only(entry, [](const Segment&, std::size_t row) { return row >= 30; });
  CHECK(gone == std::int64_t{30});
  const auto left = bench.segments.all();
  REQUIRE(left->size() == 1);
  CHECK(left->at(0).number == 31);
  CHECK(left->at(0).level == 2);
  CHECK(left->at(0).first == 1'030);
  Segment segment;
  CHECK(bench.segments.read(31, segment) == true);
  CHECK(segment.value(Column::device, 0) == 31);
  CHECK(bench.segments.keep_only(left->at(0), [](const Segment&, std::size_t) { return false; }) == std::int64_t{70});
  CHECK(bench.segments.all()->empty());
  CHECK(bench.segments.read(31, segment) == false);
}

TEST_CASE("a segment whose octets are no segment is a damaged file") {
  Bench bench;
  bench.insert(1, 0, 1'000, 100);
  REQUIRE(bench.database.execute("UPDATE segment SET body = x'00'").has_value());
  Segment segment;
  CHECK(bench.segments.read_head(1, segment) == true);
  CHECK(bench.segments.read(1, segment).error() == DatabaseFault::corrupt);
  REQUIRE(bench.database.execute("UPDATE segment SET head = x'07'").has_value());
  CHECK(bench.segments.read_head(1, segment).error() == DatabaseFault::corrupt);
}

#include "querylog/segment.h"

#include <random>

#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;

namespace {

struct Rows {
  std::vector<std::int64_t> times;
  std::vector<Values> values;
};

struct Written {
  std::vector<std::uint8_t> head, body;
};

Written write(const Rows& rows) {
  SegmentWriter writer;
  for (std::size_t row = 0; row < rows.times.size(); ++row) writer.add(rows.times[row], rows.values[row]);
  Written written;
  writer.write(written.head, written.body);
  return written;
}

/// In each column another kind of values: none, one, few, many, all different.
Rows random_rows(std::size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  Rows rows;
  std::int64_t time = samples::morning.time_since_epoch().count();
  for (std::size_t row = 0; row < count; ++row) {
    time += static_cast<std::int64_t>(random() % 1'000'000) - (random() % 10 == 0 ? 3'000'000 : 0);
    rows.times.push_back(time);
    Values values{};
    for (std::size_t column = 1; column < columns; ++column)
      values[column] = static_cast<std::uint32_t>(column % 5 == 0   ? 0
                                                  : column % 5 == 1 ? column
                                                  : column % 5 == 2 ? random() % 3
                                                  : column % 5 == 3 ? random() % 1'000
                                                                    : random());
    rows.values.push_back(values);
  }
  return rows;
}

bool reads_as(const Written& written, const Rows& rows) {
  Segment segment;
  if (!segment.read_head(written.head) || !segment.read_body(written.body)) return false;
  if (segment.rows() != rows.times.size() || segment.times() != rows.times) return false;
  for (std::size_t row = 0; row < rows.values.size(); ++row)
    if (segment.values(row) != rows.values[row]) return false;
  return true;
}

}  // namespace

TEST_CASE("rows come back as they were written, few or many") {
  for (const std::size_t count : {0, 1, 2, 3, 255, 256, 257, 8'192, 65'535})
    CHECK(reads_as(write(random_rows(count, static_cast<unsigned>(count))),
                   random_rows(count, static_cast<unsigned>(count))));
}

TEST_CASE("times may be any, in any order") {
  Rows rows;
  for (const std::int64_t time : {std::int64_t{0}, INT64_MIN, INT64_MAX, std::int64_t{-1}, INT64_MAX, INT64_MIN})
    rows.times.push_back(time), rows.values.push_back({});
  CHECK(reads_as(write(rows), rows));
  rows.times.assign(rows.times.size(), 0);
  CHECK(reads_as(write(rows), rows));
}

TEST_CASE("a row alone takes few octets, and a column in which all are equal takes none in the body") {
  Rows rows = random_rows(1, 1);
  for (std::size_t column = 1; column < columns; ++column) rows.values[0][column] = 3;
  const Written one = write(rows);
  CHECK(one.head.size() + one.body.size() < 130);
  rows.values.resize(1'000, rows.values[0]);
  for (int row = 1; row < 1'000; ++row) rows.times.push_back(rows.times.back() + 1);
  const Written same = write(rows);
  CHECK(same.head.size() == one.head.size() + 1);  // how many rows
  CHECK(same.body.size() < 200);                   // a bit a row, for the first time is another difference
}

TEST_CASE("the head alone tells which values occur") {
  Rows rows = random_rows(100, 7);
  for (std::size_t row = 0; row < 100; ++row)
    rows.values[row][static_cast<std::size_t>(Column::name)] = row % 2 ? 40 : 9;
  Segment segment;
  REQUIRE(segment.read_head(write(rows).head));
  CHECK(segment.rows() == 100);
  const auto names = segment.set(Column::name);
  CHECK(std::vector<std::uint32_t>(names.begin(), names.end()) == std::vector<std::uint32_t>{9, 40});
}

TEST_CASE("a writer that is used again writes what was added since") {
  SegmentWriter writer;
  Written first, second;
  const Rows rows = random_rows(500, 3);
  for (int turn = 0; turn < 2; ++turn) {
    writer.clear();
    for (std::size_t row = 0; row < 500; ++row) writer.add(rows.times[row], rows.values[row]);
    Written& written = turn == 0 ? first : second;
    writer.write(written.head, written.body);
  }
  CHECK(first.head == second.head);
  CHECK(first.body == second.body);
  SegmentWriter half, other;
  for (std::size_t row = 0; row < 500; ++row) (row < 200 ? half : other).add(rows.times[row], rows.values[row]);
  half.add(other);
  half.write(second.head, second.body);
  CHECK(first.body == second.body);
  CHECK(half.first() == *std::min_element(rows.times.begin(), rows.times.end()));
  CHECK(half.last() == *std::max_element(rows.times.begin(), rows.times.end()));
}

TEST_CASE("segments that are added to a writer come back behind one another as one") {
  const Rows rows = random_rows(700, 4);
  SegmentWriter gathered;
  Segment segment;
  for (const auto [begin, end] : {std::pair<std::ptrdiff_t, std::ptrdiff_t>{0, 1}, {1, 1}, {1, 400}, {400, 700}}) {
    const Rows part{{rows.times.begin() + begin, rows.times.begin() + end},
                    {rows.values.begin() + begin, rows.values.begin() + end}};
    const Written written = write(part);
    REQUIRE((segment.read_head(written.head) && segment.read_body(written.body)));
    gathered.add(segment);
  }
  Written all;
  gathered.write(all.head, all.body);
  CHECK(reads_as(all, rows));
  CHECK(all.body == write(rows).body);
  CHECK(gathered.first() == *std::min_element(rows.times.begin(), rows.times.end()));
  CHECK(gathered.last() == *std::max_element(rows.times.begin(), rows.times.end()));
}

TEST_CASE("a column of a later Doline is passed over, and one that is not there is 0") {
  Rows rows = random_rows(10, 5);
  Written written = write(rows);
  // One more column, with its set in the head: 200, 2 values in 2 octets, a bit a row.
  written.head.insert(written.head.end(), {200, 0, 2, 2, 5, 1});
  written.body.insert(written.body.end(), {0xaa, 0x02});
  // And one with its set in the body.
  written.head.insert(written.head.end(), {201, 1, 3, 3});
  written.body.insert(written.body.end(), {1, 1, 1, 0, 0, 0});
  CHECK(reads_as(written, rows));
  for (Values& values : rows.values) values = {};
  CHECK(reads_as(write(rows), rows));
}

TEST_CASE("octets that are no segment are refused, cut or changed as they may be") {
  const Written good = write(random_rows(50, 9));
  Segment segment;
  for (std::size_t size = 0; size < good.head.size(); ++size)
    if (segment.read_head(dns::Octets(good.head).first(size))) CHECK_FALSE(segment.read_body(good.body));
  REQUIRE(segment.read_head(good.head));
  for (std::size_t size = 0; size < good.body.size(); ++size)
    CHECK_FALSE(segment.read_body(dns::Octets(good.body).first(size)));
  auto longer = good.body;
  longer.push_back(0);
  CHECK_FALSE(segment.read_body(longer));
  const std::vector<std::vector<std::uint8_t>> bad_heads = {
      {},
      {2, 0},                                                              // another format
      {1, 0xff, 0xff, 0xff, 0x7f},                                         // too many rows
      {1, 1, 0, 2, 1, 1, 4, 0, 1, 2, 1, 1},                                // a set of two of one row
      {1, 2, 0, 2, 1, 1, 4, 0, 2, 2, 7, 0},                                // a set that does not ascend
      {1, 1, 0, 2, 1, 1, 4, 3, 1, 1, 7},                                   // no such coding
      {1, 1, 0, 2, 1, 1, 4, 0, 1, 1, 7, 4, 0, 1, 1, 7},                    // a column twice
      {1, 1, 0, 2, 1, 1, 4, 0, 1, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f},  // no id
  };
  for (const auto& head : bad_heads) CHECK_FALSE(segment.read_head(head));
}

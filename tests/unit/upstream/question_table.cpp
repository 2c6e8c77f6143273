#include "upstream/question_table.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <vector>

#include "seeded.h"

namespace doline::upstream {
namespace {

TEST_CASE("an ID leads to who waits for it, and to nobody once nobody does") {
  QuestionTable table;
  const auto row = table.add(7, [] { return std::uint16_t{0xbeef}; });
  CHECK(table.id(row) == 0xbeef);
  CHECK(table.asker(row) == 7);
  CHECK(table.find(0xbeef) == 7);
  CHECK(table.find(0xbeee) == QuestionTable::nobody);
  CHECK(table.waiting() == 1);
  table.remove(row);
  CHECK(table.find(0xbeef) == QuestionTable::nobody);
  CHECK(table.asker(row) == QuestionTable::nobody);
  CHECK(table.waiting() == 0);
}

TEST_CASE("an ID is not used again on the same socket, even by one who waits no longer") {
  QuestionTable table;
  table.remove(table.add(1, [] { return std::uint16_t{5}; }));
  std::vector<std::uint16_t> draws{5, 5, 6};
  std::size_t at = 0;
  const auto row = table.add(2, [&] { return draws[at++]; });
  CHECK(table.id(row) == 6);
  CHECK(table.find(5) == QuestionTable::nobody);
  table.clear();
  CHECK(table.id(table.add(3, [] { return std::uint16_t{5}; })) == 5);
}

TEST_CASE("a table takes as many questions as a socket may be asked, even where all IDs collide") {
  QuestionTable table;
  std::uint16_t next = 3;
  for (std::uint16_t i = 0; i < questions_per_socket_max; ++i) {
    REQUIRE_FALSE(table.is_full());
    // 32 rows apart at most 128 IDs end in one row: then the next row's turn comes.
    (void)table.add(i, [&] { return next = static_cast<std::uint16_t>(next + 512); });
    if (i % 100 == 99) ++next;
  }
  CHECK(table.is_full());
  CHECK(table.waiting() == questions_per_socket_max);
  std::set<QuestionTable::Asker> askers;
  table.each([&](QuestionTable::Asker asker) { askers.insert(asker); });
  CHECK(askers.size() == questions_per_socket_max);
}

TEST_CASE("who is removed or added while all are visited is not visited") {
  QuestionTable table;
  std::map<QuestionTable::Asker, QuestionTable::Row> rows;
  std::uint16_t id = 0;
  const auto draw = [&] { return ++id; };
  for (std::uint16_t i = 0; i < 10; ++i) rows[i] = table.add(i, draw);
  std::vector<QuestionTable::Asker> visited;
  table.each([&](QuestionTable::Asker asker) {
    visited.push_back(asker);
    if (visited.size() == 1) {
      for (std::uint16_t i = 5; i < 10; ++i) table.remove(rows[i]);
      (void)table.add(50, draw);
    }
  });
  CHECK(visited == std::vector<QuestionTable::Asker>{0, 1, 2, 3, 4});
}

TEST_CASE("in any order of coming and going the table says what an obvious one says") {
  tests::Seeded random;
  INFO(random.replay());
  for (int round = 0; round < 50; ++round) {
    QuestionTable table;
    std::map<std::uint16_t, std::pair<QuestionTable::Asker, QuestionTable::Row>> waiting;
    while (!table.is_full()) {
      if (!waiting.empty() && random.once_in(2)) {
        auto one = waiting.begin();
        std::advance(one, static_cast<std::ptrdiff_t>(random.below(waiting.size())));
        table.remove(one->second.second);
        waiting.erase(one);
      } else {
        const auto asker = static_cast<QuestionTable::Asker>(random.below(QuestionTable::nobody));
        const auto row = table.add(asker, [&] { return static_cast<std::uint16_t>(random()); });
        REQUIRE_FALSE(waiting.contains(table.id(row)));
        waiting[table.id(row)] = {asker, row};
      }
      REQUIRE(table.waiting() == waiting.size());
      const auto id = static_cast<std::uint16_t>(random());
      if (!waiting.contains(id)) REQUIRE(table.find(id) == QuestionTable::nobody);
    }
    for (const auto& [id, one] : waiting) REQUIRE(table.find(id) == one.first);
  }
}

}  // namespace
}  // namespace doline::upstream

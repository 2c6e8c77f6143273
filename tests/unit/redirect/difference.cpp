#include "redirect/difference.h"

#include <doctest/doctest.h>

#include <string>

#include "seeded.h"

using namespace doline::redirect;
using doline::tests::Seeded;
using Kind = LineChange::Kind;

namespace {

std::string text_of(const std::vector<LineChange>& changes, Kind without) {
  std::string text;
  for (const LineChange& change : changes)
    if (change.kind != without) text += change.line + '\n';
  return text;
}

std::size_t kept(const std::vector<LineChange>& changes) {
  std::size_t count = 0;
  for (const LineChange& change : changes) count += change.kind == Kind::kept ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("What comes and goes is told, and no more") {
  CHECK(find_difference("", "").empty());
  CHECK(find_difference("a\nb\n", "a\nc\nb\n") ==
        std::vector<LineChange>{{Kind::kept, "a"}, {Kind::added, "c"}, {Kind::kept, "b"}});
  CHECK(find_difference("a\nb\n", "a\nc\n") ==
        std::vector<LineChange>{{Kind::kept, "a"}, {Kind::removed, "b"}, {Kind::added, "c"}});
}

TEST_CASE("Whatever the texts, without additions it is the one, without removals the other") {
  Seeded random(20'261'129);
  for (int round = 0; round < 300; ++round) {
    std::string before, after;
    const auto line = [&] { return std::string(1, static_cast<char>('a' + random.below(4))) + '\n'; };
    for (std::uint64_t left = random.below(12); left > 0; --left) before += line();
    for (std::uint64_t left = random.below(12); left > 0; --left) after += line();
    const auto changes = find_difference(before, after);
    CHECK(text_of(changes, Kind::added) == before);
    CHECK(text_of(changes, Kind::removed) == after);
    // From the other side as many lines stay.
    CHECK(kept(changes) == kept(find_difference(after, before)));
  }
}

TEST_CASE("Texts that are too long are said to change as a whole") {
  std::string many;
  for (std::size_t i = 0; i <= difference_lines_max; ++i) many += "x\n";
  CHECK(kept(find_difference(many, many)) == 0);
  CHECK(text_of(find_difference(many, "x\n"), Kind::removed) == "x\n");
}

TEST_CASE("For people there are only the parts that change") {
  CHECK(describe({{"routes", "a\n", "a\n"}}).empty());
  CHECK(describe({{"routes", "a\n", "a\n"}, {"table inet doline", "", "b\n"}, {"policy rules", "c\nd\n", "d\n"}}) ==
        "table inet doline is added:\n+ b\npolicy rules changes:\n- c\n");
  CHECK(describe({{"table inet doline", "b\n", ""}}) == "table inet doline is removed:\n- b\n");
  std::string few = "a\n", many = "a\n";
  for (std::size_t i = 0; i < elements_told_max + 10; ++i)
    (i < elements_told_max ? few : many) += std::string(element_line) + std::to_string(i) + '\n';
  CHECK(describe({{"gate", "", few}}).find("+ \t\telement 7\n") != std::string::npos);
  CHECK(describe({{"gate", "", many + "b\n"}}) ==
        "gate is added:\n+ a\n+ \t\telement 8\n+ \t\tand 9 more elements\n+ b\n");
}

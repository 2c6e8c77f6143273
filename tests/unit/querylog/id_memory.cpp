#include "querylog/id_memory.h"

#include <doctest/doctest.h>

#include <random>

using doline::querylog::IdMemory;

namespace {

/// As siphash gives them; the same in every run.
class Hashes {
 public:
  std::uint64_t next() { return random_(); }

 private:
  std::mt19937_64 random_{20261130};
};

}  // namespace

TEST_CASE("What is put is found until it is forgotten or all is") {
  IdMemory memory;
  CHECK(memory.find(0) == 0);
  memory.forget(7, 1);  // nothing is there
  memory.put(0, 3);
  memory.put(7, 4);
  CHECK(memory.find(0) == 3);
  CHECK(memory.find(7) == 4);
  memory.forget(7, 5);  // another id: that one was never remembered
  CHECK(memory.find(7) == 4);
  memory.forget(7, 4);
  CHECK(memory.find(7) == 0);
  CHECK(memory.find(0) == 3);
  memory.put(7, 6);
  CHECK(memory.find(7) == 6);
  memory.clear();
  CHECK(memory.find(0) == 0);
  CHECK(memory.find(7) == 0);
}

TEST_CASE("As it grows hardly any is lost, and none becomes another's") {
  IdMemory memory;
  Hashes hashes;
  for (std::uint32_t id = 1; id <= 40'000; ++id) memory.put(hashes.next(), id);
  hashes = Hashes();
  std::size_t lost = 0;
  for (std::uint32_t id = 1; id <= 40'000; ++id) {
    const std::uint32_t found = memory.find(hashes.next());
    lost += found == 0 ? 1 : 0;
    CHECK((found == 0 || found == id));
  }
  CHECK(lost < 1'200);
}

TEST_CASE("In a full one those asked for stay, and those that are not go") {
  IdMemory memory;
  Hashes hashes;
  std::vector<std::uint64_t> asked;
  for (std::uint32_t id = 1; id <= 1'000; ++id) memory.put(asked.emplace_back(hashes.next()), id);
  const std::uint64_t never_asked = hashes.next();
  memory.put(never_asked, 1'001);
  for (std::uint32_t id = 1'002; id < 400'000; ++id) {
    memory.put(hashes.next(), id);
    if (id % 1'000 != 0) continue;
    for (std::uint32_t at = 0; at < asked.size(); ++at)
      if (memory.find(asked[at]) == 0) memory.put(asked[at], at + 1);
  }
  CHECK(memory.find(never_asked) == 0);
  std::size_t there = 0;
  for (std::uint32_t at = 0; at < asked.size(); ++at) there += memory.find(asked[at]) == at + 1 ? 1 : 0;
  CHECK(there > 980);
}

TEST_CASE("Five of one line are remembered, and of a sixth the one that was not asked for longest gives way") {
  IdMemory memory;
  const auto one_of_a_line = [](std::uint64_t number) { return number << 40; };  // the lowest bits name the line
  for (std::uint32_t number = 1; number <= 5; ++number) memory.put(one_of_a_line(number), number);
  CHECK(memory.find(one_of_a_line(1)) == 1);
  memory.put(one_of_a_line(6), 6);
  CHECK(memory.find(one_of_a_line(2)) == 0);
  for (const std::uint32_t number : {1u, 3u, 4u, 5u, 6u}) CHECK(memory.find(one_of_a_line(number)) == number);
}

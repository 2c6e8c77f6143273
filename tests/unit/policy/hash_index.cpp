#include "policy/hash_index.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using doline::policy::HashIndex;

namespace {

std::vector<std::uint16_t> places_of(const HashIndex& index, std::uint64_t hash) {
  std::vector<std::uint16_t> places;
  index.each(hash, [&](std::uint16_t place) { places.push_back(place); });
  return places;
}

}  // namespace

TEST_CASE("an index without entries finds nothing") {
  HashIndex index;
  CHECK(index.is_empty());
  index.seal();
  CHECK(places_of(index, 0).empty());
  CHECK(places_of(index, 0xffffffffffffffff).empty());
}

TEST_CASE("all places of a hash are found, in order, and those of no other") {
  std::mt19937_64 random(7);
  for (const std::size_t count : {1u, 3u, 4u, 5u, 100u, 2'000u}) {
    CAPTURE(count);
    HashIndex index;
    std::vector<std::uint64_t> hashes;
    for (std::size_t number = 0; number < count; ++number) {
      hashes.push_back(number % 3 == 0 ? number : random());  // small ones too, as of types
      index.add(hashes.back(), static_cast<std::uint16_t>(number + 1));
      index.add(hashes.back(), static_cast<std::uint16_t>(number));
    }
    index.seal();
    CHECK_FALSE(index.is_empty());
    for (std::size_t number = 0; number < count; ++number)
      CHECK(places_of(index, hashes[number]) ==
            std::vector{static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(number + 1)});
    for (int other = 0; other < 1'000; ++other) CHECK(places_of(index, random()).empty());
  }
}

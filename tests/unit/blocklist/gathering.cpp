#include "blocklist/gathering.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace doline::blocklist;

namespace {

std::vector<Said> taken(Gathering& gathering) {
  std::vector<Said> all;
  for (std::size_t part = 0; part < Gathering::part_count; ++part) {
    const auto some = gathering.part(part);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

constexpr std::uint64_t first_place = 0;
constexpr std::uint64_t last_place = ~std::uint64_t{0};

}  // namespace

TEST_CASE("an entry keeps place, tag, list and what is covered apart") {
  const Said said({last_place, tag_mask}, ListId{4095}, name_alone);
  CHECK(said.place == last_place);
  CHECK(said.tag() == tag_mask);
  CHECK(said.list() == ListId{4095});
  CHECK(said.word() == (4095U << 3 | 1U));
  CHECK(Said({0, 0}, ListId{0}, below_alone).word() == 2);
}

TEST_CASE("what a list says twice of a name is merged, what two lists say is not") {
  Gathering gathering;
  gathering.add({{last_place, 7}, ListId{1}, name_alone});
  gathering.add({{first_place, 7}, ListId{1}, name_alone});
  gathering.add({{last_place, 7}, ListId{0}, name_alone});
  gathering.add({{last_place, 7}, ListId{1}, below_alone});
  gathering.add({{last_place, 8}, ListId{1}, name_alone});
  gathering.add({{last_place, 7}, ListId{1}, name_alone});
  CHECK(gathering.count() == 6);
  CHECK(gathering.merge({false, false}) == 3);
  CHECK(gathering.count() == 4);
  const std::vector<Said> expected{{{first_place, 7}, ListId{1}, name_alone},
                                   {{last_place, 7}, ListId{0}, name_alone},
                                   {{last_place, 7}, ListId{1}, name_alone | below_alone},
                                   {{last_place, 8}, ListId{1}, name_alone}};
  CHECK(taken(gathering) == expected);
  CHECK(taken(gathering) == expected);
}

TEST_CASE("merging lets go of what a dropped list said") {
  Gathering gathering;
  gathering.add({{1, 1}, ListId{0}, name_alone});
  gathering.add({{1, 1}, ListId{1}, name_alone});
  gathering.add({{2, 2}, ListId{1}, name_alone});
  CHECK(gathering.merge({false, true}) == 1);
  CHECK(taken(gathering) == std::vector<Said>{{{1, 1}, ListId{0}, name_alone}});
}

TEST_CASE("many entries, merged now and then while they come, end sorted and distinct") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Gathering gathering;
  std::vector<Said> all;
  for (int count = 0; count < 300'000; ++count) {
    // Few different places and tags, so that much is said twice; some places close together, some far apart.
    const std::uint64_t place = random() % 2 != 0 ? random() % 1000 : (random() % 1000) << 54;
    const Said said({place, random() % 3}, ListId{static_cast<std::uint16_t>(random() % 4)}, name_alone);
    gathering.add(said);
    all.push_back(said);
    if (count % 70'000 == 0) gathering.merge(std::vector<bool>(4));
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::uint64_t names = 0;
  for (std::size_t at = 0; at < all.size(); ++at) names += at == 0 || !all[at].is_of_name(all[at - 1]) ? 1 : 0;
  CHECK(gathering.merge(std::vector<bool>(4)) == names);
  CHECK(taken(gathering) == all);
}

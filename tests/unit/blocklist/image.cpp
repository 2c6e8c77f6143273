#include "blocklist/image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>

using namespace doline::blocklist;

namespace {

// A file, and its sections taken out of it.
struct File {
  std::vector<std::uint8_t> octets;
  FileHeader header;
  std::vector<Block> blocks = section<Block>(Section::blocks);
  std::vector<std::uint8_t> codes = section<std::uint8_t>(Section::codes);
  std::vector<RareStatement> rare = section<RareStatement>(Section::rare);
  std::vector<Statement> statements = section<Statement>(Section::statements);
  std::vector<std::uint32_t> set_bounds = section<std::uint32_t>(Section::set_bounds);
  std::vector<ListSummary> lists = section<ListSummary>(Section::lists);

  template <class T>
  [[nodiscard]] std::vector<T> section(Section kind) const {
    const SectionEntry& entry = header.section[static_cast<std::size_t>(kind) - 1];
    std::vector<T> content(entry.length / sizeof(T));
    if (!content.empty()) std::memcpy(content.data(), octets.data() + entry.offset, entry.length);
    return content;
  }
};

doline::Result<File, ImageFault> image_of(const std::vector<Said>& all, std::size_t lists) {
  Gathering gathering;
  for (const Said& said : all) gathering.add(said);
  const std::uint64_t names = gathering.merge(std::vector<bool>(lists));
  std::vector<std::uint8_t> octets;
  const auto image = make_image({std::move(gathering), names, {1, 2}, 3, std::vector<bool>(lists), {}, {}},
                                [&](Octets piece) { octets.insert(octets.end(), piece.begin(), piece.end()); });
  if (!image) return doline::fail(image.error());
  REQUIRE(octets.size() == image->header.file_octets);
  CHECK(std::all_of(octets.begin(), octets.begin() + sizeof(FileHeader), [](auto octet) { return octet == 0; }));
  std::memcpy(octets.data(), &image->header, sizeof(FileHeader));
  return File{std::move(octets), image->header};
}

constexpr std::uint64_t last_place = ~std::uint64_t{0};

}  // namespace

TEST_CASE("two names that a look-up could not tell apart make the seed unlucky, and only then") {
  // Same home, same tag, different place: one would answer for the other.
  const auto collision = image_of({{{1, 5}, ListId{0}, name_alone}, {{2, 5}, ListId{0}, name_alone}}, 1);
  REQUIRE_FALSE(collision.has_value());
  CHECK(collision.error() == ImageFault::unlucky_seed);
  CHECK(image_of({{{1, 5}, ListId{0}, name_alone}, {{2, 6}, ListId{0}, name_alone}}, 1).has_value());

  // Equal tags in homes far apart are no one's trouble.
  std::vector<Said> far;
  for (std::uint64_t number = 0; number < 100; ++number)
    far.push_back({{number << 57, number + 1}, ListId{0}, name_alone});
  far.push_back({{last_place, 5}, ListId{0}, name_alone});
  CHECK(image_of(far, 1).has_value());
}

TEST_CASE("a tag that spilled into the next block is told from that block's own") {
  // Homes 0 and 1 of two: eleven names of home 0, so that the eleventh lies in block 1, and one of home 1 with the
  // eleventh's tag.
  std::vector<Said> all;
  for (std::uint64_t number = 0; number < 11; ++number) all.push_back({{number, number + 1}, ListId{0}, name_alone});
  CHECK(image_of(all, 1).has_value());
  all.push_back({{last_place, 11}, ListId{0}, name_alone});
  CHECK_FALSE(image_of(all, 1).has_value());
  all.back() = {{last_place, 12}, ListId{0}, name_alone};
  CHECK(image_of(all, 1).has_value());
}

TEST_CASE("a look-up goes on to the next block only behind a name of its own kind") {
  const auto of_kind = [](std::uint64_t kind, std::uint64_t tag) { return NameKey{kind << 32, tag}; };
  std::vector<Said> all;
  for (std::uint64_t number = 0; number < 11; ++number)
    all.push_back({of_kind(number, number + 1), ListId{0}, name_alone});
  const auto image = image_of(all, 1);
  REQUIRE(image.has_value());
  const Block* blocks = image->blocks.data();
  CHECK(find_slot(blocks, 0, of_kind(9, 10)) == 9);
  CHECK(find_slot(blocks, 0, of_kind(10, 11)) == slots_per_block);
  CHECK(find_slot(blocks, 0, of_kind(10 + 32, 11)) == slots_per_block);
  CHECK(find_slot(blocks, 0, of_kind(9, 11)) == no_slot);
  CHECK(find_slot(blocks, 1, of_kind(9, 11)) == slots_per_block);
}

TEST_CASE("a tag that looks like an unused slot makes the seed unlucky") {
  CHECK_FALSE(image_of({{{1, 0}, ListId{0}, name_alone}}, 1).has_value());
}

TEST_CASE("too many names in one place make the seed unlucky") {
  std::vector<Said> all;
  const std::uint64_t room = slots_per_block * (spill_blocks_max + 1);
  for (std::uint64_t number = 0; number < room; ++number) all.push_back({{number, number + 1}, ListId{0}, name_alone});
  CHECK(image_of(all, 1).has_value());
  all.push_back({{room, room + 1}, ListId{0}, name_alone});
  const auto crowded = image_of(all, 1);
  REQUIRE_FALSE(crowded.has_value());
  CHECK(crowded.error() == ImageFault::unlucky_seed);
}

TEST_CASE("every name is found in its own slot, and the table is as full as promised") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<Said> all;
  for (int count = 0; count < 100'000; ++count) all.push_back({{random(), random() & tag_mask}, ListId{0}, name_alone});
  const auto image = image_of(all, 1);
  REQUIRE(image.has_value());
  CHECK(image->header.name_count == all.size());
  CHECK(image->header.file_octets < all.size() * 7);
  std::vector<bool> is_taken(image->blocks.size() * slots_per_block);
  for (const Said& said : all) {
    const std::uint32_t slot =
        find_slot(image->blocks.data(), home_of(said.place, image->header.home_blocks), said.key());
    REQUIRE(slot != no_slot);
    REQUIRE_FALSE(is_taken[slot]);
    is_taken[slot] = true;
  }
}

TEST_CASE("codes lie side by side, whatever their width") {
  std::mt19937 random(1);
  for (std::uint32_t bits = 0; bits <= code_bits_max; ++bits) {
    CAPTURE(bits);
    constexpr std::uint32_t slots = 1000;
    std::vector<std::uint8_t> codes(code_octets(slots, bits));
    std::vector<std::uint32_t> expected;
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      expected.push_back(static_cast<std::uint32_t>(random()) & last_code(bits));
      set_code(codes, slot, bits, expected.back());
    }
    bool are_equal = true;
    for (std::uint32_t slot = 0; slot < slots; ++slot)
      are_equal = are_equal && code_at(codes, slot, bits) == expected[slot];
    CHECK(are_equal);
  }
}

TEST_CASE("equal words of lists are stored once, and codes are as wide as is worth it") {
  // Name n stands on the lists whose bits are set in n: 300 different statements, of which the first 255 twice.
  std::vector<Said> all;
  std::uint64_t place = 0;
  const auto add = [&](std::uint64_t statement, std::uint64_t tag) {
    place += 0x9e3779b97f4a7c15;  // spreads evenly
    for (std::uint16_t list = 0; list < 9; ++list) {
      if ((statement >> list & 1) != 0) all.push_back({{place, tag}, ListId{list}, name_alone});
    }
  };
  for (std::uint64_t name = 1; name <= 300; ++name) {
    add(name, name * 2);
    if (name <= 255) add(name, name * 2 + 1);
  }
  const auto image = image_of(all, 9);
  REQUIRE(image.has_value());
  CHECK(image->header.code_bits == 9);
  CHECK(image->rare.empty());
  CHECK(image->statements.size() == 300);
  CHECK(image->set_bounds.size() == 302);
  CHECK(image->header.name_count == 555);
  CHECK(image->lists[0].names == 2 * 128 + 22);  // the odd numbers up to 255 twice, those up to 300 once

  // With ten thousand names more that say the same, a bit for each is dearer than eight octets for the others.
  for (std::uint64_t name = 0; name < 10'000; ++name) add(1, 10'000 + name);
  const auto larger = image_of(all, 9);
  REQUIRE(larger.has_value());
  CHECK(larger->header.code_bits < 9);
  CHECK(larger->rare.size() >= 300 - (1U << larger->header.code_bits));
  CHECK(larger->statements.size() == 300);
  const auto octets = [&](std::uint32_t bits) {
    std::size_t rare = 0;
    for (std::size_t number = std::size_t{1} << bits; number < 300; ++number) rare += number < 255 ? 2 : 1;
    return code_octets(larger->blocks.size() * slots_per_block, bits) + rare * sizeof(RareStatement);
  };
  for (std::uint32_t bits = 1; bits <= code_bits_max; ++bits)
    CHECK(larger->codes.size() + larger->rare.size() * sizeof(RareStatement) <= octets(bits));
}

TEST_CASE("the header says where each section lies and what its octets add up to") {
  const auto image = image_of({{{1, 5}, ListId{0}, name_alone}}, 1);
  REQUIRE(image.has_value());
  CHECK(image->header.checksum == header_checksum(image->header));
  std::uint64_t end = sizeof(FileHeader);
  std::uint32_t kind = 0;
  for (const SectionEntry& section : image->header.section) {
    CHECK(section.kind == ++kind);
    CHECK(section.offset % section_alignment == 0);
    CHECK(section.offset >= end);
    end = section.offset + section.length;
    CHECK(checksum_of(Octets(image->octets).subspan(section.offset, section.length)) == section.checksum);
  }
  CHECK(end == image->octets.size());
}

TEST_CASE("blocks that no name lies in are there all the same") {
  // All names but one lie close together in 93 of a hundred blocks: five thousand blocks are empty.
  constexpr std::uint64_t count = 600'000;
  std::vector<Said> all;
  for (std::uint64_t number = 0; number < count; ++number)
    all.push_back({{number * (last_place / 100 * 93 / count), number + 1}, ListId{0}, name_alone});
  const NameKey last{last_place, count + 1};
  all.push_back({last, ListId{0}, name_alone});
  const auto image = image_of(all, 1);
  REQUIRE(image.has_value());
  const std::uint32_t home = home_of(last_place, image->header.home_blocks);
  CHECK(image->blocks.size() == home + 1 + spill_blocks_max);
  CHECK(find_slot(image->blocks.data(), home, last) == home * slots_per_block);
  CHECK(std::all_of(image->blocks.begin() + home - 4500, image->blocks.begin() + home,
                    [](const Block& block) { return block.first[0] == 0; }));
}

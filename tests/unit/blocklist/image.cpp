#include "blocklist/image.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

using namespace doline::blocklist;

namespace {

doline::Result<Image, ImageFault> image_of(const std::vector<Said>& all, std::size_t lists) {
  Gathering gathering;
  for (const Said& said : all) gathering.add(said);
  const std::uint64_t names = gathering.merge(std::vector<bool>(lists));
  return make_image(gathering, names, 1, 2, lists, {}, {});
}

FileHeader header_of(const Image& image) {
  FileHeader header;
  std::memcpy(&header, image.octets.data(), sizeof header);
  return header;
}

std::vector<Block> blocks_of(const Image& image) {
  const FileHeader header = header_of(image);
  const SectionEntry& section = header.section[0];
  std::vector<Block> blocks(section.length / sizeof(Block));
  std::memcpy(blocks.data(), image.octets.data() + section.offset, section.length);
  return blocks;
}

constexpr std::uint64_t last_place = ~std::uint64_t{0};

}  // namespace

TEST_CASE("two names that a look-up could not tell apart make the seed unlucky, and only then") {
  // Same home, same tag, different place: one would answer for the other.
  const auto collision = image_of({{{1, 5}, ListId{0}, true, false}, {{2, 5}, ListId{0}, true, false}}, 1);
  REQUIRE_FALSE(collision.has_value());
  CHECK(collision.error() == ImageFault::unlucky_seed);
  CHECK(image_of({{{1, 5}, ListId{0}, true, false}, {{2, 6}, ListId{0}, true, false}}, 1).has_value());

  // Equal tags in homes far apart are no one's trouble.
  std::vector<Said> far;
  for (std::uint64_t number = 0; number < 100; ++number)
    far.push_back({{number << 57, number}, ListId{0}, true, false});
  far.push_back({{last_place, 5}, ListId{0}, true, false});
  CHECK(image_of(far, 1).has_value());
}

TEST_CASE("a tag that spilled into the next block is told from that block's own") {
  // Homes 0 and 1 of two: ten names of home 0, so that the tenth lies in block 1, and one of home 1 with the tenth's
  // tag.
  std::vector<Said> all;
  for (std::uint64_t number = 0; number < 10; ++number) all.push_back({{number, number}, ListId{0}, true, false});
  CHECK(image_of(all, 1).has_value());
  all.push_back({{last_place, 9}, ListId{0}, true, false});
  CHECK_FALSE(image_of(all, 1).has_value());
  all.back() = {{last_place, 10}, ListId{0}, true, false};
  CHECK(image_of(all, 1).has_value());
}

TEST_CASE("too many names in one place make the seed unlucky") {
  std::vector<Said> all;
  const std::uint64_t room = slots_per_block * (spill_blocks_max + 1);
  for (std::uint64_t number = 0; number < room; ++number) all.push_back({{number, number}, ListId{0}, true, false});
  CHECK(image_of(all, 1).has_value());
  all.push_back({{room, room}, ListId{0}, true, false});
  const auto crowded = image_of(all, 1);
  REQUIRE_FALSE(crowded.has_value());
  CHECK(crowded.error() == ImageFault::unlucky_seed);
}

TEST_CASE("every name is found in its own slot, and the table is as full as promised") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<Said> all;
  for (int count = 0; count < 100'000; ++count)
    all.push_back({{random(), random() & tag_mask}, ListId{0}, true, false});
  const auto image = image_of(all, 1);
  REQUIRE(image.has_value());
  CHECK(image->names == all.size());
  CHECK(image->octets.size() < all.size() * 8);
  const FileHeader header = header_of(*image);
  const std::vector<Block> blocks = blocks_of(*image);
  std::vector<bool> is_taken(blocks.size() * slots_per_block);
  for (const Said& said : all) {
    const auto slot = find_slot(blocks.data(), home_of(said.place, header.home_blocks), said.tag());
    REQUIRE(slot.has_value());
    REQUIRE_FALSE(is_taken[*slot]);
    is_taken[*slot] = true;
  }
  std::size_t filled = 0;
  for (const Block& block : blocks) filled += block.filled();
  CHECK(filled == all.size());
}

TEST_CASE("equal words of lists are stored once, and the most frequent get the codes") {
  // Name n stands on the lists whose bits are set in n: 300 different statements, of which 45 have no code.
  std::vector<Said> all;
  std::uint64_t place = 0;
  for (std::uint64_t name = 1; name <= 300; ++name) {
    for (std::uint64_t copy = 0; copy < (name <= 255 ? 2U : 1U); ++copy) {
      place += 0x9e3779b97f4a7c15;  // spreads evenly
      for (std::uint16_t list = 0; list < 9; ++list) {
        if ((name >> list & 1) != 0) all.push_back({{place, name * 2 + copy}, ListId{list}, true, false});
      }
    }
  }
  const auto image = image_of(all, 9);
  REQUIRE(image.has_value());
  const FileHeader header = header_of(*image);
  CHECK(header.section[static_cast<std::size_t>(Section::rare) - 1].length == 45 * sizeof(RareStatement));
  CHECK(header.section[static_cast<std::size_t>(Section::statements) - 1].length == 300 * sizeof(Statement));
  CHECK(header.section[static_cast<std::size_t>(Section::set_bounds) - 1].length == 302 * sizeof(std::uint32_t));
  CHECK(image->names == 555);
  CHECK(image->names_of_list[0] == 2 * 128 + 22);  // the odd numbers up to 255 twice, those up to 300 once
}

TEST_CASE("a sealed image has the checksums of its octets") {
  auto image = image_of({{{1, 5}, ListId{0}, true, false}}, 1);
  REQUIRE(image.has_value());
  const FileHeader before = header_of(*image);
  CHECK(before.checksum == header_checksum(before));
  const std::size_t at = before.section[0].offset;
  image->octets[at] ^= 1;
  CHECK(checksum_of(Octets(image->octets).subspan(at, before.section[0].length)) != before.section[0].checksum);
  seal(image->octets);
  const FileHeader after = header_of(*image);
  CHECK(after.checksum == header_checksum(after));
  CHECK(checksum_of(Octets(image->octets).subspan(at, after.section[0].length)) == after.section[0].checksum);
  std::vector<std::uint8_t> short_octets(100, 1);
  seal(short_octets);
  CHECK(short_octets == std::vector<std::uint8_t>(100, 1));
}

// The compiled file as structs: what FORMAT.md says octet by octet, shared by image.cpp (which makes it) and
// list_set.cpp (which maps it). Private to the room, its tests and its fuzz targets.
#pragma once

#define XXH_INLINE_ALL  // a key is one hash of some twenty octets: the call would cost as much as the hash
#include <xxhash.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace doline::blocklist {

using Octets = std::span<const std::uint8_t>;

inline constexpr std::array<char, 8> file_magic{'D', 'O', 'L', 'I', 'N', 'E', 'L', 'S'};
inline constexpr std::uint32_t file_version = 1;
inline constexpr std::uint32_t byte_order_mark = 0x01020304;
inline constexpr std::size_t section_alignment = 64;

enum class Section : std::uint32_t {
  blocks = 1,       ///< Block[home_blocks + spill_blocks_max]: every listed name
  rare = 2,         ///< RareStatement[]: what is said of the names with code_rare, by slot
  statements = 3,   ///< Statement[]: what lists say of a name, the most frequent first
  set_bounds = 4,   ///< u32[sets + 1]: where each interned set begins in `set_members`
  set_members = 5,  ///< u16[]: ListIds, ascending within a set
  lists = 6,        ///< ListSummary[list_count]
};
inline constexpr std::size_t section_count = 6;

struct SectionEntry {
  std::uint32_t kind = 0;
  std::uint32_t reserved = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t checksum = 0;  ///< XXH3, 64 bits, of the section's octets
};

/// Depths as a bit mask: bit n for names of n labels.
struct Depths {
  std::array<std::uint64_t, 2> words{};
  [[nodiscard]] bool has(unsigned labels) const { return (words[labels / 64 % 2] >> (labels % 64) & 1) != 0; }
  void add(unsigned labels) { words[labels / 64 % 2] |= std::uint64_t{1} << (labels % 64); }
};

struct FileHeader {
  std::array<char, 8> magic = file_magic;
  std::uint32_t byte_order = byte_order_mark;
  std::uint32_t version = file_version;
  std::uint64_t seed = 0;
  std::uint64_t fingerprint = 0;
  std::uint64_t file_octets = 0;
  std::uint64_t name_count = 0;
  std::uint32_t home_blocks = 0;
  std::uint32_t list_count = 0;
  Depths named;  ///< of names that a list covers
  Depths below;  ///< of names that a list covers the names below of
  std::array<SectionEntry, section_count> section{};
  std::array<std::uint8_t, 224> reserved{};
  std::uint64_t checksum = 0;  ///< XXH3, 64 bits, of all octets before
};
static_assert(sizeof(FileHeader) == 512);

/// What all lists say of one name: the set of lists that cover the name, and of those that cover the names below it.
struct Statement {
  std::uint32_t named = 0;
  std::uint32_t below = 0;
};
struct RareStatement {
  std::uint32_t slot = 0;  ///< block × slots_per_block + place in the block
  std::uint32_t statement = 0;
};
struct ListSummary {
  std::uint32_t names = 0;  ///< distinct
  std::uint32_t reserved = 0;
};

inline constexpr std::uint32_t slots_per_block = 9;
/// Nine in ten slots are filled: 64 / (9 × 0.9) = 7.9 octets a name, and two in three look-ups end in one cache line.
inline constexpr std::uint64_t fill_percent = 90;
/// How far from its home block a name may come to lie; as long as the hash is one, nine blocks are seen at 64 million
/// names.
inline constexpr std::uint32_t spill_blocks_max = 15;
inline constexpr std::uint64_t tag_mask = (std::uint64_t{1} << 48) - 1;
/// The code that says: look into `rare`.
inline constexpr std::uint8_t code_rare = 0xff;

/// One cache line: nine slots of a tag (6 octets) and a code (1), then how many are filled and how far this home's
/// names spill.
struct alignas(64) Block {
  std::array<std::uint8_t, 64> octets{};

  /// At most slots_per_block, whatever a damaged file says.
  [[nodiscard]] unsigned filled() const {
    const unsigned count = octets[63] & 0xfU;
    return count < slots_per_block ? count : slots_per_block;
  }
  [[nodiscard]] unsigned spill() const { return octets[63] >> 4; }
  /// Tag in the lower 48 bits, then the code, then an octet of no meaning.
  [[nodiscard]] std::uint64_t load(unsigned slot) const {
    std::uint64_t value;
    std::memcpy(&value, octets.data() + std::size_t{slot} * 7, sizeof value);
    return value;
  }
  [[nodiscard]] std::uint8_t code(unsigned slot) const { return octets[std::size_t{slot} * 7 + 6]; }
  void set_code(unsigned slot, std::uint8_t code) { octets[std::size_t{slot} * 7 + 6] = code; }
  void append(std::uint64_t tag) {
    std::memcpy(octets.data() + std::size_t{filled()} * 7, &tag, 6);
    ++octets[63];
  }
  void raise_spill(unsigned blocks) {
    if (blocks > spill()) octets[63] = static_cast<std::uint8_t>(blocks << 4 | filled());
  }
};
static_assert(sizeof(Block) == 64);

/// A name as the file knows it: 64 bits that order the table, 48 that tell its names apart.
struct NameKey {
  std::uint64_t place = 0;
  std::uint64_t tag = 0;
};

/// `labels`: a lower-cased wire name without its root label.
inline NameKey key_of(Octets labels, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(labels.data(), labels.size(), seed);
  return {hash.high64, hash.low64 & tag_mask};
}

/// Ascending with `place`, so that the table is filled from front to back by names sorted by place.
inline std::uint32_t home_of(std::uint64_t place, std::uint32_t home_blocks) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint32_t>(static_cast<Wide>(place) * home_blocks >> 64);
}

/// Where a name lies, counted in slots. `home` < home_blocks; spill_blocks_max blocks follow the last home.
inline std::optional<std::uint32_t> find_slot(const Block* blocks, std::uint32_t home, std::uint64_t tag) {
  const std::uint32_t end = home + blocks[home].spill();
  for (std::uint32_t at = home; at <= end; ++at) {
    const Block& block = blocks[at];
    for (unsigned slot = 0; slot < block.filled(); ++slot) {
      if ((block.load(slot) & tag_mask) == tag) return at * slots_per_block + slot;
    }
  }
  return std::nullopt;
}

inline std::uint64_t checksum_of(Octets octets) {
  return XXH3_64bits(octets.data(), octets.size());
}
inline std::uint64_t header_checksum(const FileHeader& header) {
  return checksum_of({reinterpret_cast<const std::uint8_t*>(&header), offsetof(FileHeader, checksum)});
}

}  // namespace doline::blocklist

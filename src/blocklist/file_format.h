// The compiled file as structs: what FORMAT.md says octet by octet, shared by image.cpp (which makes it) and
// list_set.cpp (which maps it). Private to the room, its tests and its fuzz targets.
#pragma once

#define XXH_INLINE_ALL  // or the program would have one library more to load when it starts
#include <xxhash.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "blocklist/lanes.h"

namespace doline::blocklist {

using Octets = std::span<const std::uint8_t>;

inline constexpr std::array<char, 8> file_magic{'D', 'O', 'L', 'I', 'N', 'E', 'L', 'S'};
inline constexpr std::uint32_t file_version = 5;
inline constexpr std::uint32_t byte_order_mark = 0x01020304;
inline constexpr std::size_t section_alignment = 64;

enum class Section : std::uint32_t {
  blocks = 1,       ///< Block[home_blocks + spill_blocks_max]: every listed name
  codes = 2,        ///< code_bits a slot: the number of its statement
  rare = 3,         ///< RareStatement[]: what is said of the names whose statement has no code of its own, by slot
  statements = 4,   ///< Statement[]: what lists say of a name, the most frequent first
  set_bounds = 5,   ///< u32[sets + 1]: where each interned set begins in `set_members`
  set_members = 6,  ///< u16[]: ListIds, ascending within a set
  lists = 7,        ///< ListSummary[list_count]
  rules = 8,        ///< TextHead and text each: what lines say that is more than their list's plain word
  rule_bounds = 9,  ///< u32[sets + 1]: where each set's words begin in `words`; none for a set of plain words only
  words = 10,       ///< u32[]: an index into `rules`, or plain_word | ListId; behind it taken_back_by | ListId
  patterns = 11,    ///< TextHead and text each: the set and the regular expression
  prefixes = 12,    ///< Prefix[]: addresses, the longest prefixes first
};
inline constexpr std::size_t section_count = 12;
/// Of a word in the section `words`: the plain word of the list whose ListId the other bits are.
inline constexpr std::uint32_t plain_word = 0x80000000;

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
  [[nodiscard]] bool are_none() const { return (words[0] | words[1]) == 0; }
};

/// What makes keys unpredictable: random, kept when the set is compiled again.
struct Seed {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Seed&) const = default;
};

struct FileHeader {
  std::array<char, 8> magic = file_magic;
  std::uint32_t byte_order = byte_order_mark;
  std::uint32_t version = file_version;
  Seed seed;
  std::uint64_t fingerprint = 0;
  std::uint64_t file_octets = 0;
  std::uint64_t name_count = 0;
  std::uint32_t home_blocks = 0;
  std::uint32_t list_count = 0;
  Depths below;  ///< of names that a list covers the names below of
  std::uint32_t code_bits = 0;
  std::uint32_t reserved = 0;
  std::array<SectionEntry, section_count> section{};
  std::array<std::uint8_t, 32> reserved_too{};
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
  std::uint32_t flags = 0;
  static constexpr std::uint32_t zone = 1;     ///< RPZ: it answers as the zone says, by its own precedence
  static constexpr std::uint32_t servers = 2;  ///< among its names are those of name servers
  static constexpr std::uint32_t longest = 4;  ///< dnsmasq, Unbound: what it says of the longest name is all it says
};
/// Before a text, which zeros follow up to a multiple of four octets.
struct TextHead {
  std::uint32_t number = 0;  ///< of a rule's list, of a pattern's set
  std::uint32_t octets = 0;
};
/// Whose address a prefix is about.
enum class PrefixKind : std::uint32_t { answer = 0, client = 1, server = 2 };
struct Prefix {
  std::array<std::uint8_t, 16> address{};  ///< an IPv4 one mapped (RFC 4291 §2.5.5.2)
  std::uint32_t length = 0;                ///< of the mapped address: 0 to 128
  std::uint32_t set_and_kind = 0;          ///< set << 2, and the kind
  [[nodiscard]] std::uint32_t set() const { return set_and_kind >> 2; }
  [[nodiscard]] PrefixKind kind() const { return static_cast<PrefixKind>(set_and_kind & 3); }
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};
static_assert(sizeof(Prefix) == 24);

inline constexpr std::uint32_t slots_per_block = 10;
/// Of a hundred slots: 64 / (10 × 0.92) = 7 octets a name, and five in six look-ups of unlisted names end in one cache
/// line.
inline constexpr std::uint64_t fill_percent = 92;
/// How far from its home block a name may come to lie; as long as the hash is one, ten blocks are seen at 64 million
/// names.
inline constexpr std::uint32_t spill_blocks_max = 15;
inline constexpr std::uint64_t tag_mask = (std::uint64_t{1} << 48) - 1;
/// Beyond, a statement has no code of its own.
inline constexpr std::uint32_t code_bits_max = 16;

/// A name as the file knows it: 64 bits that order the table, 48 that tell its names apart.
struct NameKey {
  std::uint64_t place;
  std::uint64_t tag;
  /// 0 to 31: five bits of the place that neither its home nor its tag depends on.
  [[nodiscard]] std::uint32_t kind() const { return static_cast<std::uint32_t>(place >> 32) % 32; }
};

/// One cache line: ten tags, whose last octets lie side by side, so that a look-up asks of all ten at once whether any
/// may be its own; and which names went on to the next block because this one was full.
struct alignas(64) Block {
  std::array<std::uint8_t, slots_per_block> last{};    ///< bits 0 to 7 of each tag
  std::array<std::uint8_t, slots_per_block> middle{};  ///< bits 8 to 15
  std::uint32_t went_on = 0;                           ///< bit n: a name of kind n
  std::array<std::uint32_t, slots_per_block> first{};  ///< bits 16 to 47

  /// Bit n: the tag in slot n ends as this one does. None, but for one unlisted name in 25.
  [[nodiscard]] std::uint32_t candidates(std::uint64_t tag) const {
    return bits_of(load_lanes(this) == static_cast<std::uint8_t>(tag)) & ((1U << slots_per_block) - 1);
  }
  [[nodiscard]] std::uint64_t tag(std::uint32_t slot) const {
    return std::uint64_t{first[slot]} << 16 | std::uint64_t{middle[slot]} << 8 | last[slot];
  }
  void put(std::uint32_t slot, std::uint64_t tag) {
    last[slot] = static_cast<std::uint8_t>(tag);
    middle[slot] = static_cast<std::uint8_t>(tag >> 8);
    first[slot] = static_cast<std::uint32_t>(tag >> 16);
  }
  [[nodiscard]] bool sent_on(const NameKey& key) const { return (went_on >> key.kind() & 1) != 0; }
  void send_on(const NameKey& key) { went_on |= std::uint32_t{1} << key.kind(); }
};
static_assert(sizeof(Block) == 64 && offsetof(Block, last) == 0);

/// `labels`: a lower-cased wire name without its root label. FORMAT.md says what this hash is good for.
inline NameKey key_of(Octets labels, const Seed& seed) {
  __extension__ using Wide = unsigned __int128;
  struct State {
    std::uint64_t low, high;
    // (2^64 + x)(2^64 + y) modulo 2^128: no factor is ever 0, so what one word says, the other cannot extinguish.
    void take(std::uint64_t one, std::uint64_t other) {
      const std::uint64_t x = low + one;
      const std::uint64_t y = high + other;
      const Wide product = static_cast<Wide>(x) * y;
      low = static_cast<std::uint64_t>(product);
      high = static_cast<std::uint64_t>(product >> 64) + x + y;
    }
  } state{seed.low, seed.high + labels.size()};
  const auto word = [](const std::uint8_t* at) {
    std::uint64_t octets;
    std::memcpy(&octets, at, sizeof octets);
    return octets;
  };
  const std::uint8_t* at = labels.data();
  const std::uint8_t* const end = at + labels.size();
  if (labels.size() >= 8) {
    for (; end - at > 16; at += 16) state.take(word(at), word(at + 8));
    state.take(word(labels.size() < 16 ? at : end - 16), word(end - 8));
  } else {
    std::uint64_t octets = 0;
    for (; at != end; ++at) octets = octets << 8 | *at;
    state.take(octets, 0);
  }
  state.take(0, 0);
  return {state.low ^ state.high, (state.low >> 16 ^ state.high) & tag_mask};
}

/// Ascending with `place`, so that the table is filled from front to back by names sorted by place.
inline std::uint32_t home_of(std::uint64_t place, std::uint32_t home_blocks) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint32_t>(static_cast<Wide>(place) * home_blocks >> 64);
}

inline constexpr std::uint32_t no_slot = ~std::uint32_t{0};
/// Where a name lies, counted in slots, or no_slot. `home` < home_blocks; spill_blocks_max blocks follow the last home.
inline std::uint32_t find_slot(const Block* blocks, std::uint32_t home, NameKey key) {
  for (std::uint32_t at = home;; ++at) {
    const Block& block = blocks[at];
    for (std::uint32_t slots = block.candidates(key.tag); slots != 0; slots &= slots - 1) {
      const auto slot = static_cast<std::uint32_t>(std::countr_zero(slots));
      if (block.tag(slot) == key.tag) return at * slots_per_block + slot;
    }
    if (!block.sent_on(key) || at - home == spill_blocks_max) return no_slot;
  }
}

/// Codes follow each other bit by bit; the four octets that a code is read from are there for the last one too.
inline std::size_t code_octets(std::size_t slots, std::uint32_t code_bits) {
  return slots * code_bits / 8 + 4;
}
/// The statement of this number shares its code with all that are less frequent: `rare` tells them apart.
inline std::uint32_t last_code(std::uint32_t code_bits) {
  return (std::uint32_t{1} << code_bits) - 1;
}
inline std::uint32_t code_at(Octets codes, std::uint32_t slot, std::uint32_t code_bits) {
  const std::uint64_t bit = std::uint64_t{slot} * code_bits;
  const std::uint8_t* at = codes.data() + bit / 8;
  const std::uint32_t octets =
      at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
  return octets >> bit % 8 & last_code(code_bits);
}
/// Where there was 0 before.
inline void set_code(std::span<std::uint8_t> codes, std::uint32_t slot, std::uint32_t code_bits, std::uint32_t code) {
  const std::uint64_t bit = std::uint64_t{slot} * code_bits;
  std::uint64_t octets = std::uint64_t{code} << bit % 8;
  for (std::size_t at = bit / 8; octets != 0; ++at, octets >>= 8) codes[at] |= static_cast<std::uint8_t>(octets);
}

inline std::uint64_t checksum_of(Octets octets) {
  return XXH3_64bits(octets.data(), octets.size());
}
inline std::uint64_t header_checksum(const FileHeader& header) {
  return checksum_of({reinterpret_cast<const std::uint8_t*>(&header), offsetof(FileHeader, checksum)});
}

}  // namespace doline::blocklist

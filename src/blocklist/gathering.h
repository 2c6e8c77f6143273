// Gathering: what all lists say, 16 octets an entry, collected while their texts are read and handed on sorted by
// place.
//
// Lives while compile() runs, on its thread. Names are known by 112 bits of a keyed hash: for as many names as a set
// may hold, two share them all with a probability of 2^-61. What is said twice is merged now and then, so that memory
// follows the distinct entries, whatever the texts repeat.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "blocklist/file_format.h"
#include "blocklist/list_set.h"

namespace doline::blocklist {

/// What of a name a line covers; of several lines, the bits of each.
using Extents = std::uint8_t;
inline constexpr Extents name_alone = 1, below_alone = 2, name_and_below = 4;
inline constexpr Extents of_the_name = name_alone | name_and_below, of_what_is_below = below_alone | name_and_below;
inline Extents extents_of(bool covers_name, bool covers_below) {
  return !covers_name ? below_alone : covers_below ? name_and_below : name_alone;
}

/// One list's word on one name.
struct Said {
  std::uint64_t place;
  std::uint64_t tag_list_extents;  ///< tag (48 bits), ListId (13), Extents (3)

  Said() = default;
  Said(NameKey key, ListId by, Extents extents)
      : place(key.place), tag_list_extents(key.tag << 16 | static_cast<std::uint64_t>(by.value) << 3 | extents) {}
  [[nodiscard]] std::uint64_t tag() const { return tag_list_extents >> 16; }
  [[nodiscard]] NameKey key() const { return {place, tag()}; }
  /// List and extents alone, as one number.
  [[nodiscard]] std::uint16_t word() const { return static_cast<std::uint16_t>(tag_list_extents); }
  [[nodiscard]] ListId list() const { return {static_cast<std::uint16_t>(word() >> 3)}; }
  [[nodiscard]] Extents extents() const { return static_cast<Extents>(word() & 7); }
  [[nodiscard]] bool is_of_name(const Said& other) const { return place == other.place && tag() == other.tag(); }
  auto operator<=>(const Said&) const = default;
};
static_assert(sizeof(Said) == 16 && lists_max < (1U << 13) - 1);

/// What a list says of a name that is more than its plain word: by a rule.
struct SaidMore {
  NameKey key;
  std::uint32_t rule;  ///< of the compilation's rules
  Extents extents;
};

class Gathering {
 public:
  /// In place of a list where SaidMore tells.
  static constexpr ListId more{(1U << 13) - 1};

  void add(const SaidMore& said) { more_.push_back(said); }
  void add(const Said& said) {
    Part& part = parts_[said.place >> 56];
    if (part.used == chunk_entries || part.chunks.empty()) grow(part);
    part.chunks.back()[part.used++] = said;
    ++count_;
  }
  [[nodiscard]] std::size_t more_count() const { return more_.size(); }
  /// Entries, repetitions included until they are merged.
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// Merges repetitions, lets go of everything that a dropped list said (one flag a list), and returns the distinct
  /// names.
  std::uint64_t merge(const std::vector<bool>& dropped);
  /// For part 0 to part_count - 1, ascending by place: the entries, sorted and merged. Only after merge(); borrowed
  /// until the next call of any function.
  std::span<const Said> part(std::size_t number);
  static constexpr std::size_t part_count = 256;

  /// Once all is read, before the last merge(): rules get their new numbers, what is said by those that do not `count`
  /// is let go of, the rest sorted, and its names entered.
  template <class Counts>
  void settle_more(std::span<const std::uint32_t> numbers, Counts counts) {
    for (SaidMore& said : more_) said.rule = numbers[said.rule];
    std::erase_if(more_, [&](const SaidMore& said) { return !counts(said.rule); });
    sort_more();
  }
  /// What rules say of a name; ascending by rule.
  [[nodiscard]] std::span<const SaidMore> more_of(const NameKey& key) const;

 private:
  void sort_more();

  // Chunks are cut from slabs as large as a huge page: a compilation touches tens of megabytes once, and with pages of
  // 4 KiB a fifth of its time went into faults.
  static constexpr std::size_t slab_octets = std::size_t{2} << 20;
  static constexpr std::size_t chunk_entries = 512;
  struct Free {
    void operator()(Said* slab) const { ::operator delete(slab, std::align_val_t{slab_octets}); }
  };
  struct Part {
    std::vector<Said*> chunks;
    std::size_t used = 0;  // of the last chunk
  };
  void grow(Part& part);
  void collect_sorted(Part& part);

  std::vector<std::unique_ptr<Said, Free>> slabs_;
  std::vector<Said*> free_;  // chunks
  std::array<Part, part_count> parts_;
  std::uint64_t count_ = 0;
  std::vector<Said> sorted_;
  std::vector<SaidMore> more_;
};

}  // namespace doline::blocklist

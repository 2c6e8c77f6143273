// HashIndex: rules by the hash of what they ask for: a name, a device, a type. Most of what is asked about is in no
// rule: a bit of a filter tells.
//
// Built once, then read from any thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace doline::policy {

class HashIndex {
 public:
  /// `place`: of the rule.
  void add(std::uint64_t hash, std::uint16_t place) { entries_.emplace_back(hash, place); }
  /// To be called once, behind the last add().
  void seal() {
    std::sort(entries_.begin(), entries_.end());
    filter_.assign(std::bit_ceil(entries_.size() / entries_per_word + 1), 0);
    for (const auto& [hash, place] : entries_) filter_[word_of(hash)] |= bit_of(hash);
  }
  [[nodiscard]] bool is_empty() const { return entries_.empty(); }
  /// `take(place)` for each with this hash.
  template <class Take>
  void each(std::uint64_t hash, Take take) const {
    if ((filter_[word_of(hash)] & bit_of(hash)) == 0) return;
    for (auto found = std::lower_bound(entries_.begin(), entries_.end(), std::pair(hash, std::uint16_t{0}));
         found != entries_.end() && found->first == hash; ++found)
      take(found->second);
  }

 private:
  static constexpr std::size_t entries_per_word = 4;  // so that a sixteenth of the bits is set at the most

  static std::uint64_t bit_of(std::uint64_t hash) { return std::uint64_t{1} << (hash & 63); }
  [[nodiscard]] std::size_t word_of(std::uint64_t hash) const { return hash >> 6 & (filter_.size() - 1); }

  std::vector<std::pair<std::uint64_t, std::uint16_t>> entries_;  // sorted
  std::vector<std::uint64_t> filter_;                             // a power of two
};

}  // namespace doline::policy

// DueWheel: which of many things is due when, for times that are mostly cancelled before they come.
//
// A wheel of slots of tick (about four milliseconds) each: setting and clearing a time costs the same however many
// there are. Things are numbered from 0, and things of one slot are taken in no order. Never early, up to one tick
// late. Pure: time is an argument. Allocates only when it meets a number for the first time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"

namespace doline::upstream {

class DueWheel {
 public:
  using Item = std::uint32_t;
  static constexpr std::chrono::nanoseconds tick{1 << 22};
  static constexpr std::size_t slots = 512;  // two seconds: what is farther away is looked at once a round

  DueWheel() { heads_.fill(none); }

  /// From now on this is due at `at`, and at no other time.
  void set(Item item, MonotonicTime at, MonotonicTime now) {
    if (item >= nodes_.size()) nodes_.resize(item + 1);
    if (nodes_[item].at != 0) clear(item);
    if (set_count_ == 0) taken_ = std::max(taken_, tick_of(now));
    // Never before the tick that was taken last: that slot is not looked at again for a whole round.
    place(item, std::max(tick_of(at + tick - std::chrono::nanoseconds(1)), taken_ + 1));
  }
  void clear(Item item) {
    if (item >= nodes_.size() || nodes_[item].at == 0) return;
    Node& node = nodes_[item];
    const std::size_t slot = slot_of(node.at);
    (node.before == none ? heads_[slot] : nodes_[node.before].behind) = node.behind;
    if (node.behind != none) nodes_[node.behind].before = node.before;
    if (heads_[slot] == none) filled_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
    node.at = 0;
    --set_count_;
  }
  /// Clears what is due and calls `take(Item)` for each, which may set and clear any. False from `take` ends it.
  template <class Take>
  void take_due(MonotonicTime now, Take take) {
    const std::uint64_t until = tick_of(now);
    if (until < taken_ + 1) return;
    if (until - taken_ > slots) taken_ = until - slots;
    while (taken_ < until) {
      ++taken_;
      // Collected first: what `take` sets may belong to this very slot, a round later.
      due_.clear();
      for (Item item = heads_[slot_of(taken_)]; item != none; item = nodes_[item].behind)
        if (nodes_[item].at <= taken_) due_.push_back(item);
      for (const Item item : due_) clear(item);
      for (const Item item : due_)
        if (nodes_[item].at == 0 && !take(item)) return;
    }
  }
  /// When something may be due next; nothing where nothing is set.
  [[nodiscard]] std::optional<MonotonicTime> next() const {
    const std::size_t first = slot_of(taken_ + 1);
    for (std::size_t i = 0; i <= slots / 64; ++i) {
      const std::size_t word = (first / 64 + i) % filled_.size();
      std::uint64_t bits = filled_[word];
      if (i == 0) bits &= ~std::uint64_t{0} << first % 64;
      if (i == slots / 64) bits &= (std::uint64_t{1} << first % 64) - 1;
      if (bits == 0) continue;
      const std::size_t slot = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      return MonotonicTime((taken_ + 1 + (slot - first) % slots) * tick);
    }
    return std::nullopt;
  }

 private:
  static constexpr Item none = 0xffffffff;
  struct Node {
    std::uint64_t at = 0;  // tick; 0: not set
    Item before = none, behind = none;
  };

  static std::uint64_t tick_of(MonotonicTime at) { return static_cast<std::uint64_t>(at.time_since_epoch() / tick); }
  static std::size_t slot_of(std::uint64_t at) { return at % slots; }
  void place(Item item, std::uint64_t at) {
    const std::size_t slot = slot_of(at);
    nodes_[item] = {at, none, heads_[slot]};
    if (heads_[slot] != none) nodes_[heads_[slot]].before = item;
    heads_[slot] = item;
    ++set_count_;
    filled_[slot / 64] |= std::uint64_t{1} << slot % 64;
  }

  std::vector<Node> nodes_;
  std::array<Item, slots> heads_;
  std::array<std::uint64_t, slots / 64> filled_{};
  std::vector<Item> due_;
  std::size_t set_count_ = 0;
  std::uint64_t taken_ = 0;  // all ticks up to this one have been taken
};

}  // namespace doline::upstream

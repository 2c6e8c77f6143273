// IdMemory: ids that the database has given, by a hash of what they stand for: those asked for lately, so that most
// need not be looked up there. Bounded; what has not been asked for longest is forgotten first, among those that share
// a line of the processor's cache with it. One thread's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doline::querylog {

class IdMemory {
 public:
  /// 0: not remembered. `hash`: all its bits alike good, so that nobody chooses what shares a line.
  [[nodiscard]] std::uint32_t find(std::uint64_t hash);
  /// What find() will look at is on its way from memory from here on.
  void prefetch(std::uint64_t hash) const {
    if (!lines_.empty()) __builtin_prefetch(&lines_[hash & (lines_.size() - 1)]);
  }
  /// `id`: not 0. Not to be called with a hash that find() knows.
  void put(std::uint64_t hash, std::uint32_t id);
  /// `id`: not 0.
  void forget(std::uint64_t hash, std::uint32_t id);
  void clear();

  static constexpr std::size_t lines_max = 1 << 14;

 private:
  static constexpr std::size_t places = 5;
  struct alignas(64) Line {  // what was asked for last stands first; free places, with id 0, stand last
    std::array<std::uint64_t, places> hashes{};
    std::array<std::uint32_t, places> ids{};
  };
  static_assert(sizeof(Line) == 64);

  Line& line_of(std::uint64_t hash) { return lines_[hash & (lines_.size() - 1)]; }
  void put_first(Line& line, std::size_t last, std::uint64_t hash, std::uint32_t id);
  void grow();

  std::vector<Line> lines_;  // none, or a power of two
  std::size_t count_ = 0;
};

}  // namespace doline::querylog

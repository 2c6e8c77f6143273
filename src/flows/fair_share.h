// FairShare: how many connections of each device are kept, so that one that scans whole networks neither fills what
// waits to be written nor pushes the others' rows out of a log of limited size. A device may begin a burst, and then so
// many a second; what is past that is left out and counted. Owned by the log writer's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/time.h"
#include "flows/answer_book.h"

namespace doline::flows {

inline constexpr std::uint32_t connections_at_once = 2'048;  ///< of a device that was quiet
inline constexpr std::uint32_t connections_a_second = 8;     ///< of a device that is not
inline constexpr std::size_t sharers_max = holders_max;      ///< devices; all further ones have one share together

class FairShare {
 public:
  struct LeftOut {
    Holder holder;
    std::uint64_t connections = 0;
  };

  /// Is one more connection of the device kept?
  [[nodiscard]] bool take(const Holder& holder, MonotonicTime at);
  /// Since the start, of all.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  /// Whose was left out most; nothing where nobody's was.
  [[nodiscard]] const std::optional<LeftOut>& most() const { return most_; }
  /// Forgets who has been quiet.
  void prune(MonotonicTime now);

 private:
  struct Share {
    std::uint32_t left = connections_at_once;
    MonotonicTime filled{};
    std::uint64_t left_out = 0;
  };
  static void fill(Share& share, MonotonicTime at);

  std::unordered_map<Holder, Share, HolderHash> shares_;
  std::uint64_t left_out_ = 0;
  std::optional<LeftOut> most_;
};

}  // namespace doline::flows

// RateTally: how much each client may still ask (`rate_limit`): a token bucket for each, whatever worker its queries
// come to.
//
// The one thing that workers share and change: a limit that is a total cannot be anybody's share. Fixed memory, no
// lock, one compare-and-swap a query; two workers that meet in one bucket may let one query too many pass. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"

namespace doline::resolver {

inline constexpr std::uint32_t rate_queries_max = 1'000'000;  ///< in a period
inline constexpr std::size_t rate_buckets = 16'384;           ///< clients that ask at the same time, with own counts

struct RateLimit {
  std::uint32_t queries = 0;  ///< in a period; as many may come at once. 0: unlimited
  seconds period{1};
  bool operator==(const RateLimit&) const = default;
};

class RateTally {
 public:
  /// `limit`: not unlimited. `seed`: random, so that nobody can choose whose bucket is his.
  RateTally(const RateLimit& limit, std::uint64_t seed);
  /// May it ask once more? Counts the query where it may.
  [[nodiscard]] bool admit(std::uint64_t who, MonotonicTime now);
  /// Whose bucket a client without a device of its own has: IPv6 by its /64, of which a host has as many addresses as
  /// it likes.
  [[nodiscard]] static std::uint64_t bucket_of(const IpAddress& client);
  [[nodiscard]] const RateLimit& limit() const { return limit_; }

 private:
  struct Bucket {
    std::atomic<std::uint64_t> who{0};
    std::atomic<std::int64_t> full_at{0};  // when it will be full again, in nanoseconds
  };
  static constexpr std::size_t ways = 4;

  RateLimit limit_;
  std::int64_t spacing_, depth_;  // nanoseconds: of one query, of a full bucket
  std::uint64_t seed_;
  std::vector<std::array<Bucket, ways>> rows_;
};

}  // namespace doline::resolver

#include "resolver/rate_limit.h"

#include <algorithm>

#include "base/check.h"

namespace doline::resolver {

RateTally::RateTally(const RateLimit& limit, std::uint64_t seed)
    : limit_(limit), seed_(seed | 1), rows_(rate_buckets / ways) {
  check(limit.queries > 0 && limit.queries <= rate_queries_max && limit.period.count() > 0);
  depth_ = std::chrono::nanoseconds(limit.period).count();
  spacing_ = depth_ / limit.queries;
}

bool RateTally::admit(std::uint64_t who, MonotonicTime now) {
  const std::int64_t at = now.time_since_epoch().count();
  const std::uint64_t hash = (who ^ seed_) * 0x9e3779b97f4a7c15ULL;
  auto& row = rows_[(hash >> 32) % rows_.size()];
  auto bucket = std::find_if(row.begin(), row.end(),
                             [&](const Bucket& one) { return one.who.load(std::memory_order_relaxed) == hash; });
  if (bucket == row.end()) {
    // The one that has been full for longest: nothing is forgotten by giving it to somebody else.
    bucket = std::min_element(row.begin(), row.end(), [](const Bucket& left, const Bucket& right) {
      return left.full_at.load(std::memory_order_relaxed) < right.full_at.load(std::memory_order_relaxed);
    });
    bucket->who.store(hash, std::memory_order_relaxed);
    bucket->full_at.store(at, std::memory_order_relaxed);
  }
  std::int64_t full_at = bucket->full_at.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t next = std::max(full_at, at) + spacing_;
    if (next - at > depth_) return false;
    if (bucket->full_at.compare_exchange_weak(full_at, next, std::memory_order_relaxed)) return true;
  }
}

std::uint64_t RateTally::bucket_of(const IpAddress& client) {
  if (client.is_v4()) return std::hash<IpAddress>{}(client);
  auto octets = client.mapped();
  std::fill(octets.begin() + 8, octets.end(), std::uint8_t{0});
  return std::hash<IpAddress>{}(IpAddress::from_octets(octets));
}

}  // namespace doline::resolver

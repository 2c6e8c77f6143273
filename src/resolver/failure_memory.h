// FailureMemory: which questions have just failed upstream, so that they are not asked again at once (RFC 9520). One
// worker's loop only.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/time.h"
#include "cache/cache.h"

namespace doline::resolver {

inline constexpr seconds failure_memory{2};         ///< how long a failed question is not asked again
inline constexpr std::size_t failures_max = 4'096;  ///< failed questions remembered

class FailureMemory {
 public:
  explicit FailureMemory(std::uint64_t seed) : seed_(seed) {}

  [[nodiscard]] bool has_failed_lately(const cache::Key& key, MonotonicTime now) {
    if (ends_.empty()) return false;
    const auto found = ends_.find(hash_of(key));
    if (found == ends_.end()) return false;
    if (now < found->second) return true;
    ends_.erase(found);
    return false;
  }
  void remember(const cache::Key& key, MonotonicTime now) {
    if (ends_.size() >= failures_max) std::erase_if(ends_, [&](const auto& entry) { return entry.second <= now; });
    if (ends_.size() >= failures_max) ends_.clear();
    ends_[hash_of(key)] = now + failure_memory;
  }

  void forget() { ends_.clear(); }

 private:
  /// CD counts: what fails a validating upstream's check may well be had without it.
  [[nodiscard]] std::uint64_t hash_of(const cache::Key& key) const {
    return key.question.hash(seed_ ^ (std::uint64_t{key.route} << 32 | std::uint64_t{key.checking_disabled} << 48));
  }

  const std::uint64_t seed_;
  std::unordered_map<std::uint64_t, MonotonicTime> ends_;
};

}  // namespace doline::resolver

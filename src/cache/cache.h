// Cache: upstream's words by question, until their TTL runs out (and, if wished, a while longer as stale).
//
// Owned by one worker, no locks. Bounded by octets, bookkeeping included; what is asked once does not push out what is
// asked often (S3-FIFO: a small probation queue before the main one, and a ghost list). Holds upstream's words only: no
// verdict, no client, so a policy change never flushes it. Keyed by question, the DO and CD bits, and the upstream
// route.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "base/time.h"
#include "dns/message.h"
#include "dns/question.h"

namespace doline::cache {

struct Options {
  std::size_t size_octets = 64 << 20;  ///< of this cache; 0: nothing is kept
  seconds stale{86'400};               ///< how long past its TTL an entry may be served when upstream fails; 0: never
  seconds min_ttl{0};
  seconds max_ttl{86'400};
  seconds max_negative_ttl{3'600};
};

struct Key {
  dns::Question question;
  bool dnssec_ok = false;
  bool checking_disabled = false;
  std::uint16_t route = 0;  ///< upstream route asked: a split zone never answers for the public one
  std::uint64_t hash = 0;   ///< Cache::hash_of(), for all who keep things by key; 0: not known yet
  friend bool operator==(const Key&, const Key&) = default;
};

/// Borrowed from the cache until its next non-const call.
struct Hit {
  dns::Octets words;      ///< as inserted: normalised message without OPT
  std::uint8_t mark = 0;  ///< as inserted
  std::uint32_t age_seconds = 0;
  std::uint32_t ttl_left_seconds = 0;  ///< 0 where stale
  bool is_stale = false;
  bool wants_prefetch = false;  ///< under a tenth of its TTL left and asked before: refresh it now
};

struct Statistics {
  std::uint64_t entries = 0, octets = 0, hits = 0, misses = 0, stale_hits = 0, insertions = 0, evictions = 0;
};

class Cache {
 public:
  /// `seed`: random, so that senders cannot aim at buckets.
  Cache(Options options, std::uint64_t seed);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// Of the question and its bits, without regard to the name's case, nor to the route; never 0.
  [[nodiscard]] std::uint64_t hash_of(const Key& key) const;
  /// What find() of a key with this hash will read first is on its way from memory meanwhile; and what it will read
  /// then, if it was asked for the first before.
  void prefetch(std::uint64_t hash) const;
  void prefetch_entry(std::uint64_t hash) const;
  /// Fresh, or (where options allow) stale; nothing otherwise. Counts as an access.
  [[nodiscard]] std::optional<Hit> find(const Key& key, MonotonicTime now);
  /// `ttl`: of the whole answer, as upstream::accept() computed it; bounded by the options here. Zero after bounding:
  /// not kept. `mark`: what is known of the words, by whatever says nothing here. Replaces an older entry.
  void insert(const Key& key, dns::Octets words, seconds ttl, bool is_negative, MonotonicTime now,
              std::uint8_t mark = 0);
  /// Fresh words in so many buckets of the index from this one on; that is no access. Where to go on; 0: all were seen.
  [[nodiscard]] std::size_t visit(std::size_t bucket, std::size_t buckets, MonotonicTime now,
                                  const std::function<void(const Hit&)>& see) const;
  void clear();
  [[nodiscard]] const Statistics& statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::cache

#include "cache/cache.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"

namespace doline::cache {

namespace {

/// At most one bucket of the index for so many octets of cache, less than the smallest entry has, so that chains stay
/// short; and one slot of the ghost list. Together 3/32 of the cache.
constexpr std::size_t octets_per_bucket = 128;
constexpr std::size_t octets_per_ghost = 256;
/// As long as there may be more.
constexpr std::size_t buckets_per_entry = 2;
constexpr unsigned buckets_min_bits = 9;  // a page
constexpr std::size_t buckets_min = std::size_t{1} << buckets_min_bits;
/// Part of the entries' octets that what is new may use before it must prove itself.
constexpr std::size_t probation_part = 10;
constexpr std::uint8_t frequency_max = 3;
/// What malloc() adds to a block, and to what it rounds.
constexpr std::size_t block_head_octets = 8, block_step_octets = 16;
constexpr std::size_t cache_line_octets = 64, prefetched_octets = 3 * cache_line_octets;
/// What a growing cache asks of the allocator at once.
constexpr std::size_t growth_octets = 64 << 10;

enum class Place : std::uint8_t { probation, main };

struct Entry;

/// Where an entry of a chain lies, some bits of its hash, and whether another may follow it: who looks for something
/// else seldom has to go there and see, which costs as much as all else in a look-up.
class Link {
 public:
  static constexpr unsigned tag_bits = 18;

  Link() = default;
  Link(Entry& entry, std::uint64_t hash, bool has_more)
      : word_(reinterpret_cast<std::uintptr_t>(&entry) << shift | tag_of(hash) << 1 | (has_more ? 1u : 0u)) {
    check(reinterpret_cast<std::uintptr_t>(&entry) >> (64 - shift) == 0);
  }

  explicit operator bool() const { return word_ != 0; }
  [[nodiscard]] Entry& entry() const {
    return *reinterpret_cast<Entry*>(static_cast<std::uintptr_t>(word_ >> (tag_bits + 1) << 3));
  }
  [[nodiscard]] bool may_be_of(std::uint64_t hash) const { return (word_ >> 1 & tag_mask) == tag_of(hash); }
  /// Of a bucket's number; those that more buckets than the fewest need.
  [[nodiscard]] bool has_bucket_bit(std::uint64_t bit) const {
    return ((word_ >> 1 & tag_mask) << buckets_min_bits & bit) != 0;
  }
  [[nodiscard]] bool has_more() const { return (word_ & 1) != 0; }
  [[nodiscard]] Link with_more(bool has_more) const {
    Link link;
    link.word_ = (word_ & ~std::uint64_t{1}) | (has_more ? 1u : 0u);
    return link;
  }
  /// The next in the chain.
  [[nodiscard]] inline Link next() const;

 private:
  static constexpr unsigned shift = tag_bits + 1 - 3;  // an entry's address ends in three bits 0
  static constexpr std::uint64_t tag_mask = (std::uint64_t{1} << tag_bits) - 1;
  static std::uint64_t tag_of(std::uint64_t hash) { return hash >> (1 + buckets_min_bits) & tag_mask; }

  std::uint64_t word_ = 0;
};
constexpr std::size_t buckets_max = std::size_t{1} << (buckets_min_bits + Link::tag_bits);

/// Followed in its block by the QNAME (small letters) and the words.
struct Entry {
  Link chained;  // next in its bucket, where the link to this says that it has more
  Entry* newer = nullptr;
  Entry* older = nullptr;
  std::uint64_t hash = 0;
  MonotonicTime inserted;
  std::uint32_t ttl_seconds = 0;
  std::uint16_t words_octets = 0;
  dns::RecordType qtype{};
  dns::RecordClass qclass{};
  std::uint16_t route = 0;
  std::uint8_t qname_octets = 0;
  bool dnssec_ok = false;
  bool checking_disabled = false;
  Place place = Place::probation;
  std::uint8_t frequency = 0;  // accesses, counted to frequency_max and down again by main's second chances
  bool was_asked = false;
  bool was_hinted = false;
  std::uint8_t mark = 0;  // of the words

  [[nodiscard]] std::uint8_t* qname() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  [[nodiscard]] std::uint8_t* words() { return qname() + qname_octets; }
  [[nodiscard]] std::size_t octets() const { return octets_of(qname_octets + std::size_t{words_octets}); }

  static std::size_t octets_of(std::size_t payload) {
    const std::size_t block = block_head_octets + sizeof(Entry) + payload;
    return (block + block_step_octets - 1) / block_step_octets * block_step_octets;
  }
};

Link Link::next() const {
  return has_more() ? entry().chained : Link();
}

struct Queue {
  Entry* newest = nullptr;
  Entry* oldest = nullptr;
  std::size_t octets = 0, entries = 0;

  void push(Entry& entry) {
    entry.newer = nullptr;
    entry.older = newest;
    (newest ? newest->newer : oldest) = &entry;
    newest = &entry;
    octets += entry.octets();
    ++entries;
  }
  void remove(Entry& entry) {
    (entry.newer ? entry.newer->older : newest) = entry.older;
    (entry.older ? entry.older->newer : oldest) = entry.newer;
    octets -= entry.octets();
    --entries;
  }
  void replace(Entry& before, Entry& entry) {
    entry.newer = before.newer;
    entry.older = before.older;
    (entry.newer ? entry.newer->older : newest) = &entry;
    (entry.older ? entry.older->newer : oldest) = &entry;
    octets += entry.octets() - before.octets();
  }
};

struct Released {
  void operator()(void* block) const { std::free(block); }
};
/// Zeroes, whose pages cost nothing until they are used; null where there is no memory for them.
template <class T>
using Table = std::unique_ptr<T[], Released>;

template <class T>
Table<T> make_table(std::size_t count) {
  return Table<T>(static_cast<T*>(std::calloc(count, sizeof(T))));
}

/// Chains of entries by their hash, in a table that grows by a bucket at a time (linear hashing: Litwin, VLDB 1980): it
/// uses no more memory than its entries need, and no query waits until all others have moved.
class Index {
 public:
  Index() = default;
  /// `buckets`: a power of two, at most.
  explicit Index(std::size_t buckets)
      : buckets_(make_table<Link>(buckets)), max_(buckets), count_(std::min(buckets_min, buckets)), mask_(count_ - 1) {}

  [[nodiscard]] bool has_memory() const { return buckets_ != nullptr; }
  [[nodiscard]] std::size_t count() const { return has_memory() ? count_ : 0; }
  /// Growing moves entries only to the end: who looks at chain after chain meanwhile misses none.
  [[nodiscard]] Link chain(std::size_t bucket) const { return buckets_[bucket]; }
  [[nodiscard]] Link& chain_of(std::uint64_t hash) {
    const std::uint64_t bucket = hash >> 1 & mask_;
    return buckets_[bucket < count_ ? bucket : bucket & mask_ >> 1];
  }
  void add(Entry& entry) {
    Link& chain = chain_of(entry.hash);
    entry.chained = chain;
    chain = Link(entry, entry.hash, static_cast<bool>(chain));
  }
  void grow_for(std::size_t entries) {
    const std::size_t wanted = std::min(entries * buckets_per_entry, max_);
    if (count_ >= wanted) return;
    while (count_ < wanted) split();
    // Of the chains that are split next: what is not looked up is not near.
    for (std::size_t ahead = 0; ahead < buckets_per_entry; ++ahead)
      if (const Link next = buckets_[(count_ + ahead) & mask_ >> 1]; next.has_more()) __builtin_prefetch(&next.entry());
  }

 private:
  /// A chain that is being made.
  struct End {
    Link* link;  // where its last one stands, or its first will
    void add(Link more) {
      if (*link) {
        *link = link->with_more(true);
        link = &link->entry().chained;
      }
      *link = more.with_more(false);
    }
  };
  /// The next bucket takes those entries that until now stood for want of it in another.
  void split() {
    if (count_ > mask_) mask_ = mask_ << 1 | 1;
    const std::uint64_t bit = (mask_ >> 1) + 1;
    End staying{&buckets_[count_ & mask_ >> 1]}, moving{&buckets_[count_]};
    for (Link rest = std::exchange(*staying.link, {}); rest;) {
      const Link one = std::exchange(rest, rest.next());
      (one.has_bucket_bit(bit) ? moving : staying).add(one);
    }
    ++count_;
  }

  Table<Link> buckets_;
  std::size_t max_ = 0, count_ = 0;
  std::uint64_t mask_ = 0;  // of the power of two that the count grows to
};

/// What left probation unproven: fingerprints with the time of leaving, counted in leavings. A fingerprint that is
/// forgotten early, or taken for another's, costs one place in the wrong queue.
class GhostList {
 public:
  GhostList() = default;
  explicit GhostList(std::size_t slots)
      : buckets_(make_table<Bucket>(std::max<std::size_t>(1, slots / std::tuple_size_v<Bucket>))),
        mask_(std::max<std::size_t>(1, slots / std::tuple_size_v<Bucket>) - 1) {}

  [[nodiscard]] static constexpr std::size_t octets(std::size_t slots) {
    return std::max<std::size_t>(1, slots / std::tuple_size_v<Bucket>) * sizeof(Bucket);
  }

  [[nodiscard]] bool has_memory() const { return buckets_ != nullptr; }
  void add(std::uint64_t hash) {
    Bucket& bucket = bucket_of(hash);
    ++leavings_;
    const auto oldest = std::max_element(bucket.begin(), bucket.end(),
                                         [&](const Slot& left, const Slot& right) { return age(left) < age(right); });
    *oldest = {fingerprint(hash), leavings_};
  }
  /// Whether it left among the last `leavings_max`; then it is forgotten.
  [[nodiscard]] bool take(std::uint64_t hash, std::size_t leavings_max) {
    if (leavings_ == 0) return false;  // and no page of it is used
    for (Slot& slot : bucket_of(hash)) {
      if (slot.fingerprint != fingerprint(hash)) continue;
      const bool is_recent = age(slot) < leavings_max;
      slot = {};
      return is_recent;
    }
    return false;
  }

 private:
  struct Slot {
    std::uint32_t fingerprint = 0;  // 0: free
    std::uint32_t left_at = 0;
  };
  using Bucket = std::array<Slot, 4>;

  static std::uint32_t fingerprint(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32) | 1; }
  [[nodiscard]] std::uint32_t age(const Slot& slot) const {
    return slot.fingerprint == 0 ? UINT32_MAX : leavings_ - slot.left_at;
  }
  Bucket& bucket_of(std::uint64_t hash) { return buckets_[hash >> 1 & mask_]; }

  Table<Bucket> buckets_;
  std::uint64_t mask_ = 0;
  std::uint32_t leavings_ = 0;
};

}  // namespace

/// S3-FIFO (Yang et al., SOSP 2023): new entries queue in probation; asked again before they reach its end, they move
/// to main, else only their fingerprint is kept, and main takes them if they come back soon. Main gives an entry as
/// many further rounds as it was asked for, up to frequency_max.
struct Cache::Impl {
  Impl(Options options_in, std::uint64_t seed_in) : options(options_in), seed(seed_in) {
    options.stale = std::clamp(options.stale, seconds(0), seconds(INT32_MAX));
    const std::size_t buckets = std::min(std::bit_floor(options.size_octets / octets_per_bucket), buckets_max);
    const std::size_t slots = std::bit_floor(options.size_octets / octets_per_ghost);
    const std::size_t fixed_octets = buckets * sizeof(Link) + GhostList::octets(slots);
    if (slots == 0 || fixed_octets >= options.size_octets) return;  // too small for anything
    ghosts = GhostList(slots);
    if (!ghosts.has_memory()) return;
    index = Index(buckets);
    if (!index.has_memory()) return;
    room = options.size_octets - fixed_octets;
    statistics.octets = fixed_octets;
  }
  ~Impl() { clear(); }

  [[nodiscard]] std::uint64_t hash_of(const Key& key) const {
    const std::uint64_t kind = (key.checking_disabled ? 2u : 0u) | (key.dnssec_ok ? 1u : 0u);
    return key.question.hash(seed ^ kind * 0xd6e8feb86659fd93ULL) | 1;
  }
  [[nodiscard]] std::uint64_t known_hash(const Key& key) const { return key.hash != 0 ? key.hash : hash_of(key); }

  static bool is_for(Entry& entry, const Key& key) {
    const dns::Question& question = key.question;
    if (entry.qtype != question.qtype || entry.qclass != question.qclass || entry.route != key.route ||
        entry.dnssec_ok != key.dnssec_ok || entry.checking_disabled != key.checking_disabled ||
        entry.qname_octets != question.qname.size())
      return false;
    return std::memcmp(entry.qname(), question.qname.wire().data(), entry.qname_octets) == 0 ||
           std::memcmp(entry.qname(), question.qname.lowered().wire().data(), entry.qname_octets) == 0;
  }

  /// Where the link to the entry stands; null where there is none.
  Link* find_link(const Key& key, std::uint64_t hash) {
    Link* link = &index.chain_of(hash);
    for (; *link; link = &link->entry().chained) {
      if (link->may_be_of(hash) && link->entry().hash == hash && is_for(link->entry(), key)) return link;
      if (!link->has_more()) break;
    }
    return nullptr;
  }
  Link& link_to(const Entry& entry) {
    Link* link = &index.chain_of(entry.hash);
    while (&link->entry() != &entry) link = &link->entry().chained;
    return *link;
  }

  [[nodiscard]] Queue& queue_of(const Entry& entry) { return entry.place == Place::main ? main : probation; }

  static std::chrono::nanoseconds age_of(const Entry& entry, MonotonicTime now) {
    return std::max(now - entry.inserted, std::chrono::nanoseconds(0));
  }
  [[nodiscard]] bool is_dead(const Entry& entry, MonotonicTime now) const {
    return age_of(entry, now) >= seconds(entry.ttl_seconds) + options.stale;
  }

  static Hit hit_of(Entry& entry, std::chrono::nanoseconds age) {
    Hit hit;
    hit.words = {entry.words(), entry.words_octets};
    hit.mark = entry.mark;
    hit.age_seconds = static_cast<std::uint32_t>(std::chrono::floor<seconds>(age).count());
    hit.is_stale = age >= seconds(entry.ttl_seconds);
    if (!hit.is_stale) hit.ttl_left_seconds = entry.ttl_seconds - hit.age_seconds;
    return hit;
  }

  std::optional<Hit> find(const Key& key, MonotonicTime now) {
    const Link* const link = index.has_memory() ? find_link(key, known_hash(key)) : nullptr;
    Entry* entry = link ? &link->entry() : nullptr;
    if (entry && is_dead(*entry, now)) {
      remove(*entry);
      entry = nullptr;
    }
    if (!entry) {
      ++statistics.misses;
      return std::nullopt;
    }
    const auto age = age_of(*entry, now);
    const seconds ttl(entry->ttl_seconds);
    Hit hit = hit_of(*entry, age);
    if (hit.is_stale) {
      ++statistics.stale_hits;
    } else {
      ++statistics.hits;
      // Once: whoever refreshes it and fails has the rest of the tenth, and stale words after that.
      hit.wants_prefetch = entry->was_asked && !entry->was_hinted && (ttl - age) * 10 < ttl;
      entry->was_hinted |= hit.wants_prefetch;
    }
    entry->was_asked = true;
    if (entry->frequency < frequency_max) ++entry->frequency;
    return hit;
  }

  void insert(const Key& key, dns::Octets words, seconds ttl, bool is_negative, MonotonicTime now, std::uint8_t mark) {
    check(words.size() <= dns::message_octets_max);
    if (!index.has_memory()) return;
    const std::uint64_t hash = known_hash(key);
    const Link* const link = find_link(key, hash);
    Entry* const before = link ? &link->entry() : nullptr;
    const seconds bounded = bound(ttl, is_negative);
    const std::size_t octets = Entry::octets_of(key.question.qname.size() + words.size());
    if (bounded <= seconds(0) || octets > room) {
      if (before) remove(*before);  // there are newer words than these, though we may not keep them
      return;
    }
    if (statistics.octets >= grown) grow_ahead();
    Entry& entry = make(key, hash, words);
    entry.inserted = now;
    entry.mark = mark;
    entry.ttl_seconds = static_cast<std::uint32_t>(bounded.count());
    ++statistics.insertions;
    if (before) {
      take_over(*before, entry);
    } else {
      entry.place = ghosts.take(hash, statistics.entries) ? Place::main : Place::probation;
      queue_of(entry).push(entry);
      index.grow_for(++statistics.entries);
      index.add(entry);
      statistics.octets += octets;
    }
    while (probation.octets + main.octets > room) make_room(entry, now);
  }

  [[nodiscard]] seconds bound(seconds ttl, bool is_negative) const {
    // RFC 2308 §5: a negative answer without SOA comes with 0 and is not to be cached, whatever `min_ttl`.
    if (is_negative && ttl <= seconds(0)) return seconds(0);
    const seconds most = is_negative ? std::min(options.max_ttl, options.max_negative_ttl) : options.max_ttl;
    return std::min({std::max(ttl, options.min_ttl), most, seconds(INT32_MAX)});
  }

  /// By itself the allocator takes memory from the system page by page, with a system call for each: what is taken and
  /// given back at once stays with it, and costs no page before it is used.
  void grow_ahead() {
    ::operator delete(::operator new(growth_octets));
    grown = statistics.octets + growth_octets;
  }

  static Entry& make(const Key& key, std::uint64_t hash, dns::Octets words) {
    const dns::Question& question = key.question;
    void* const block = ::operator new(sizeof(Entry) + question.qname.size() + words.size());
    Entry& entry = *new (block) Entry;
    entry.hash = hash;
    entry.words_octets = static_cast<std::uint16_t>(words.size());
    entry.qtype = question.qtype;
    entry.qclass = question.qclass;
    entry.route = key.route;
    entry.qname_octets = static_cast<std::uint8_t>(question.qname.size());
    entry.dnssec_ok = key.dnssec_ok;
    entry.checking_disabled = key.checking_disabled;
    std::memcpy(entry.qname(), question.qname.lowered().wire().data(), entry.qname_octets);
    if (!words.empty()) std::memcpy(entry.words(), words.data(), words.size());
    return entry;
  }

  /// Newer words for the same key keep the place and the fame of the older ones.
  void take_over(Entry& before, Entry& entry) {
    entry.place = before.place;
    entry.frequency = before.frequency;
    entry.was_asked = before.was_asked;
    entry.chained = before.chained;
    Link& link = link_to(before);
    link = Link(entry, entry.hash, link.has_more());
    statistics.octets += entry.octets() - before.octets();
    queue_of(before).replace(before, entry);
    release(before);
  }

  /// One step of eviction; `newcomer` stays.
  void make_room(const Entry& newcomer, MonotonicTime now) {
    const bool is_probation_full =
        probation.octets > room / probation_part && probation.oldest != &newcomer;  // it may be larger than that
    if (is_probation_full || main.entries == 0 || (main.entries == 1 && main.oldest == &newcomer)) {
      Entry& entry = *probation.oldest;
      if (&entry == &newcomer || (entry.frequency > 0 && !is_dead(entry, now))) {
        move_to_main(entry);
        return;
      }
      ghosts.add(entry.hash);
      evict(entry);
      return;
    }
    Entry& entry = *main.oldest;
    if (&entry == &newcomer || (entry.frequency > 0 && !is_dead(entry, now))) {
      if (entry.frequency > 0) --entry.frequency;
      main.remove(entry);
      main.push(entry);
      return;
    }
    evict(entry);
  }

  void move_to_main(Entry& entry) {
    probation.remove(entry);
    entry.place = Place::main;
    entry.frequency = 0;
    main.push(entry);
  }
  void evict(Entry& entry) {
    ++statistics.evictions;
    remove(entry);
  }
  void remove(Entry& entry) {
    Link& link = link_to(entry);
    link = link.next();
    queue_of(entry).remove(entry);
    --statistics.entries;
    statistics.octets -= entry.octets();
    release(entry);
  }
  static void release(Entry& entry) { ::operator delete(&entry); }

  std::size_t visit(std::size_t bucket, std::size_t buckets, MonotonicTime now,
                    const std::function<void(const Hit&)>& see) const {
    const std::size_t count = index.count(), end = std::min(count, bucket + buckets);
    for (; bucket < end; ++bucket)
      for (Link link = index.chain(bucket); link; link = link.next())
        if (const Hit hit = hit_of(link.entry(), age_of(link.entry(), now)); !hit.is_stale) see(hit);
    return bucket < count ? bucket : 0;
  }

  void clear() {
    for (Queue* queue : {&probation, &main})
      while (queue->oldest) remove(*queue->oldest);
  }

  Options options;
  std::uint64_t seed;
  Index index;
  std::size_t room = 0;   // for entries
  std::size_t grown = 0;  // octets for which memory has been taken once
  Queue probation, main;
  GhostList ghosts;
  Statistics statistics;
};

Cache::Cache(Options options, std::uint64_t seed) : impl_(std::make_unique<Impl>(options, seed)) {}
Cache::~Cache() = default;

std::uint64_t Cache::hash_of(const Key& key) const {
  return impl_->hash_of(key);
}
void Cache::prefetch(std::uint64_t hash) const {
  if (impl_->index.has_memory()) __builtin_prefetch(&impl_->index.chain_of(hash));
}
void Cache::prefetch_entry(std::uint64_t hash) const {
  if (!impl_->index.has_memory()) return;
  const Link link = impl_->index.chain_of(hash);
  if (!link || !link.may_be_of(hash)) return;
  // Its head, its name and the beginning of its words; of large ones the processor itself brings the rest.
  const auto at = reinterpret_cast<std::uintptr_t>(&link.entry());
  for (std::size_t octets = 0; octets < prefetched_octets; octets += cache_line_octets)
    __builtin_prefetch(reinterpret_cast<const void*>(at + octets));
}
std::optional<Hit> Cache::find(const Key& key, MonotonicTime now) {
  return impl_->find(key, now);
}
void Cache::insert(const Key& key, dns::Octets words, seconds ttl, bool is_negative, MonotonicTime now,
                   std::uint8_t mark) {
  impl_->insert(key, words, ttl, is_negative, now, mark);
}
std::size_t Cache::visit(std::size_t bucket, std::size_t buckets, MonotonicTime now,
                         const std::function<void(const Hit&)>& see) const {
  return impl_->visit(bucket, buckets, now, see);
}
void Cache::clear() {
  impl_->clear();
}
const Statistics& Cache::statistics() const {
  return impl_->statistics;
}

}  // namespace doline::cache

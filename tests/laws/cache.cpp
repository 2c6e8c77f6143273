// What must hold for every order of insertions and look-ups: the cache says what a plain map says or nothing, never
// makes a TTL longer, stays within its octets, and keeps what is asked often though much is asked once.
#include "cache/cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "seeded.h"

using namespace doline;
using namespace doline::cache;

namespace {

constexpr MonotonicTime start{std::chrono::hours(1)};

Key numbered(std::size_t number, std::size_t kind = 0) {
  Key key;
  key.question.qname = dns::Name::parse("n" + std::to_string(number) + ".example").value();
  key.question.qtype = (kind & 1) != 0 ? dns::RecordType::aaaa : dns::RecordType::a;
  key.dnssec_ok = (kind & 2) != 0;
  key.checking_disabled = (kind & 4) != 0;
  key.route = static_cast<std::uint16_t>(kind >> 3);
  return key;
}

struct Told {
  std::vector<std::uint8_t> words;
  seconds ttl{0};
  MonotonicTime at;
};

}  // namespace

TEST_CASE("a cache says what a plain map says, or nothing") {
  tests::Seeded random;
  INFO(random.replay());
  for (int round = 0; round < 20; ++round) {
    const Options options{.size_octets = std::size_t{1} << random.between(9, 18),
                          .stale = seconds(random.below(3) * 30),
                          .min_ttl = seconds(random.below(2) * 5),
                          .max_ttl = seconds(random.between(10, 300)),
                          .max_negative_ttl = seconds(random.between(1, 100))};
    Cache cache(options, random());
    std::map<std::pair<std::size_t, std::size_t>, Told> told;
    MonotonicTime now = start;
    const std::size_t names = random.between(1, 500);
    std::uint64_t found = 0, missed = 0;
    for (int step = 0; step < 5'000; ++step) {
      now += milliseconds(random.below(500));
      const std::pair which{random.below(names), random.below(16)};
      const Key key = numbered(which.first, which.second);
      if (random.once_in(2)) {
        Told words{std::vector<std::uint8_t>(random.between(1, 400)), seconds(random.below(400)), now};
        for (auto& octet : words.words) octet = random.octet();
        const bool is_negative = random.once_in(3);
        cache.insert(key, words.words, words.ttl, is_negative, now);
        words.ttl = std::min({std::max(words.ttl, options.min_ttl), options.max_ttl,
                              is_negative ? options.max_negative_ttl : seconds::max()});
        told[which] = words;
      } else {
        const auto hit = cache.find(key, now);
        ++(hit ? found : missed);
        if (!hit) continue;
        REQUIRE(told.contains(which));
        const Told& last = told[which];
        REQUIRE(std::equal(hit->words.begin(), hit->words.end(), last.words.begin(), last.words.end()));
        const auto age = now - last.at;
        REQUIRE(hit->age_seconds == std::chrono::floor<seconds>(age).count());
        REQUIRE(hit->is_stale == (age >= last.ttl));
        REQUIRE(age < last.ttl + options.stale);
        REQUIRE(hit->age_seconds + hit->ttl_left_seconds == (hit->is_stale ? hit->age_seconds : last.ttl.count()));
        REQUIRE((!hit->wants_prefetch || (last.ttl - age) * 10 < last.ttl));
      }
      REQUIRE(cache.statistics().octets <= options.size_octets);
    }
    const Statistics& statistics = cache.statistics();
    CHECK(statistics.hits + statistics.stale_hits == found);
    CHECK(statistics.misses == missed);
    cache.clear();
    CHECK(cache.statistics().entries == 0);
  }
}

TEST_CASE("a cache that is large enough forgets nothing before its time") {
  tests::Seeded random;
  INFO(random.replay());
  Cache cache({.size_octets = 8 << 20, .stale = seconds(0)}, random());
  for (std::size_t number = 0; number < 10'000; ++number)
    cache.insert(numbered(number), std::vector<std::uint8_t>(random.between(12, 500)), seconds(60), false, start);
  CHECK(cache.statistics().evictions == 0);
  std::size_t found = 0;
  for (std::size_t number = 0; number < 10'000; ++number)
    found += cache.find(numbered(number), start + seconds(59)).has_value() ? 1 : 0;
  CHECK(found == 10'000);
}

TEST_CASE("names that are asked once do not push out names that are asked often") {
  tests::Seeded random;
  INFO(random.replay());
  Cache cache({.size_octets = 1 << 20}, random());
  const std::vector<std::uint8_t> words(120);
  const auto ask = [&](std::size_t number) {
    if (cache.find(numbered(number), start)) return true;
    cache.insert(numbered(number), words, seconds(3'600), false, start);
    return false;
  };
  constexpr std::size_t hot = 1'000;  // about a fifth of what fits
  for (int round = 0; round < 5; ++round)
    for (std::size_t number = 0; number < hot; ++number) (void)ask(number);
  std::size_t once = hot, asked = 0, hits = 0;
  for (int step = 0; step < 200'000; ++step) {
    if (random.once_in(10)) {
      ++asked;
      hits += ask(random.below(hot)) ? 1 : 0;
    } else {
      (void)ask(once++);
    }
  }
  INFO("hits " << hits << " of " << asked);
  CHECK(hits * 100 >= asked * 95);
}

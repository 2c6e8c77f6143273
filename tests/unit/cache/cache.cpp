#include "cache/cache.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "allocations.h"

namespace doline::cache {
namespace {

constexpr MonotonicTime start{std::chrono::hours(1000)};

Key key_of(const std::string& name, dns::RecordType type = dns::RecordType::a) {
  return {.question = {.qname = dns::Name::parse(name).value(), .qtype = type}};
}
std::vector<std::uint8_t> words_of(const std::string& text, std::size_t octets = 0) {
  std::vector<std::uint8_t> words(text.begin(), text.end());
  words.resize(std::max(octets, words.size()), 0xee);
  return words;
}
std::string text_of(const std::optional<Hit>& hit) {
  return hit ? std::string(hit->words.begin(), hit->words.end()) : "nothing";
}

TEST_CASE("what was inserted is found under its question, and ages") {
  Cache cache({}, 1);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  const auto hit = cache.find(key_of("www.example"), start + milliseconds(20'999));
  CHECK(text_of(hit) == "one");
  REQUIRE(hit.has_value());
  CHECK(hit->age_seconds == 20);
  CHECK(hit->ttl_left_seconds == 40);
  CHECK_FALSE(hit->is_stale);
  CHECK_FALSE(hit->wants_prefetch);
  CHECK(cache.statistics().hits == 1);
  CHECK(cache.statistics().entries == 1);
}

TEST_CASE("what is known of words comes back with them, and goes with them") {
  Cache cache({}, 1);
  const Key key = key_of("www.example");
  cache.insert(key, words_of("one"), seconds(60), false, start, 5);
  CHECK(cache.find(key, start)->mark == 5);
  CHECK(cache.find(key, start + seconds(90))->mark == 5);  // stale
  cache.insert(key, words_of("two"), seconds(60), false, start, 2);
  CHECK(cache.find(key, start)->mark == 2);
  cache.insert(key, words_of("two"), seconds(60), false, start);
  CHECK(cache.find(key, start)->mark == 0);
}

TEST_CASE("what was kept is found while the cache grows") {
  Cache cache({}, 1);
  const auto name = [](int number) { return "www" + std::to_string(number) + ".example"; };
  for (int count = 1; count <= 6'000; ++count) {
    cache.insert(key_of(name(count)), words_of(name(count)), seconds(60), false, start);
    CHECK(text_of(cache.find(key_of(name(count)), start)) == name(count));
    if (count % 500 != 0) continue;
    for (int number = 1; number <= count; ++number)
      CHECK(text_of(cache.find(key_of(name(number)), start)) == name(number));
    CHECK_FALSE(cache.find(key_of(name(count + 1)), start));
  }
  CHECK(cache.statistics().entries == 6'000);
}

TEST_CASE("the case of the name does not matter, all else of the key does") {
  Cache cache({}, 2);
  Key key = key_of("WWW.Example");
  key.dnssec_ok = true;
  key.route = 3;
  cache.insert(key, words_of("one"), seconds(60), false, start);
  Key asked = key_of("www.eXAMPLE");
  asked.dnssec_ok = true;
  asked.route = 3;
  CHECK(text_of(cache.find(asked, start)) == "one");
  const auto is_missed = [&](auto change) {
    Key other = asked;
    change(other);
    return !cache.find(other, start).has_value();
  };
  CHECK(is_missed([](Key& other) { other.dnssec_ok = false; }));
  CHECK(is_missed([](Key& other) { other.checking_disabled = true; }));
  CHECK(is_missed([](Key& other) { other.route = 0; }));
  CHECK(is_missed([](Key& other) { other.question.qtype = dns::RecordType::aaaa; }));
  CHECK(is_missed([](Key& other) { other.question.qclass = dns::RecordClass::chaos; }));
  CHECK(is_missed([](Key& other) { other.question.qname = dns::Name::parse("ww.example").value(); }));
  CHECK(cache.statistics().misses == 6);
}

TEST_CASE("behind its TTL an entry is stale, and behind the stale time it is gone") {
  Cache cache({.stale = seconds(100)}, 3);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  CHECK_FALSE(cache.find(key_of("www.example"), start + milliseconds(59'999))->is_stale);
  const auto stale = cache.find(key_of("www.example"), start + seconds(60));
  REQUIRE(stale.has_value());
  CHECK(stale->is_stale);
  CHECK(stale->ttl_left_seconds == 0);
  CHECK(stale->age_seconds == 60);
  CHECK(cache.find(key_of("www.example"), start + milliseconds(159'999)).has_value());
  CHECK_FALSE(cache.find(key_of("www.example"), start + seconds(160)).has_value());
  CHECK(cache.statistics().entries == 0);
  CHECK(cache.statistics().stale_hits == 2);
}

TEST_CASE("without a stale time nothing is stale") {
  Cache cache({.stale = seconds(0)}, 4);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  CHECK(cache.find(key_of("www.example"), start + milliseconds(59'999)).has_value());
  CHECK_FALSE(cache.find(key_of("www.example"), start + seconds(60)).has_value());
}

TEST_CASE("TTLs are kept within the operator's bounds") {
  Cache cache({.stale = seconds(0), .min_ttl = seconds(10), .max_ttl = seconds(100), .max_negative_ttl = seconds(20)},
              5);
  const auto left = [&](seconds ttl, bool is_negative) -> std::uint32_t {
    cache.clear();
    cache.insert(key_of("www.example"), words_of("one"), ttl, is_negative, start);
    const auto hit = cache.find(key_of("www.example"), start);
    return hit ? hit->ttl_left_seconds : 0;
  };
  CHECK(left(seconds(50), false) == 50);
  CHECK(left(seconds(1000), false) == 100);
  CHECK(left(seconds(0), false) == 10);
  CHECK(left(seconds(50), true) == 20);
  CHECK(left(seconds(5), true) == 10);
  CHECK(left(seconds(0), true) == 0);  // a negative answer without SOA
  CHECK(left(seconds(INT64_MAX / 2'000'000'000), false) == 100);
}

TEST_CASE("newer words replace older ones, and words that may not be kept remove them") {
  Cache cache({}, 6);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  cache.insert(key_of("www.example"), words_of("another"), seconds(30), false, start + seconds(10));
  const auto hit = cache.find(key_of("www.example"), start + seconds(10));
  CHECK(text_of(hit) == "another");
  CHECK(hit->ttl_left_seconds == 30);
  CHECK(cache.statistics().entries == 1);
  cache.insert(key_of("www.example"), words_of("never"), seconds(0), false, start + seconds(11));
  CHECK_FALSE(cache.find(key_of("www.example"), start + seconds(11)).has_value());
}

TEST_CASE("words may be inserted again from the cache itself") {
  Cache cache({}, 7);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  const auto hit = cache.find(key_of("www.example"), start + seconds(61));
  cache.insert(key_of("www.example"), hit->words, seconds(60), false, start + seconds(61));
  CHECK(text_of(cache.find(key_of("www.example"), start + seconds(62))) == "one");
}

TEST_CASE("a refresh is wished once, in the last tenth, and only of what was asked before") {
  Cache cache({}, 8);
  const auto wishes = [&](seconds at) { return cache.find(key_of("www.example"), start + at)->wants_prefetch; };
  cache.insert(key_of("www.example"), words_of("one"), seconds(100), false, start);
  CHECK_FALSE(wishes(seconds(95)));  // the first to ask
  CHECK(wishes(seconds(96)));
  CHECK_FALSE(wishes(seconds(97)));  // the wish was heard
  cache.insert(key_of("www.example"), words_of("two"), seconds(100), false, start + seconds(98));
  CHECK_FALSE(wishes(seconds(188)));
  CHECK(wishes(seconds(189)));
}

TEST_CASE("a cache of no octets keeps nothing") {
  for (const std::size_t octets : {0, 1, 255}) {
    Cache cache({.size_octets = octets}, 9);
    cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
    CHECK_FALSE(cache.find(key_of("www.example"), start).has_value());
    cache.clear();
    CHECK(cache.statistics().octets == 0);
  }
}

TEST_CASE("words that are larger than the cache are not kept and push nothing out") {
  Cache cache({.size_octets = 8'192}, 10);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  cache.insert(key_of("large.example"), words_of("large", 20'000), seconds(60), false, start);
  CHECK_FALSE(cache.find(key_of("large.example"), start).has_value());
  CHECK(text_of(cache.find(key_of("www.example"), start)) == "one");
}

TEST_CASE("a large entry makes room for itself, also where it replaces a small one") {
  Cache cache({.size_octets = 8'192}, 11);
  for (int i = 0; i < 20; ++i)
    cache.insert(key_of("n" + std::to_string(i)), words_of("one"), seconds(60), false, start);
  cache.insert(key_of("n0"), words_of("large", 7'000), seconds(60), false, start);
  CHECK(cache.find(key_of("n0"), start).has_value());
  cache.insert(key_of("n1"), words_of("large", 7'000), seconds(60), false, start);
  CHECK(cache.find(key_of("n1"), start).has_value());
  CHECK_FALSE(cache.find(key_of("n0"), start).has_value());
  CHECK(cache.statistics().octets <= 8'192);
}

TEST_CASE("what comes back soon after it left probation goes to main") {
  Cache cache({.size_octets = 64 << 10}, 12);
  int next = 0;
  const auto insert_strangers = [&](int count) {
    for (int i = 0; i < count; ++i)
      cache.insert(key_of("stranger" + std::to_string(next++)), words_of("x", 100), seconds(60), false, start);
  };
  insert_strangers(1'000);
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  insert_strangers(400);
  CHECK_FALSE(cache.find(key_of("www.example"), start).has_value());
  cache.insert(key_of("www.example"), words_of("one"), seconds(60), false, start);
  insert_strangers(1'000);
  CHECK(cache.find(key_of("www.example"), start).has_value());
}

TEST_CASE("clear() forgets all and counts it") {
  Cache cache({}, 13);
  const std::uint64_t empty_octets = cache.statistics().octets;
  for (int i = 0; i < 100; ++i)
    cache.insert(key_of("n" + std::to_string(i)), words_of("one"), seconds(60), false, start);
  CHECK(cache.statistics().entries == 100);
  CHECK(cache.statistics().octets > empty_octets);
  cache.clear();
  CHECK(cache.statistics().entries == 0);
  CHECK(cache.statistics().octets == empty_octets);
  CHECK_FALSE(cache.find(key_of("n1"), start).has_value());
}

TEST_CASE("chains of many entries keep and lose what is asked of them, however they are split") {
  // Eight entries a bucket and more, since the index of so small a cache does not grow beyond 512.
  Cache cache({.size_octets = 128 << 10}, 14);
  Cache growing({}, 14);
  const auto name = [](int i) { return "n" + std::to_string(i) + ".example"; };
  for (int i = 0; i < 6'000; ++i)
    for (Cache* each : {&cache, &growing}) each->insert(key_of(name(i)), words_of(name(i)), seconds(60), false, start);
  int known = 0;
  for (int i = 0; i < 6'000; ++i) {
    const auto hit = cache.find(key_of(name(i)), start);
    known += hit ? 1 : 0;
    if (hit) CHECK(text_of(hit) == name(i));
    CHECK(text_of(growing.find(key_of(name(i)), start)) == name(i));
    CHECK_FALSE(growing.find(key_of(name(i), dns::RecordType::aaaa), start).has_value());
  }
  CHECK(known == static_cast<int>(cache.statistics().entries));
  CHECK(known > 512);
  for (int i = 0; i < 6'000; i += 3) growing.insert(key_of(name(i)), {}, seconds(0), false, start);  // taken out
  for (int i = 0; i < 6'000; ++i) CHECK(growing.find(key_of(name(i)), start).has_value() == (i % 3 != 0));
}

TEST_CASE("looking ahead changes nothing") {
  Cache cache({}, 18);
  const Key known = key_of("www.example"), unknown = key_of("other.example");
  cache.insert(known, words_of("one"), seconds(60), false, start);
  for (const Key& key : {known, unknown}) {
    cache.prefetch(cache.hash_of(key));
    cache.prefetch_entry(cache.hash_of(key));
  }
  CHECK(text_of(cache.find(known, start)) == "one");
  CHECK_FALSE(cache.find(unknown, start).has_value());
  CHECK(cache.statistics().hits == 1);
  Cache nothing({.size_octets = 0}, 19);
  nothing.prefetch(1);
  nothing.prefetch_entry(1);
}

TEST_CASE("one question of two routes has two entries") {
  Cache cache({}, 20);
  Key own = key_of("www.example");
  own.route = 3;
  cache.insert(own, words_of("inside"), seconds(60), false, start);
  cache.insert(key_of("www.example"), words_of("outside"), seconds(60), false, start);
  CHECK(text_of(cache.find(own, start)) == "inside");
  CHECK(text_of(cache.find(key_of("www.example"), start)) == "outside");
}

TEST_CASE("visits see all that is fresh, part by part, and count no access") {
  Cache cache({.size_octets = 1 << 20}, 15);
  const int asked = 200;
  for (int i = 0; i < asked; ++i)
    cache.insert(key_of("n" + std::to_string(i)), words_of(std::to_string(i)), seconds(i % 2 == 0 ? 60 : 5), false,
                 start);
  std::vector<std::string> seen;
  std::size_t bucket = 0;
  int parts = 0;
  do {
    bucket = cache.visit(bucket, 100, start + seconds(10), [&](const Hit& hit) {
      seen.emplace_back(hit.words.begin(), hit.words.end());
      CHECK(hit.age_seconds == 10);
      CHECK(hit.ttl_left_seconds == 50);
    });
    ++parts;
  } while (bucket != 0);
  CHECK(parts == 6);  // of 512 buckets
  CHECK(seen.size() == asked / 2);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == asked / 2);
  CHECK(cache.statistics().hits == 0);
  CHECK(Cache({.size_octets = 0}, 16).visit(0, 1'000, start, [](const Hit&) { FAIL("nothing is kept"); }) == 0);
}

TEST_CASE("visits miss nothing that was there when they began, however the cache grows meanwhile") {
  Cache cache({}, 17);
  int kept = 0;
  const auto keep = [&](int count) {
    for (int i = 0; i < count; ++i, ++kept)
      cache.insert(key_of("n" + std::to_string(kept)), words_of(std::to_string(kept)), seconds(60), false, start);
  };
  keep(1'000);
  std::set<std::string> seen;
  std::size_t bucket = 0;
  do {
    bucket =
        cache.visit(bucket, 100, start, [&](const Hit& hit) { seen.insert({hit.words.begin(), hit.words.end()}); });
    if (kept < 3'000) keep(70);
  } while (bucket != 0);
  for (int i = 0; i < 1'000; ++i) CHECK(seen.contains(std::to_string(i)));
}

TEST_CASE("a hit allocates nothing") {
  Cache cache({}, 14);
  const Key key = key_of("www.example"), mixed = key_of("wWw.example"), other = key_of("other.example");
  cache.insert(key, words_of("one"), seconds(60), false, start);
  const std::size_t before = tests::allocations;
  std::size_t found = 0;
  for (int i = 0; i < 100; ++i)
    found += cache.find(key, start) && cache.find(mixed, start) && !cache.find(other, start);
  CHECK(tests::allocations == before);
  CHECK(found == 100);
}

}  // namespace
}  // namespace doline::cache

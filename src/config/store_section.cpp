#include <algorithm>

#include "config/sections.h"

namespace doline::config {

namespace {

using std::chrono::hours;

constexpr std::uint64_t cache_octets_max = std::uint64_t{64} << 30;
constexpr std::uint64_t log_octets_min = std::uint64_t{16} << 20;
constexpr std::uint64_t log_octets_max = std::uint64_t{1} << 50;
constexpr seconds ttl_max = hours(24 * 7);  // RFC 8767 §4 calls a week sensible

}  // namespace

void read_cache(Reading& reading, const Keys& top, Settings& settings) {
  const Node* node = top.find("cache");
  if (node == nullptr) return;
  cache::Options& cache = settings.fixed.cache;
  if (says_off(*node)) {
    cache.size_octets = 0;
    return;
  }
  const Keys keys(reading, *node, "cache");
  if (const Node* size = keys.find("size"))
    if (const auto octets = read_size(reading, *size, 0, cache_octets_max)) cache.size_octets = *octets;
  if (const Node* stale = keys.find("stale")) {
    if (says_off(*stale))
      cache.stale = seconds(0);
    else if (const auto duration = read_seconds(reading, *stale, seconds(0), ttl_max))
      cache.stale = *duration;
  }
  const auto read_ttl = [&](std::string_view key, seconds& ttl, seconds max) {
    if (const Node* value = keys.find(key))
      if (const auto duration = read_seconds(reading, *value, seconds(0), max)) ttl = *duration;
  };
  read_ttl("min_ttl", cache.min_ttl, hours(24));
  read_ttl("max_ttl", cache.max_ttl, ttl_max);
  read_ttl("max_negative_ttl", cache.max_negative_ttl, hours(24));
  if (cache.min_ttl > cache.max_ttl) reading.add(*node, "'min_ttl' is longer than 'max_ttl'");
}

void read_query_log(Reading& reading, const Keys& top, Settings& settings) {
  Fixed::QueryLog log;
  log.path = settings.fixed.state / query_log_name;
  const Node* node = top.find("querylog");
  if (node == nullptr) {
    settings.fixed.query_log = log;
    return;
  }
  if (says_off(*node)) return;
  const Keys keys(reading, *node, "querylog");
  const Node* path = keys.find("path");
  const bool is_off = path != nullptr && says_off(*path);
  if (path != nullptr && !is_off)
    if (const auto file = read_output_path(reading, *path)) log.path = *file;
  if (const Node* answers = keys.find("answers")) log.answers = read_bool(reading, *answers).value_or(true);
  if (const Node* keep = keys.find("keep"))
    if (const auto duration = read_seconds(reading, *keep, hours(1), hours(24 * 3'660)))
      settings.live.log_keep = *duration;
  if (const Node* size = keys.find("max_size"))
    if (const auto octets = read_size(reading, *size, log_octets_min, log_octets_max))
      settings.live.log_max_size_octets = *octets;
  if (!is_off) settings.fixed.query_log = std::move(log);
}

}  // namespace doline::config

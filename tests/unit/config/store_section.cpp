#include <doctest/doctest.h>

#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::seconds;
using std::chrono::hours;

TEST_CASE("The cache has a size, and limits to how long it believes") {
  const Settings settings =
      settings_of("cache: {size: 16MiB, stale: 12h, min_ttl: 30s, max_ttl: 2d, max_negative_ttl: 5m}\n");
  const auto& cache = settings.fixed.cache;
  CHECK(cache.size_octets == std::size_t{16} << 20);
  CHECK(cache.stale == hours(12));
  CHECK(cache.min_ttl == seconds(30));
  CHECK(cache.max_ttl == hours(48));
  CHECK(cache.max_negative_ttl == seconds(300));
  CHECK(settings_of("cache: off\n").fixed.cache.size_octets == 0);
  CHECK(settings_of("cache: {size: 0}\n").fixed.cache.size_octets == 0);
  CHECK(settings_of("cache: {stale: off}\n").fixed.cache.stale == seconds(0));
  CHECK(problems_of("cache: {min_ttl: 2h, max_ttl: 1h}\n") == "2:8: 'min_ttl' is longer than 'max_ttl'\n");
  CHECK(problems_of("cache: {max_ttl: 1500ms}\n") == "2:18: '1500ms' is not a whole number of seconds\n");
}

TEST_CASE("The query log is kept unless it is turned off") {
  const Settings usual = settings_of("");
  REQUIRE(usual.fixed.query_log.has_value());
  CHECK(usual.fixed.query_log->path == "/var/lib/doline/doline.db");
  CHECK(usual.fixed.query_log->answers);
  CHECK(usual.live.log_keep == hours(24 * 90));
  const Settings own = settings_of("querylog: {path: /srv/log.db, keep: 30d, max_size: 500MB, answers: false}\n");
  CHECK(own.fixed.query_log->path == "/srv/log.db");
  CHECK_FALSE(own.fixed.query_log->answers);
  CHECK(own.live.log_keep == hours(24 * 30));
  CHECK(own.live.log_max_size_octets == 500'000'000);
  CHECK_FALSE(settings_of("querylog: off\n").fixed.query_log.has_value());
  CHECK_FALSE(settings_of("querylog: {path: off}\n").fixed.query_log.has_value());
  CHECK(problems_of("querylog: {max_size: 1MiB}\n") == "2:22: '1MiB' is out of range; 16MiB to 1024TiB would do\n");
}

TEST_CASE("A log that is turned off is judged all the same") {
  CHECK_FALSE(problems_of("querylog: {path: off, keep: soon}\n").empty());
}

#include "config/keys.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using When = KnownKey::When;

TEST_CASE("Every unknown key is told, with the nearest known one") {
  CHECK(problems_of("upsteams: {}\nfoo: 1\n") ==
        "2:1: unknown key 'upsteams' in the top level; did you mean 'upstreams'?\n"
        "3:1: unknown key 'foo' in the top level\n");
  CHECK(problems_of("lists: {a: {fil: x, file: y}}\n") ==
        "2:13: unknown key 'fil' in 'lists.*'; did you mean 'file'?\n");
  CHECK(problems_of("rules: [{whne: {}, then: drop}]\n") ==
        "2:10: unknown key 'whne' in 'rules.*'; did you mean 'when'?\n");
}

TEST_CASE("A name of the table with a dot in it is no key") {
  CHECK(problems_of("cache.size: 1MiB\n").starts_with("2:1: unknown key 'cache.size' in the top level"));
  CHECK(problems_of("upstreams.*.servers: 1\n").starts_with("2:1: unknown key"));
}

TEST_CASE("What is not in this build yet is refused with its line, never ignored") {
  CHECK(problems_of("dashboard: {listen: 127.0.0.1:5380}\n") ==
        "2:1: 'dashboard' is not in this build yet; take it out, or this file is not used\n");
  CHECK(problems_of("dnssec: {validate: true}\n").find("not in this build yet") != std::string::npos);
  CHECK(problems_of("client_subnet: send\n") ==
        "2:1: 'client_subnet' other than strip is not in this build yet; take it out, or this file is not used\n");
}

TEST_CASE("What is not in this build yet may ask for nothing but what this build does") {
  CHECK(problems_of("dashboard: {listen: off}\nclient_subnet: strip\nrate_limit: unlimited\nflows: {watch: false}\n"
                    "dnssec: {validate: no}\nrebinding: {protect: false, allow: []}\nalerts: []\n"
                    "cache: {prefetch: true, save: false}\nexport:\n") == "");
}

TEST_CASE("Keys within what is not in this build yet are judged all the same") {
  CHECK(problems_of("dashboard: {liste: 127.0.0.1:5380}\n")
            .find("2:13: unknown key 'liste' in 'dashboard'; did you mean 'listen'?") != std::string::npos);
  CHECK(problems_of("alerts: [{on: new_country, too: x}]\n").find("unknown key 'too'") != std::string::npos);
}

TEST_CASE("A list or a word where keys belong is told") {
  CHECK(problems_of("cache: [1]\n") == "2:8: expected keys and values as 'cache', not a list\n");
  CHECK(problems_of("querylog: /var/lib/x.db\n") ==
        "2:11: expected keys and values as 'querylog', not '/var/lib/x.db'\n");
  CHECK(problems_of("lists: [a, b]\n") == "2:8: expected names of lists, each with its value\n");
}

TEST_CASE("The table has each key once, and the key above it") {
  std::set<std::string_view> seen;
  for (const KnownKey& key : known_keys()) {
    CAPTURE(key.path);
    CHECK(seen.insert(key.path).second);
    const auto dot = key.path.rfind('.');
    if (dot == std::string_view::npos) continue;
    std::string_view above = key.path.substr(0, dot);
    if (above.ends_with(".*")) above.remove_suffix(2);
    CHECK(seen.contains(above));
    CHECK((key.does.empty() || key.when == When::not_yet));
  }
}

TEST_CASE("Every key is described in config/README.md, and says what the table says of it") {
  std::ifstream stream(DOLINE_SOURCE_DIR "/config/README.md");
  REQUIRE(stream.is_open());
  const std::string reference{std::istreambuf_iterator<char>(stream), {}};
  std::size_t rows = 0;
  for (std::size_t at = reference.find("\n| `"); at != std::string::npos; at = reference.find("\n| `", at + 1)) ++rows;
  CHECK(rows == known_keys().size());
  for (const KnownKey& key : known_keys()) {
    CAPTURE(key.path);
    const auto row = reference.find("\n| `" + std::string(key.path) + "` |");
    REQUIRE(row != std::string::npos);
    const std::string line = reference.substr(row + 1, reference.find('\n', row + 1) - row - 1);
    const std::string last = key.when == When::live      ? "| live |"
                             : key.when == When::restart ? "| restart |"
                                                         : "| not yet |";
    CHECK(line.ends_with(last));
  }
}

#include "blocklist/pattern_set.h"

#include <doctest/doctest.h>

#include <random>

#include "blocklist/expression.h"

using namespace doline;
using namespace doline::blocklist;

namespace {

dns::Name name(std::string_view text) {
  const auto parsed = dns::Name::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

}  // namespace

TEST_CASE("All expressions that match are told, with literals and without") {
  const std::vector<std::string_view> expressions{R"((^|\.)ads\.example$)", "^[a-z]{3}[0-9]{2}$", "stats", "(", "^x",
                                                  "STATS\\.EXAMPLE"};
  const PatternSet set(expressions);
  using Numbers = std::vector<std::uint32_t>;
  CHECK(set.match(name("ads.example")) == Numbers{0});
  CHECK(set.match(name("a.ads.example")) == Numbers{0});
  CHECK(set.match(name("bads.example")).empty());
  CHECK(set.match(name("abc12")) == Numbers{1});
  CHECK(set.match(name("xstats.example")) == Numbers{2, 4, 5});
  CHECK(set.match(name(".")).empty());
  CHECK(set.match(name("example")).empty());
}

TEST_CASE("A set tells what each of its expressions tells alone") {
  std::mt19937 random(7);
  const std::vector<std::string> parts{"ads", "track", "[0-9]+", ".*", "\\.", "(a|b)", "x?", "stat[sz]", "^", "$", "-"};
  std::vector<std::string> texts;
  for (int count = 0; count < 300; ++count) {
    std::string text;
    for (unsigned part = 0; part < 1 + random() % 5; ++part) text += parts[random() % parts.size()];
    texts.push_back(text);
  }
  const std::vector<std::string_view> expressions(texts.begin(), texts.end());
  const PatternSet set(expressions);
  const std::vector<std::string> words{"ads", "track", "17", "a", "b", "x", "stats", "statz", "www", "-", "example"};
  std::size_t matches_found = 0;
  for (int count = 0; count < 300; ++count) {
    std::string text;
    for (unsigned word = 0; word < 1 + random() % 6; ++word) {
      text += words[random() % words.size()];
      if (random() % 2 == 0) text += '.';
    }
    const auto asked = dns::Name::parse(text);
    if (!asked) continue;
    std::vector<std::uint32_t> expected;
    for (std::uint32_t at = 0; at < texts.size(); ++at)
      if (const auto alone = Expression::compile(texts[at]); alone && (*alone)->finds(*asked)) expected.push_back(at);
    CAPTURE(text);
    CHECK(set.match(*asked) == expected);
    matches_found += expected.size();
  }
  CHECK(matches_found > 1000);
}

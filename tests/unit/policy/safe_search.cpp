#include "policy/safe_search.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace doline::policy;
using doline::dns::Name;

TEST_CASE("every engine leads its names to one that is none of them") {
  std::set<std::string_view> words;
  for (const SafeEngine& engine : safe_engines()) {
    CHECK(words.insert(engine.word).second);
    const auto target = Name::parse(engine.target);
    REQUIRE(target);
    const auto names = names_of(engine);
    CHECK_FALSE(names.empty());
    for (const Name& name : names) CHECK_FALSE(name == *target);
  }
  for (const char* word : {"google", "bing", "duckduckgo", "youtube", "youtube-moderate", "yandex", "brave"})
    CHECK(words.contains(word));
}

TEST_CASE("Google's names are those of all its countries, each once") {
  const auto engine = std::find_if(safe_engines().begin(), safe_engines().end(),
                                   [](const SafeEngine& one) { return one.word == "google"; });
  std::set<std::string> names;
  for (const Name& name : names_of(*engine)) CHECK(names.insert(name.to_string()).second);
  CHECK(names.size() > 360);
  for (const char* name : {"www.google.com", "google.de", "www.google.co.uk", "www.google.com.br", "google.vg"})
    CHECK(names.contains(name));
}

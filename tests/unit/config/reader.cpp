#include "config/reader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::config::Kind;

TEST_CASE("The configuration that all parts of the project share is known, key by key") {
  const auto file = shared_file("doline.yml");
  if (file.empty()) return;
  const auto settings = read_settings(file);
  // What this build cannot do yet is said; nothing in it is a mistake.
  REQUIRE_FALSE(settings.has_value());
  for (const Problem& problem : settings.error()) {
    CAPTURE(to_text(problem));
    CHECK(problem.kind == Kind::not_yet);
    CHECK(problem.line > 0);
  }
}

// What the operator is told of a file with mistakes, word for word: config/NAME.yml and beside it config/NAME.txt.
#include <doctest/doctest.h>

#include <string>

#include "config/reader.h"
#include "golden/golden.h"

using namespace doline::config;
using doline::tests::is_golden;

TEST_CASE("What is wrong with a configuration is told in the golden words") {
  for (const std::string name : {"keys", "values", "not-yet", "not-yaml", "hostile"}) {
    CAPTURE(name);
    std::ifstream stream(DOLINE_SOURCE_DIR "/tests/golden/config/" + name + ".yml", std::ios::binary);
    REQUIRE(stream.is_open());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const auto settings = read_settings_text(text, name + ".yml");
    REQUIRE_FALSE(settings.has_value());
    std::string told;
    for (const Problem& problem : settings.error()) told += to_text(problem);
    CHECK(is_golden("config/" + name + ".txt", told));
  }
}

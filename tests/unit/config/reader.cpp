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

TEST_CASE("The configuration that Doline comes with has nothing wrong with it, on any machine") {
  const auto settings = read_settings(DOLINE_SOURCE_DIR "/config/doline.yml");
  if (!settings)
    for (const Problem& problem : settings.error()) MESSAGE(to_text(problem));
  REQUIRE(settings.has_value());
  REQUIRE(settings->fixed.listen.size() == 2);
  CHECK(settings->fixed.listen[0].to_string() == "0.0.0.0:53");
  CHECK(settings->fixed.listen[1].to_string() == "[::]:53");
  CHECK(settings->fixed.user.empty());
  CHECK_FALSE(settings->fixed.redirect.has_value());
  CHECK(std::filesystem::exists(settings->live.resolver_list));
  REQUIRE(settings->live.lists.size() == 1);
  CHECK(std::filesystem::exists(settings->live.lists[0].file));
}

TEST_CASE("What stands in the default configuration behind # is right too") {
  std::ifstream stream(DOLINE_SOURCE_DIR "/config/doline.yml");
  std::string text, line;
  // An example is a line whose # is not followed by a blank, or by two and more: prose has one.
  while (std::getline(stream, line)) {
    const bool is_example = line.size() > 2 && line[0] == '#' && (line[1] != ' ' || line[2] == ' ');
    text += (is_example && !line.starts_with("#   doline") ? line.substr(1) : line) + "\n";
  }
  const auto settings = read_settings_text(text, DOLINE_SOURCE_DIR "/config/doline.yml");
  if (!settings)
    for (const Problem& problem : settings.error()) MESSAGE(to_text(problem));
  REQUIRE(settings.has_value());
  CHECK(settings->live.upstream.routes.size() == 2);
  CHECK(settings->live.lists.size() == 5);
  CHECK(settings->live.devices.size() == 3);
  CHECK(settings->live.policy.rules.size() == 7);
  CHECK(settings->fixed.redirect.has_value());
}

TEST_CASE("All problems are told, not only the first, in the order of the file") {
  CHECK(problems_of("workers: many\nfoo: 1\nlists: {a: {file: x, kind: blok}}\notherwise: nothing\n") ==
        "2:10: 'many' is not 'auto' or a number of threads; 1 to 256 would be\n"
        "3:1: unknown key 'foo' in the top level\n"
        "4:28: 'blok' is not a kind of list; did you mean 'block'?\n"
        "5:12: 'nothing' is not an action; known are: forward, block, nxdomain, nodata, refuse, drop, truncate\n");
}

TEST_CASE("A file that cannot be read is a problem with its reason") {
  const auto absent = read_settings("/nonexistent/doline.yml");
  REQUIRE_FALSE(absent.has_value());
  CHECK(to_string(absent.error()[0]) == "/nonexistent/doline.yml: cannot be read: No such file or directory");
  const auto folder = read_settings("/");
  REQUIRE_FALSE(folder.has_value());
  CHECK(to_string(folder.error()[0]) == "/: is a folder, not a file");
  const auto endless = read_settings("/dev/zero");
  REQUIRE_FALSE(endless.has_value());
  CHECK(endless.error()[0].message.find("MiB") != std::string::npos);
}

TEST_CASE("Something that is no map at all is told") {
  for (const char* text : {"", "hello", "[1, 2]", "{", "\xff\xfe", "a: b: c", "- 1\n- 2\n"}) {
    CAPTURE(text);
    const auto settings = read(text);
    REQUIRE_FALSE(settings.has_value());
    CHECK_FALSE(settings.error().empty());
  }
}

TEST_CASE("Aliases work as YAML says") {
  const Settings settings =
      settings_of("devices: {a: {address: 192.0.2.1, groups: &both [x, y]}, b: {address: 192.0.2.2, groups: *both}}\n");
  CHECK(settings.live.devices[1].groups.size() == 2);
}

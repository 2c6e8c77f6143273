// What the tests of config say a file in.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "config/reader.h"

namespace doline::tests {

/// Enough of a file for the parts that are not looked at.
inline const std::string minimum = "upstreams: {default: {servers: [192.0.2.53]}}\n";

inline Result<config::Settings, std::vector<config::Problem>> read(const std::string& text) {
  return config::read_settings_text(text, "doline.yml");
}

/// The problems of `text`, one a line, without the file's name; of the minimum with `text` behind it.
inline std::string problems_of(const std::string& text) {
  const auto settings = read(minimum + text);
  std::string all;
  if (!settings)
    for (const config::Problem& problem : settings.error())
      all += to_string(problem).substr(std::string("doline.yml:").size()) + "\n";
  return all;
}

/// The settings of the minimum with `text` behind it; the test ends where there are problems.
inline config::Settings settings_of(const std::string& text) {
  const auto settings = read(minimum + text);
  if (!settings)
    for (const config::Problem& problem : settings.error()) MESSAGE(to_text(problem));
  REQUIRE(settings.has_value());
  return *settings;
}

/// A real file beside the checkout; empty where there is none, and the test says so.
inline std::filesystem::path shared_file(const std::string& name) {
  const char* folder = std::getenv("DOLINE_SHARED");
  const std::filesystem::path file =
      std::filesystem::path(folder != nullptr ? folder : DOLINE_SOURCE_DIR "/../shared") / name;
  if (std::filesystem::exists(file)) return file;
  MESSAGE("skipped: there is no " << name << " in DOLINE_SHARED");
  return {};
}

}  // namespace doline::tests

// A file of the real data beside the checkout, unpacked; nothing (and a message) where the data are not there.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

/// `name`: below data/, without .xz.
inline std::optional<std::string> read_real_file(const std::string& name) {
  const char* given = std::getenv("DOLINE_SHARED");
  const auto path = std::filesystem::path(given != nullptr ? given : DOLINE_SOURCE_DIR "/../shared") / "data" / name;
  const bool is_packed = !std::filesystem::exists(path) && std::filesystem::exists(path.string() + ".xz");
  if (!is_packed && !std::filesystem::exists(path)) {
    MESSAGE("not tested with real data: there is no " << path.string());
    return std::nullopt;
  }
  const std::string command = is_packed ? "xz -dc '" + path.string() + ".xz'" : "cat '" + path.string() + "'";
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string content;
  char octets[65'536];
  for (std::size_t count; (count = std::fread(octets, 1, sizeof octets, pipe)) > 0;) content.append(octets, count);
  REQUIRE(::pclose(pipe) == 0);
  return content;
}

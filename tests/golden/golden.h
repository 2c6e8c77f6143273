// is_golden(): does a text equal the committed one? `DOLINE_GOLDEN=write ctest -R '^golden:'` writes what comes out in
// its place: then the diff is read, and committed if it is what was meant.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace doline::tests {

/// `file`: below tests/golden.
inline bool is_golden(const std::string& file, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(DOLINE_SOURCE_DIR "/tests/golden") / file;
  if (std::getenv("DOLINE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream stream(path, std::ios::binary);
  const std::string committed{std::istreambuf_iterator<char>(stream), {}};
  if (committed == text) return true;
  std::size_t line = 1;
  for (std::size_t at = 0; at < std::min(committed.size(), text.size()) && committed[at] == text[at]; ++at)
    line += text[at] == '\n' ? 1 : 0;
  MESSAGE(path.string() << " differs from line " << line << " on; what came out:\n" << text);
  return false;
}

}  // namespace doline::tests

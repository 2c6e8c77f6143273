// Compile list texts into the file that ListSet maps. Runs on a pool thread of control, by value; writes beside the
// target and renames, so that a reader sees the old file or the new one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "blocklist/list_file.h"
#include "blocklist/list_set.h"

namespace doline::blocklist {

/// One list as the compiler takes it; its position is its ListId.
struct ListInput {
  std::string name;                  ///< the key in the YAML, for messages
  std::filesystem::path file;        ///< local text (a download's last good copy, or the operator's file)
  std::optional<ListFormat> format;  ///< absent: recognised
  bool subdomains = false;
};

struct ListReport {
  std::string name;
  std::optional<ListFormat> format;  ///< absent where the file could not be read or recognised
  std::string failure;               ///< why the list is empty; else ""
  ReadResult read;
  std::uint64_t names = 0;                  ///< distinct
  std::vector<LineProblem> first_problems;  ///< at most problems_shown
};
inline constexpr std::size_t problems_shown = 20;

struct CompileReport {
  std::vector<ListReport> lists;
  std::uint64_t names = 0;  ///< distinct over all lists
  std::uint64_t file_octets = 0;
  std::uint64_t fingerprint = 0;
};

/// What compile() would be given right now: settings plus each file's size, time and inode. Compared with
/// ListSet::fingerprint() at start so that an unchanged set is reused without reading the texts.
[[nodiscard]] std::uint64_t fingerprint_of(const std::vector<ListInput>& inputs);

/// A list that fails leaves the others whole; only an unwritable target is a fault (its sentence).
[[nodiscard]] Result<CompileReport, std::string> compile(const std::vector<ListInput>& inputs,
                                                         const std::filesystem::path& target);

}  // namespace doline::blocklist

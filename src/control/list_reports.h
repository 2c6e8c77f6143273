// What the compiler said of each list, kept beside the compiled set: so that a start that uses the set again can tell
// of lines and problems as the one that compiled it could.
//
// Files only; any thread. A file that is not of the set (another fingerprint) or damaged is as good as none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "blocklist/compile.h"

namespace doline::control {

/// The sentence why not, or "".
[[nodiscard]] std::string write_reports(const std::filesystem::path& file, const blocklist::CompileReport& report);
/// In the order of the lists; empty: none that can be believed.
[[nodiscard]] std::vector<blocklist::ListReport> read_reports(const std::filesystem::path& file,
                                                              std::uint64_t fingerprint);

}  // namespace doline::control

// Reader: from the operator's YAML to Settings, or to the list of everything that is wrong with it.
//
// A file is taken whole or not at all. Every mistake is told with file, line and column, not only the first; a key that
// Doline knows but this build cannot honour is a mistake too, never ignored. yaml-cpp and its exceptions stop at
// document.cpp. Bounded in time and memory whatever the text: its octets, its nodes (aliases count each time) and its
// depth. Single-threaded.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/problem.h"
#include "config/settings.h"

namespace doline::config {

inline constexpr std::size_t file_octets_max = std::size_t{4} << 20;

/// Relative paths in the file are looked for beside it, then in the folder above, so that config/doline.yml may name
/// blocklists/… ; where there is neither, and for files that Doline writes, beside it.
[[nodiscard]] Result<Settings, std::vector<Problem>> read_settings(const std::filesystem::path& file);
/// As if `text` stood in `file`, which need not exist.
[[nodiscard]] Result<Settings, std::vector<Problem>> read_settings_text(std::string_view text,
                                                                        const std::filesystem::path& file);

/// Where things lie (state, control socket, query log, list of resolvers), as far as a file with mistakes tells; the
/// defaults where it does not. For commands that look after a Doline that runs with an older, better file; of no other
/// use.
[[nodiscard]] Settings read_places(const std::filesystem::path& file);

}  // namespace doline::config

// read_text_file(): a whole file of the operator's, or the sentence why not.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace doline::control {

inline constexpr std::size_t text_file_octets_max = std::size_t{64} << 20;

/// Any thread. The fault says which file, and why it cannot be read.
[[nodiscard]] Result<std::string, std::string> read_text_file(const std::filesystem::path& file,
                                                              std::size_t octets_max = text_file_octets_max);

}  // namespace doline::control

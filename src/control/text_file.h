// Whole text files: read_text_file() of the operator's, replace_text_file() of our own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace doline::control {

inline constexpr std::size_t text_file_octets_max = std::size_t{64} << 20;
inline constexpr std::size_t list_text_octets_max = std::size_t{1} << 30;  ///< unpacked

/// Any thread. The fault says which file, and why it cannot be read.
[[nodiscard]] Result<std::string, std::string> read_text_file(const std::filesystem::path& file,
                                                              std::size_t octets_max = text_file_octets_max);
/// The same of a list, unpacked where it is packed.
[[nodiscard]] Result<std::string, std::string> read_list_text(const std::filesystem::path& file);

/// Written beside the file (`suffix`; each writer its own), onto the disk, then renamed: a reader finds the old text or
/// the new one. Readable for the group only. Any thread; waits for the disk. The sentence why not, or "".
[[nodiscard]] std::string replace_text_file(const std::filesystem::path& file, const std::string& text,
                                            const char* suffix);

}  // namespace doline::control

// give_up_privileges(): from root, or from a handful of capabilities, to a process that has none and gets none.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace doline {

/// `user`: to become, with its groups; empty: who we are. `folders`: made where missing and given to that user first,
/// with the files directly inside. Before there are threads; the fault is a sentence.
[[nodiscard]] Result<void, std::string> give_up_privileges(const std::string& user,
                                                           const std::vector<std::filesystem::path>& folders);

}  // namespace doline

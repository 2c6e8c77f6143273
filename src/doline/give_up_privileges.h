// give_up_privileges(): from root, or from a handful of capabilities, to a process that has none and gets none.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace doline {

/// Makes usable what this process may only take up: a program file with capabilities (`setcap ...=p`, as in the
/// container's image) starts with them permitted and not effective. Before sockets are opened.
void take_up_privileges();

/// `user`: to become, with its groups; empty: who we are. `folders`: made where missing and given to that user first,
/// with the files directly inside. Before there are threads; the fault is a sentence.
[[nodiscard]] Result<void, std::string> give_up_privileges(const std::string& user,
                                                           const std::vector<std::filesystem::path>& folders);

}  // namespace doline

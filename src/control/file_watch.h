// watch_files(): told when files change that others write: by their folders, since a file there is replaced by rename.
//
// Control thread only.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "control/loop.h"

namespace doline::control {

/// A watch for each folder; an empty one where a folder cannot be watched. `on_change` is called for each event, also
/// where the system does not say which file it is about.
using FolderWatches = std::map<std::filesystem::path, Watch>;
[[nodiscard]] FolderWatches watch_files(Loop& loop, const std::vector<std::filesystem::path>& files,
                                        const std::function<void()>& on_change);

}  // namespace doline::control

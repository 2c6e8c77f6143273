// FileWatch: told when files change that others write: by their folders, since a file there is replaced by rename. Of a
// file behind symbolic links also by the folders of these, and of one that is not there by what of its path is.
//
// Control thread only.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "control/loop.h"

namespace doline::control {

class FileWatch {
 public:
  /// Watches nothing.
  FileWatch() = default;
  /// `on_change` is called for each event, also where the system does not say which file it is about.
  FileWatch(Loop& loop, std::vector<std::filesystem::path> files, std::function<void()> on_change);
  /// Folders that cannot be watched.
  [[nodiscard]] std::vector<std::filesystem::path> unwatched() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace doline::control

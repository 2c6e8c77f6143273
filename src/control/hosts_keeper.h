// HostsKeeper: the names that the operator's hosts files give, read again when a file changes.
//
// Control thread only.
#pragma once

#include <spdlog/fwd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "control/file_watch.h"
#include "control/loop.h"
#include "response/local_records.h"

namespace doline::control {

class HostsKeeper {
 public:
  /// `on_change`: whenever files() may have changed, but for configure(). `settle`: an editor writes in several steps.
  HostsKeeper(Loop& loop, spdlog::logger& log, std::function<void()> on_change, milliseconds settle);

  /// At start and at every reload: reads all files, and watches their folders.
  void configure(std::vector<std::filesystem::path> files);
  /// The names of each file, in the order of the configuration; of a file that cannot be read any more those it had.
  [[nodiscard]] const std::vector<std::vector<response::LocalName>>& files() const { return names_; }

  /// Which files cannot be read, a sentence each.
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  void read();

  Loop& loop_;
  spdlog::logger& log_;
  std::function<void()> on_change_;
  milliseconds settle_;
  std::vector<std::filesystem::path> paths_;
  std::vector<std::vector<response::LocalName>> names_;
  std::vector<std::string> problems_;
  FileWatch watch_;
  Watch settling_;
};

}  // namespace doline::control

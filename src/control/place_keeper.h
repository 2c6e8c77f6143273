// PlaceKeeper: the operator's databases of where addresses are (`geo`), read anew when their files change.
//
// Control thread only; files are read on the pool, but for the first time, when the first snapshot waits for them.
#pragma once

#include <spdlog/fwd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/loop.h"
#include "geo/place_book.h"

namespace doline::control {

/// The fault is a sentence. Any thread.
[[nodiscard]] Result<geo::PlaceTable, std::string> read_places(const std::filesystem::path& file, geo::PlaceKind kind);

class PlaceKeeper {
 public:
  /// `on_change`: whenever current() has changed, but for configure().
  PlaceKeeper(Loop& loop, spdlog::logger& log, std::function<void()> on_change);
  ~PlaceKeeper();
  PlaceKeeper(const PlaceKeeper&) = delete;
  PlaceKeeper& operator=(const PlaceKeeper&) = delete;

  /// At start and at every reload; current() is of these files when it returns. Empty: none.
  void configure(const std::filesystem::path& countries, const std::filesystem::path& asns);
  /// Null where no file is configured. Of a file that cannot be read, what was read of it before stays in force.
  [[nodiscard]] std::shared_ptr<const geo::PlaceBook> current() const;
  /// A sentence for each file that cannot be read.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // jobs on the pool may end after us: they hold it weakly
};

}  // namespace doline::control

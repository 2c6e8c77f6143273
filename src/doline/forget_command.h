// `doline log forget`: takes records out of the query log for good, and devices out of what Doline remembers of the
// LAN, while it runs or not.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "config/settings.h"
#include "querylog/forget.h"

namespace doline {

struct ForgetArguments {
  std::filesystem::path database;  ///< empty: as the configuration says; the front door fills it in, if there is one
  /// forget_found() of the configuration; none where only a log was named.
  std::function<Result<std::size_t, int>(const querylog::Forgetting&)> forget_found;
  std::vector<std::string> devices;
  std::string before;
  bool all = false;
};

/// 0, or 1 nothing to forget, 64 usage, 66 no database, 69 no answer, 74 the disk, 77 not for this user.
int run_forget(const ForgetArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);

/// Devices that Doline has found by itself: how many; or the exit status, with what is wrong on `err`.
[[nodiscard]] Result<std::size_t, int> forget_found(const config::Settings& settings, const querylog::Forgetting& what,
                                                    WallTime now, std::ostream& err);

}  // namespace doline

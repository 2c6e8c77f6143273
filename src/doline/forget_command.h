// `doline log forget`: takes records out of the query log for good, while Doline runs or not.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/time.h"

namespace doline {

struct ForgetArguments {
  std::filesystem::path database;  ///< empty: as the configuration says; the front door fills it in
  std::vector<std::string> devices;
  std::string before;
  bool all = false;
};

/// 0, or 1 nothing to forget, 64 usage, 66 no database, 74 the file could not be written anew.
int run_forget(const ForgetArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);

}  // namespace doline

// `doline lists`: what the running Doline's lists hold; `doline lists check`: what a file would say as a list, line by
// line; `doline lists refresh`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "base/time.h"
#include "doline/settings_choice.h"

namespace doline {

struct ListsArguments {
  enum class Verb : std::uint8_t { show, check, refresh };
  SettingsChoice settings;
  Verb verb = Verb::show;
  std::filesystem::path file;  ///< of `check`
  std::string format;          ///< empty: recognised
  std::string name;            ///< of `refresh`; empty: all
  bool all = false;            ///< every line, not only what is skipped
  bool json = false;
};

/// 0, or 1 a list is not in force, or the file is none; 64 usage, 66 no such file, 69 no Doline runs there, 77 no
/// permission.
int run_lists(const ListsArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);

}  // namespace doline

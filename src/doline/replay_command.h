// `doline replay`: the rules and lists of a configuration over what was asked: what would change, for whom, before it
// is applied.
//
// Judges each recorded query anew, at the time it was asked, as the device it was then; reads files only, so the
// running Doline is not disturbed. Answers are judged too, as upstream gave them, also those that were kept back then.
// What was rejected before any rule was asked is passed over, and what logs of earlier versions do not tell of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "base/time.h"
#include "doline/settings_choice.h"

namespace doline {

struct ReplayArguments {
  SettingsChoice settings;         ///< the candidate
  std::filesystem::path database;  ///< empty: as the candidate says
  std::string since = "7d", until;
  std::string device;         ///< only this one; empty: all
  std::uint64_t limit = 100;  ///< changes shown, the most frequent first; 0: all
  bool json = false;
  bool shows_progress = false;  ///< on `err`, which is a terminal
};

/// 0 nothing would change, 1 something would, 64 usage, 66 no query log, 78 the configuration has mistakes.
int run_replay(const ReplayArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);

}  // namespace doline

// TrialMark: that a redirect is, or was, on trial and nobody has said that it may stay: so that a crash or a reboot
// does not make it permanent. Kept in a file of our own until the operator decides. Control thread only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "redirect/options.h"

namespace doline::control {

struct TrialMark {
  redirect::Options on_trial;
  std::optional<redirect::Options> former;  ///< what was in force before; nothing: no rules
  bool operator==(const TrialMark&) const = default;
};

/// Nothing where there is no such file, or it cannot be understood: `complaint` says why.
[[nodiscard]] std::optional<TrialMark> read_trial_mark(const std::filesystem::path& file, std::string& complaint);
/// Waits for the disk. The sentence why not, or "".
[[nodiscard]] std::string write_trial_mark(const std::filesystem::path& file, const TrialMark& mark);

}  // namespace doline::control

// SettingsChoice: which configuration a command works with, and the few of its values that the command line replaces.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <vector>

#include "base/result.h"
#include "config/problem.h"
#include "config/settings.h"

namespace doline {

struct SettingsChoice {
  std::filesystem::path config;       ///< empty: the first there is of $DOLINE_CONFIG, /etc/doline/doline.yml,
                                      ///< config/doline.yml of the checkout
  std::filesystem::path state;        ///< instead of the file's `state`
  std::optional<std::uint16_t> port;  ///< instead of the ports of `listen`
};

/// The settings, or the exit status, with every mistake told on `err`. A state folder that this user may not write is
/// replaced by $XDG_STATE_HOME/doline, so that Doline runs without root; what lies inside it moves with it.
[[nodiscard]] Result<config::Settings, int> choose_settings(const SettingsChoice& choice, std::ostream& err);

/// That of this file, also while Doline runs: any thread.
[[nodiscard]] Result<config::Settings, std::vector<config::Problem>> read_chosen(const std::filesystem::path& file,
                                                                                 const SettingsChoice& choice);

/// The same as choose_settings() for commands that only look at what runs or was logged: a file with mistakes is good
/// enough, since the running Doline does not take it either; but one that was named has to be there.
[[nodiscard]] Result<config::Settings, int> choose_places(const SettingsChoice& choice, std::ostream& err);

/// The exit status where a configuration cannot be read or has mistakes: it may not be there, or not for this user.
[[nodiscard]] int status_without(const std::filesystem::path& config);

/// What the file says of the time zone becomes this process's. Before there are threads.
void use_time_zone(const config::Fixed& fixed);

}  // namespace doline

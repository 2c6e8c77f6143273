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

/// What a command does with a state folder that neither the file nor the command line names.
enum class StateUse : std::uint8_t {
  look,  ///< it is where a Doline's socket or log may be, or else this user's own, where that is there
  keep,  ///< it is this user's own ($XDG_STATE_HOME/doline) where the usual one is not for him to write: no root needed
};
/// `own` may be empty: there is none.
[[nodiscard]] std::filesystem::path find_state(const config::Fixed& fixed, const std::filesystem::path& own,
                                               StateUse use);

/// The settings, or the exit status, with every mistake told on `err`. With another state folder than the file's, what
/// lies inside it moves with it.
[[nodiscard]] Result<config::Settings, int> choose_settings(const SettingsChoice& choice, std::ostream& err,
                                                            StateUse use = StateUse::look);

/// That of this file, also while Doline runs: any thread.
[[nodiscard]] Result<config::Settings, std::vector<config::Problem>> read_chosen(const std::filesystem::path& file,
                                                                                 const SettingsChoice& choice,
                                                                                 StateUse use);

/// The same as choose_settings() for commands that only look at what runs or was logged: a file with mistakes is good
/// enough, since the running Doline does not take it either; with a state folder that was named it need not be there.
[[nodiscard]] Result<config::Settings, int> choose_places(const SettingsChoice& choice, std::ostream& err);

/// The exit status where a configuration cannot be read or has mistakes: it may not be there, or not for this user.
[[nodiscard]] int status_without(const std::filesystem::path& config);

/// What the file says of the time zone becomes this process's. Before there are threads.
void use_time_zone(const config::Fixed& fixed);

}  // namespace doline

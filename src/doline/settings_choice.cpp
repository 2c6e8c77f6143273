#include "doline/settings_choice.h"

#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ostream>

#include "config/reader.h"
#include "doline/exit_status.h"

namespace doline {

namespace {

namespace fs = std::filesystem;

fs::path from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// Empty where there is none.
fs::path find_config() {
  if (const fs::path named = from_environment("DOLINE_CONFIG"); !named.empty()) return named;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& file : {fs::path("/etc/doline/doline.yml"), program.parent_path() / "../../config/doline.yml"})
    if (fs::exists(file, error)) return fs::weakly_canonical(file, error);
  return {};
}

/// May this user keep files there, or make the folder?
bool is_ours(fs::path folder) {
  std::error_code error;
  while (!fs::exists(folder, error) && folder.has_parent_path() && folder != folder.parent_path())
    folder = folder.parent_path();
  return ::access(folder.c_str(), W_OK | X_OK) == 0;
}

fs::path own_state_folder() {
  fs::path base = from_environment("XDG_STATE_HOME");
  if (base.empty() && !from_environment("HOME").empty()) base = from_environment("HOME") / ".local/state";
  return base.empty() ? base : base / "doline";
}

/// Is a Doline's socket or log there, as far as this user may know?
bool may_hold_a_doline(const config::Fixed& fixed) {
  const auto may_exist = [](const fs::path& file) {
    std::error_code error;
    return fs::exists(file, error) || error;
  };
  return may_exist(fixed.control_socket) || (fixed.query_log && may_exist(fixed.query_log->path));
}

/// What the command line replaces.
config::Settings replace(config::Settings settings, const SettingsChoice& choice, StateUse use) {
  config::Fixed& fixed = settings.fixed;
  std::error_code error;
  const fs::path state =
      choice.state.empty() ? find_state(fixed, own_state_folder(), use) : fs::absolute(choice.state, error);
  config::place_state(fixed, state.lexically_normal());
  if (choice.port)
    for (Endpoint& endpoint : fixed.listen) endpoint.port = *choice.port;
  return settings;
}

Result<fs::path, int> choose_file(const SettingsChoice& choice, std::ostream& err) {
  fs::path file = choice.config.empty() ? find_config() : choice.config;
  if (!file.empty()) return file;
  err << "doline: no configuration: name one with --config FILE, or write /etc/doline/doline.yml.\n";
  return fail(exit_no_input);
}

}  // namespace

fs::path find_state(const config::Fixed& fixed, const fs::path& own, StateUse use) {
  std::error_code error;
  const bool stays =
      fixed.names_state || own.empty() ||
      (use == StateUse::keep ? is_ours(fixed.state) : may_hold_a_doline(fixed) || !fs::exists(own, error));
  return stays ? fixed.state : own;
}

Result<config::Settings, std::vector<config::Problem>> read_chosen(const fs::path& file, const SettingsChoice& choice,
                                                                   StateUse use) {
  auto settings = config::read_settings(file);
  if (!settings) return settings;
  return replace(std::move(*settings), choice, use);
}

Result<config::Settings, int> choose_settings(const SettingsChoice& choice, std::ostream& err, StateUse use) {
  const auto file = choose_file(choice, err);
  if (!file) return fail(file.error());
  auto settings = read_chosen(*file, choice, use);
  if (settings) {
    const config::Fixed& fixed = settings->fixed;
    if (use == StateUse::keep && choice.state.empty() && !fixed.names_state && fixed.state != config::usual_state)
      err << "doline: this user may not write " << config::usual_state << ", and no `state` is named: it is kept in "
          << fixed.state.native() << ".\n";
    return std::move(*settings);
  }
  for (const config::Problem& problem : settings.error()) err << config::to_text(problem);
  return fail(status_without(*file));
}

Result<config::Settings, int> choose_places(const SettingsChoice& choice, std::ostream& err) {
  const fs::path file = choice.config.empty() ? find_config() : choice.config;
  const bool needs_file = choice.state.empty() || !choice.config.empty();
  // Its mistakes tell where things lie all the same; one that cannot be read tells nothing.
  if (needs_file && ::access(file.c_str(), R_OK) != 0) return choose_settings(choice, err);
  return replace(config::read_places(file), choice, StateUse::look);
}

int status_without(const fs::path& config) {
  if (::access(config.c_str(), R_OK) == 0) return exit_configuration;
  return errno == EACCES ? exit_no_permission : exit_no_input;
}

void use_time_zone(const config::Fixed& fixed) {
  if (fixed.time_zone.empty()) return;
  ::setenv("TZ", (":" + fixed.time_zone).c_str(), 1);
  ::tzset();
}

}  // namespace doline

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

/// What the command line replaces; `own_state`: in the place of a folder that is not ours, or empty.
config::Settings replace(config::Settings settings, const SettingsChoice& choice, const fs::path& own_state) {
  config::Fixed& fixed = settings.fixed;
  std::error_code error;
  fs::path state = choice.state.empty() ? fs::path() : fs::absolute(choice.state, error).lexically_normal();
  if (state.empty() && !is_ours(fixed.state)) state = own_state;
  if (!state.empty()) config::place_state(fixed, state);
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

Result<config::Settings, std::vector<config::Problem>> read_chosen(const fs::path& file, const SettingsChoice& choice) {
  auto settings = config::read_settings(file);
  if (!settings) return settings;
  return replace(std::move(*settings), choice, own_state_folder());
}

Result<config::Settings, int> choose_settings(const SettingsChoice& choice, std::ostream& err) {
  const auto file = choose_file(choice, err);
  if (!file) return fail(file.error());
  auto settings = read_chosen(*file, choice);
  if (settings) return std::move(*settings);
  for (const config::Problem& problem : settings.error()) err << config::to_text(problem);
  return fail(status_without(*file));
}

Result<config::Settings, int> choose_places(const SettingsChoice& choice, std::ostream& err) {
  const auto file = choose_file(choice, err);
  if (!file) return fail(file.error());
  std::error_code ignored;
  // Its mistakes tell where things lie all the same; a file that is not there was meant to be another.
  if (!choice.config.empty() && !fs::exists(*file, ignored))
    if (auto settings = choose_settings(choice, err); !settings) return settings;
  // Where this user never ran a Doline, somebody else's is meant.
  const fs::path own_state = own_state_folder();
  return replace(config::read_places(*file), choice, fs::exists(own_state, ignored) ? own_state : fs::path());
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

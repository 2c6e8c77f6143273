// doline: the command line.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <iostream>
#include <stop_token>
#include <thread>

#include "config/reader.h"
#include "control/device_book.h"
#include "control/interception.h"
#include "control/place_keeper.h"
#include "control/text_file.h"
#include "doline/check_command.h"
#include "doline/command_line.h"
#include "doline/device_command.h"
#include "doline/devices_command.h"
#include "doline/exit_status.h"
#include "doline/explain_command.h"
#include "doline/flows_command.h"
#include "doline/flush_command.h"
#include "doline/forget_command.h"
#include "doline/judging.h"
#include "doline/limits_command.h"
#include "doline/lists_command.h"
#include "doline/log_command.h"
#include "doline/pause_command.h"
#include "doline/port_map.h"
#include "doline/redirect_command.h"
#include "doline/replay_command.h"
#include "doline/run_command.h"
#include "doline/services_command.h"
#include "doline/status_command.h"
#include "doline/terminal_text.h"
#include "doline/version.h"
#include "warden/warden.h"

namespace {

using namespace doline;  // NOLINT(google-build-using-namespace): this file is the front door

/// As the running Doline finds them, by the devices that it has seen and the locks that it has been told.
redirect::Restrictions find_restrictions(const config::Settings& settings, const control::DeviceBook& book,
                                         const device::Roster& roster, WallTime now) {
  const auto& policies = settings.live.policy.lists;
  const bool lists_doh = std::any_of(policies.begin(), policies.end(),
                                     [](const auto& list) { return list.kind == policy::ListKind::doh; });
  const auto lists = lists_doh ? prepare_judging(settings, now, std::cerr).lists : blocklist::ListSet::none();
  return control::restrictions_of(roster, settings.live.restrictions, book.flow_locks(),
                                  {read_resolvers(settings), *lists, policies});
}

/// Which query log, and what turns resolvers' addresses into names: for the commands that only read.
struct Evidence {
  std::filesystem::path database;
  KnownAddresses known;
  std::shared_ptr<const device::Roster> roster;
  bool watches = false;  ///< connections are recorded
};

Result<Evidence, int> find_evidence(const SettingsChoice& choice, const std::filesystem::path& database) {
  const auto settings = choose_places(choice, std::cerr);
  if (!settings) return fail(settings.error());
  Evidence evidence;
  evidence.database = database;
  if (database.empty() && !settings->fixed.query_log) {
    std::cerr << "doline: " << settings->file.native() << " says `querylog: off`: there is nothing to show.\n";
    return fail(exit_no_input);
  }
  if (database.empty()) evidence.database = settings->fixed.query_log->path;
  evidence.watches = settings->fixed.redirect && settings->fixed.redirect->watch;
  evidence.known = {read_resolvers(*settings), open_places(settings->live, std::cerr)};
  std::string complaint;  // whoever runs Doline is told of it
  const control::DeviceBook book(settings->fixed.state / "device-book.json", complaint);
  evidence.roster = read_devices(*settings, book, SystemClock().now().wall);
  return evidence;
}

/// Ctrl-C ends `log --follow` with its last line whole.
class StopOnSignal {
 public:
  StopOnSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    std::thread([this] {
      int signal = 0;
      sigwait(&signals_, &signal);
      source_.request_stop();
    }).detach();  // it waits as long as the process lives
  }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  sigset_t signals_{};
  std::stop_source source_;
};

}  // namespace

int main(int count, char** words) {
  CLI::App app("Doline: a DNS-intercepting sinkhole resolver for homes and small networks.");
  app.require_subcommand(1);
  app.set_version_flag("--version", version);
  app.footer("`doline COMMAND --help` has examples and exit statuses.");
  const SystemClock clock;

  RunArguments run;
  CheckArguments check;
  ExplainArguments explain;
  LogArguments log;
  ForgetArguments forget;
  DeviceArguments device;
  FlowsArguments flows;
  DevicesArguments devices;
  SettingsChoice log_settings, flows_settings, devices_settings, flush_settings;
  StatusArguments status;
  LimitsArguments limits;
  ServicesArguments services;
  RedirectArguments redirect;
  PauseArguments pause;
  ListsArguments lists;
  ReplayArguments replay;
  warden::Channels channels;
  warden::Bounds bounds;

  const CLI::App* run_command = add_run_command(app, run);
  const CLI::App* check_command = add_check_command(app, check);
  const CLI::App* explain_command = add_explain_command(app, explain);
  CLI::App* log_command = add_log_command(app, log);
  add_settings_options(*log_command, log_settings);
  CLI::App* forget_command = add_forget_command(*log_command, forget);
  add_settings_options(*forget_command, log_settings);
  CLI::App* flows_command = add_flows_command(app, flows);
  add_settings_options(*flows_command, flows_settings);
  CLI::App* devices_command = add_devices_command(app, devices);
  add_settings_options(*devices_command, devices_settings);
  const CLI::App* status_command = add_status_command(app, status);
  const CLI::App* redirect_command = add_redirect_command(app, redirect);
  add_device_command(app, device);
  add_pause_commands(app, pause);
  const CLI::App* replay_command = add_replay_command(app, replay);
  const CLI::App* lists_command = add_lists_command(app, lists);
  const CLI::App* flush_command = add_flush_command(app, flush_settings);
  const CLI::App* services_command = add_services_command(app, services);
  const CLI::App* limits_command = add_limits_command(app, limits);
  const CLI::App* version_command = app.add_subcommand("version", "The version of this program");
  CLI::App* warden_command = app.add_subcommand("warden", "")->group("");  // started by `doline run` only
  warden_command->add_option("--fd", channels.talk)->required()->expected(1, -1);
  warden_command->add_option("--gate", channels.admissions)->expected(1, -1);
  warden_command->add_option("--flows", channels.flows);
  warden_command->add_option("--port", bounds.ports)->required()->expected(1, -1);
  warden_command->add_option("--nat-port", bounds.nat_port)->required();

  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_wrong_usage;
  }

  if (warden_command->parsed()) return warden::run(channels, bounds);
  if (run_command->parsed()) return run_doline(run, std::cerr);
  if (check_command->parsed()) return run_check(check, std::cout, std::cerr);
  if (explain_command->parsed()) return run_explain(explain, clock, std::cout, std::cerr);
  if (status_command->parsed()) return run_status(status, std::cout, std::cerr);
  if (device.is_called) return run_device(device, clock, std::cout, std::cerr);
  if (pause.is_called) return run_pause(pause, clock, std::cout, std::cerr);
  if (replay_command->parsed()) {
    replay.shows_progress = ::isatty(STDERR_FILENO) != 0;
    return run_replay(replay, clock, std::cout, std::cerr);
  }
  if (lists_command->parsed()) return run_lists(lists, clock, std::cout, std::cerr);
  if (flush_command->parsed()) return run_flush(flush_settings, std::cout, std::cerr);
  if (services_command->parsed()) return run_services(services, std::cout, std::cerr);
  if (limits_command->parsed()) return run_limits(limits, std::cout);
  if (redirect_command->parsed()) {
    const SettingsChoice& choice = redirect.settings;
    const bool is_wish =
        redirect.verb == RedirectArguments::Verb::plan || redirect.verb == RedirectArguments::Verb::apply;
    // A service manager's last word holds though the file is gone.
    auto settings = is_wish                                          ? choose_settings(choice, std::cerr)
                    : redirect.after_crash && !choice.config.empty() ? config::read_places(choice.config)
                                                                     : choose_places(choice, std::cerr);
    if (!settings) return settings.error();
    std::string complaint;
    const control::DeviceBook book(settings->fixed.state / "device-book.json", complaint);
    if (!complaint.empty()) std::cerr << "doline redirect: " << printable(complaint) << '\n';
    const auto roster = read_devices(*settings, book, clock.now().wall);
    redirect.restrictions = find_restrictions(*settings, book, *roster, clock.now().wall);
    if (redirect.verb == RedirectArguments::Verb::verify && !redirect.device.empty()) {
      const auto found = control::find_device(*roster, redirect.device);
      if (!found) {
        std::cerr << "doline redirect: " << printable(found.error()) << '\n';
        return exit_wrong_usage;
      }
      redirect.device = (*found)->name;
    }
    if (redirect.verb == RedirectArguments::Verb::render) {
      PortMap map = find_port_map(*settings);
      for (const std::string& problem : map.problems)
        std::cerr << "doline redirect render: " << printable(problem) << '\n';
      redirect.render.port_map = std::move(map.ports);
    }
    return run_redirect(redirect, settings->fixed, std::cout, std::cerr);
  }
  if (version_command->parsed()) {
    std::cout << "doline " << version << '\n';
    return exit_ok;
  }
  if (forget_command->parsed()) {
    if (forget.database.empty()) {
      const auto settings = choose_places(log_settings, std::cerr);
      if (!settings) return settings.error();
      if (settings->fixed.query_log) forget.database = settings->fixed.query_log->path;
      forget.forget_found = [&clock, settings = *settings](const querylog::Forgetting& what) {
        return forget_found(settings, what, clock.now().wall, std::cerr);
      };
    }
    return run_forget(forget, clock, std::cout, std::cerr);
  }
  if (log_command->parsed()) {
    const auto evidence = find_evidence(log_settings, log.database);
    if (!evidence) return evidence.error();
    log.database = evidence->database;
    if (!log.follow) return run_log(log, evidence->known, clock, std::cout, std::cerr);
    const StopOnSignal stop;
    return run_log(log, evidence->known, clock, std::cout, std::cerr, stop.token());
  }
  if (flows_command->parsed()) {
    const auto evidence = find_evidence(flows_settings, flows.database);
    if (!evidence) return evidence.error();
    flows.database = evidence->database;
    flows.is_watched = evidence->watches;
    return run_flows(flows, evidence->known, clock, std::cout, std::cerr);
  }
  if (devices_command->parsed()) {
    const auto evidence = find_evidence(devices_settings, devices.database);
    if (!evidence) return evidence.error();
    devices.database = evidence->database;
    return run_devices(devices, evidence->known.resolvers, *evidence->roster, clock, std::cout, std::cerr);
  }
  return exit_wrong_usage;
}

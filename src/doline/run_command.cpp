#include "doline/run_command.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ostream>
#include <thread>

#include "base/check.h"
#include "control/control.h"
#include "doline/exit_status.h"
#include "doline/give_up_privileges.h"
#include "doline/port_map.h"
#include "doline/version.h"
#include "listener/sockets.h"
#include "querylog/log_writer.h"
#include "querylog/ring.h"
#include "redirect/watch_rules.h"
#include "resolver/worker.h"
#include "warden/client.h"
#include "warden/leftovers.h"
#include "warden/spawn.h"

namespace doline {

namespace {

constexpr milliseconds drain_patience{1'000};  // for queries that wait when Doline is told to stop

/// To standard error; without a time where the journal writes its own.
std::shared_ptr<spdlog::logger> make_log() {
  auto log = std::make_shared<spdlog::logger>("doline", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_pattern(std::getenv("JOURNAL_STREAM") ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
  return log;
}

template <class Value>
Value random_value() {
  Value value;
  check(::getrandom(&value, sizeof value, 0) == sizeof value);
  return value;
}

/// A connection is a descriptor: as many as the system lets us have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

struct Doors {
  std::vector<std::vector<listener::SocketPair>> of_worker;
  std::vector<Endpoint> serving;  // ordinary ones
  std::vector<std::string> faults;
  bool catches = false;  // at least one socket for stray queries is open

  void add(listener::Opened opened, listener::SocketKind kind) {
    if (of_worker.size() < opened.of_worker.size()) of_worker.resize(opened.of_worker.size());
    if (!opened.of_worker.empty())
      for (const listener::SocketPair& pair : opened.of_worker.front()) {
        if (kind == listener::SocketKind::ordinary) serving.push_back(pair.address);
        catches = catches || kind == listener::SocketKind::transparent || kind == listener::SocketKind::redirected;
      }
    for (std::size_t worker = 0; worker < opened.of_worker.size(); ++worker)
      std::move(opened.of_worker[worker].begin(), opened.of_worker[worker].end(),
                std::back_inserter(of_worker[worker]));
    for (const listener::SocketFault& fault : opened.faults) faults.push_back(fault.what);
  }
};

std::vector<Endpoint> stray_endpoints(const redirect::Options& options) {
  if (options.mode == redirect::Mode::nat)
    return {{IpAddress::v4(0, 0, 0, 0), options.nat_port}, {IpAddress(), options.nat_port}};
  std::vector<Endpoint> endpoints;
  for (const std::uint16_t port : options.ports) {
    endpoints.push_back({redirect::transparent_v4, port});
    endpoints.push_back({redirect::transparent_v6(), port});
  }
  return endpoints;
}

bool intercepts(const config::Fixed& fixed) {
  return fixed.redirect && redirect::intercepts(fixed.redirect->mode);
}

bool watches(const config::Fixed& fixed) {
  return fixed.redirect && redirect::asks_to_watch(*fixed.redirect);
}

/// Is encrypted DNS of some group recorded?
bool logs_groups(const config::Live& live) {
  return std::any_of(live.restrictions.begin(), live.restrictions.end(),
                     [](const auto& group) { return group.encrypted == redirect::Encrypted::log; });
}

Doors open_doors(const config::Settings& settings, int workers) {
  using listener::SocketKind;
  const config::Fixed& fixed = settings.fixed;
  const PortMap map = find_port_map(settings);
  Doors doors;
  doors.faults = map.problems;
  doors.add(listener::open_sockets(fixed.listen, SocketKind::ordinary, workers), SocketKind::ordinary);
  doors.add(listener::open_mapped_sockets(map.ports, workers), SocketKind::mapped);
  if (!intercepts(fixed)) return doors;
  const SocketKind kind =
      fixed.redirect->mode == redirect::Mode::nat ? SocketKind::redirected : SocketKind::transparent;
  doors.add(listener::open_sockets(stray_endpoints(*fixed.redirect), kind, workers), kind);
  return doors;
}

querylog::Options log_options(const config::Settings& settings, int flow_channel) {
  querylog::Options options;
  options.path = settings.fixed.query_log->path;
  options.answers = settings.fixed.query_log->answers;
  options.keep = settings.live.log_keep;
  options.max_size_octets = settings.live.log_max_size_octets;
  if (flow_channel >= 0) options.flows = {.channel = flow_channel, .warm_up = settings.fixed.flow_warm_up};
  return options;
}

}  // namespace

int run_doline(const RunArguments& arguments, std::ostream& err) {
  auto chosen = choose_settings(arguments.settings, err, StateUse::keep);
  if (!chosen) return chosen.error();
  const config::Settings settings = std::move(*chosen);
  const config::Fixed& fixed = settings.fixed;
  const std::shared_ptr<spdlog::logger> log = make_log();
  const int workers = fixed.workers.value_or(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  use_time_zone(fixed);
  std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();

  // What needs privilege comes first; then the privilege goes, and only then do threads begin.
  take_up_privileges();
  Doors doors = open_doors(settings, workers);
  if (doors.serving.empty()) {
    for (const std::string& fault : doors.faults) err << "doline: " << fault << '\n';
    err << "doline: no address to serve on could be opened. Another port needs no privilege: doline run --port 5300\n";
    return exit_unavailable;
  }
  warden::Spawned warden;
  warden.origins.assign(static_cast<std::size_t>(workers), -1);
  warden.admissions = warden.origins;
  std::unique_ptr<warden::Client> warden_client;
  if ((intercepts(fixed) && doors.catches) || watches(fixed)) {
    if (auto spawned = warden::spawn(workers, {fixed.redirect->ports, fixed.redirect->nat_port})) {
      warden = std::move(*spawned);
      warden_client = std::make_unique<warden::Client>(warden);
    } else {
      doors.faults.push_back("Interception is off: " + spawned.error() + '.');
    }
  }
  // With a warden its rules take their place. It may be another one, elsewhere, that lives: the operator decides.
  const bool finds_rules = !warden_client && warden::may_change_rules() && warden::find_leftovers({}).intercept();
  std::vector<std::filesystem::path> folders{fixed.state, fixed.control_socket.parent_path()};
  if (fixed.query_log) folders.push_back(fixed.query_log->path.parent_path());
  if (const auto given_up = give_up_privileges(fixed.user, folders); !given_up) {
    err << "doline: " << given_up.error() << '\n';
    return exit_unavailable;
  }

  if (finds_rules)
    log->warn(
        "Rules of a Doline lead stray DNS of the LAN elsewhere, and this one has no redirect: `doline redirect status` "
        "tells, and `doline redirect remove` takes away what one that was killed has left.");
  const SystemClock clock;
  control::Loop loop;
  control::Control control(loop, settings, clock, *log);

  std::vector<std::unique_ptr<querylog::Ring>> rings;
  std::vector<querylog::Ring*> ring_views;
  for (int i = 0; i < workers; ++i) ring_views.push_back(rings.emplace_back(std::make_unique<querylog::Ring>()).get());
  std::optional<querylog::LogWriter> log_writer;
  if (fixed.query_log)
    log_writer.emplace(log_options(settings, watches(fixed) || logs_groups(settings.live) ? warden.flows : -1),
                       ring_views, clock, [&](const querylog::LogEvent& event) { control.take_log_event(event); });

  resolver::WorkerOptions options{.resolver = {.cache = fixed.cache,
                                               .seed = 0,
                                               .keeps_records = fixed.query_log.has_value(),
                                               .cookies = {random_value<dns::SipKey>(), random_value<dns::SipKey>()}},
                                  .tcp = fixed.tcp};
  options.resolver.cache.size_octets /= static_cast<std::size_t>(workers);
  options.resolver.canaries = resolver::CanaryCage(random_value<std::uint32_t>());
  options.report_canary = [&](const resolver::CanaryReturn& come) { control.saw_canary(come); };
  if (intercepts(fixed)) options.redirect_port = fixed.redirect->nat_port;
  std::vector<std::unique_ptr<resolver::Worker>> crew;
  std::vector<resolver::Worker*> crew_views;
  for (std::size_t i = 0; i < static_cast<std::size_t>(workers); ++i) {
    options.resolver.seed = random_value<std::uint64_t>();
    options.origin_channel = warden.origins[i];
    options.admission_channel = warden.admissions[i];
    crew.push_back(std::make_unique<resolver::Worker>(
        static_cast<int>(i), options, std::move(doors.of_worker[i]), control.snapshot(), *ring_views[i], clock,
        [&](const IpAddress& client) { control.saw_unknown_client(client); },
        [&](const resolver::LockAlarm& alarm) { control.take_lock_alarm(alarm); }));
    crew_views.push_back(crew.back().get());
  }
  for (resolver::Worker* worker : crew_views) worker->meet(crew_views);
  for (resolver::Worker* worker : crew_views) worker->start();

  control.run({.read_settings = [file = settings.file,
                                 choice = arguments.settings] { return read_chosen(file, choice, StateUse::keep); },
               .workers = crew_views,
               .log = log_writer ? &*log_writer : nullptr,
               .warden = std::move(warden_client),
               .serving = doors.serving,
               .shortcomings = doors.faults,
               .version = version,
               .canaries = options.resolver.canaries});

  for (resolver::Worker* worker : crew_views) worker->stop(drain_patience);
  if (log_writer) log_writer->stop();
  log->info("Stopped.");
  return exit_ok;
}

}  // namespace doline

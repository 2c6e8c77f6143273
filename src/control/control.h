// Control: what changes while Doline runs. It makes every snapshot and keeps it until no worker needs it, reads the
// operator's file anew when that changes, hears the lists, the neighbours and the warden, and answers the command
// socket.
//
// The whole of it lives on the main thread's loop; what others call says so.
#pragma once

#include <spdlog/fwd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "config/problem.h"
#include "config/settings.h"
#include "control/loop.h"
#include "querylog/log_writer.h"
#include "resolver/canary.h"
#include "resolver/snapshot.h"
#include "resolver/worker.h"
#include "warden/client.h"

namespace doline::control {

inline constexpr seconds ready_patience{60};  ///< for the first lists to be compiled; then ready is said without them
inline constexpr milliseconds settle_after{300};  ///< an editor writes a file in several steps

/// What the front door built and control takes care of; all of it outlives run().
struct Charge {
  /// The operator's file, anew, with what the command line replaces. On the pool.
  std::function<Result<config::Settings, std::vector<config::Problem>>()> read_settings;
  std::vector<resolver::Worker*> workers;
  querylog::LogWriter* log = nullptr;      ///< null: the query log is off
  std::unique_ptr<warden::Client> warden;  ///< null: no redirect
  std::vector<Endpoint> serving;           ///< sockets that are open
  std::vector<std::string> shortcomings;   ///< what could not be had at start, a sentence each
  std::string version;
  resolver::CanaryCage canaries;  ///< as the workers have it
};

class Control {
 public:
  /// `settings`: as read. Opens the compiled lists, reads leases and neighbours; waits for no network.
  Control(Loop& loop, config::Settings settings, const Clock& clock, spdlog::logger& log);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// The snapshot that workers are to begin with.
  [[nodiscard]] std::shared_ptr<const resolver::Snapshot> snapshot() const;
  /// Until SIGTERM or SIGINT; interception is off when it returns.
  void run(Charge charge);

  /// Any thread: a client that is no known device.
  void saw_unknown_client(const IpAddress& client);
  /// Any thread: a device asked for what its lock does not let pass.
  void take_lock_alarm(const resolver::LockAlarm& alarm);
  /// Any thread: a query that Doline itself has caused.
  void saw_canary(const resolver::CanaryReturn& come);
  /// Any thread: what the log writer has to say.
  void take_log_event(const querylog::LogEvent& event);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::control

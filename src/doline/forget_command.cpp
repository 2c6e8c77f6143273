#include "doline/forget_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ostream>

#include "control/command_socket.h"
#include "control/device_book.h"
#include "control/device_requests.h"
#include "control/roster_keeper.h"
#include "control/sighting_book.h"
#include "control/text_file.h"
#include "doline/exit_status.h"
#include "doline/judging.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "querylog/forget.h"

namespace doline {

Result<std::size_t, int> forget_found(const config::Settings& settings, const querylog::Forgetting& what, WallTime now,
                                      std::ostream& err) {
  using Kind = control::AskFault::Kind;
  const auto answer = control::ask(settings.fixed.control_socket, control::to_request(what));
  if (answer) return answer->value("forgotten", std::size_t{0});
  if (answer.error().kind != Kind::not_running) {
    err << "doline log forget: " << printable(answer.error().text) << '\n';
    return fail(answer.error().kind == Kind::no_permission ? exit_no_permission
                : answer.error().kind == Kind::refused     ? exit_disk
                                                           : exit_unavailable);
  }
  const std::filesystem::path file = control::sightings_file(settings.fixed.state);
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0 && errno == ENOENT) return 0;
  std::string complaint;  // whoever runs Doline is told of it
  const control::DeviceBook book(settings.fixed.state / "device-book.json", complaint);
  const auto text = control::read_text_file(file);
  control::SightingBook seen;
  if (text) seen.read_text(*text, now);
  const std::size_t count = seen.forget(what, *read_devices(settings, book, now));
  const auto may_keep = [](const device::MacAddress&, const IpAddress&) { return true; };
  std::string failure = text ? control::save_sightings(file, seen.to_text(may_keep), ".new") : text.error();
  // Whoever forgets, the file stays Doline's.
  if (failure.empty() && ::chown(file.c_str(), status.st_uid, status.st_gid) != 0 && errno != ENOENT)
    failure = file.native() + ": " + std::strerror(errno);
  if (failure.empty()) return count;
  err << "doline log forget: " << printable(failure) << '\n';
  return fail(::access(settings.fixed.state.c_str(), W_OK | X_OK) == 0 ? exit_disk : exit_no_permission);
}

int run_forget(const ForgetArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  querylog::Forgetting what{arguments.devices, {}};
  if (!arguments.all && what.devices.empty() && arguments.before.empty()) {
    err << "doline log forget: say what: --device NAME, --before TIME, or --all\n";
    return exit_wrong_usage;
  }
  if (!arguments.before.empty()) {
    what.before = parse_time(arguments.before, clock.now().wall);
    if (!what.before) {
      err << "doline log forget: --before " << printable(arguments.before)
          << ": a time like 24h, 7d, today, 2026-11-01 or 2026-11-01T12:30Z\n";
      return exit_wrong_usage;
    }
  }
  // First, for a running Doline writes into the log where they are.
  const auto found = arguments.forget_found ? arguments.forget_found(what) : Result<std::size_t, int>(0);
  if (found && *found > 0)
    out << "Forgotten: " << *found << (*found == 1 ? " device" : " devices") << " that Doline had found by itself.\n";
  const auto status = [&](bool is_any_gone) {
    return !found ? found.error() : is_any_gone || *found > 0 ? exit_ok : exit_no;
  };
  if (arguments.database.empty()) return status(false);
  const auto forgotten = querylog::forget(arguments.database, what);
  if (!forgotten) return complain("log forget", arguments.database, forgotten.error(), err);

  out << "Forgotten: " << forgotten->rows << (forgotten->rows == 1 ? " record" : " records");
  if (forgotten->flows > 0)
    out << " and " << forgotten->flows << (forgotten->flows == 1 ? " connection" : " connections");
  for (std::size_t at = 0; at < what.devices.size(); ++at)
    out << (at == 0 ? " of " : ", ") << printable(what.devices[at]);
  if (what.before)
    out << " from before " << to_local_text(*what.before) << " (" << printable(local_zone(*what.before)) << ")";
  if (forgotten->rows + forgotten->flows == 0) out << "; " << printable(arguments.database.string()) << " has none";
  out << ".\n";
  if (const auto damaged = querylog::set_aside_logs(arguments.database); !damaged.empty()) {
    err << "Damaged logs that were set aside may hold such records too. Remove them where nobody needs them:\n";
    for (const auto& path : damaged) err << "  " << printable(path.string()) << '\n';
  }
  if (forgotten->leaves_remains) {
    err << "No record of them is left, but octets of some may be, in free places of "
        << printable(arguments.database.string())
        << ", which could not be written anew. Make room for a copy of it, and say this again.\n";
    return exit_disk;
  }
  return status(forgotten->rows + forgotten->flows > 0);
}

}  // namespace doline

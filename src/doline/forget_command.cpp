#include "doline/forget_command.h"

#include <ostream>

#include "doline/exit_status.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "querylog/forget.h"

namespace doline {

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
  const auto forgotten = querylog::forget(arguments.database, what);
  if (!forgotten) return complain("log forget", arguments.database, forgotten.error(), err);

  out << "Forgotten: " << forgotten->rows << (forgotten->rows == 1 ? " record" : " records");
  if (forgotten->flows > 0)
    out << " and " << forgotten->flows << (forgotten->flows == 1 ? " connection" : " connections");
  for (std::size_t at = 0; at < what.devices.size(); ++at)
    out << (at == 0 ? " of " : ", ") << printable(what.devices[at]);
  if (what.before)
    out << " from before " << to_local_text(*what.before) << " (" << printable(local_zone(*what.before)) << ")";
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
  return forgotten->rows + forgotten->flows > 0 ? exit_ok : exit_no;
}

}  // namespace doline

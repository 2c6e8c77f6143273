#include "doline/flush_command.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "control/command_socket.h"
#include "doline/exit_status.h"
#include "doline/terminal_text.h"

namespace doline {

int run_flush(const SettingsChoice& choice, std::ostream& out, std::ostream& err) {
  const auto settings = choose_places(choice, err);
  if (!settings) return settings.error();
  if (const auto answer = control::ask(settings->fixed.control_socket, {{"ask", "flush"}}); !answer) {
    err << "doline: " << printable(answer.error().text) << '\n';
    return answer.error().kind == control::AskFault::Kind::no_permission ? exit_no_permission : exit_unavailable;
  }
  out << "No answer is cached any more.\n";
  return exit_ok;
}

}  // namespace doline

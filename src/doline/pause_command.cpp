#include "doline/pause_command.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "control/command_socket.h"
#include "doline/exit_status.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"

namespace doline {

namespace {

using nlohmann::json;
using PauseVerb = PauseArguments::Verb;
constexpr seconds pause_without_word{15 * 60};

}  // namespace

std::string describe_exemption(const std::string& device, const std::string& group, const std::string& name,
                               std::optional<WallTime> until) {
  std::string text = name.empty() ? "all names" : printable(name) + " and all below it";
  text += !device.empty()  ? ", for the device " + printable(device)
          : !group.empty() ? ", for the group " + printable(group)
                           : ", for everybody";
  text += until ? ", until " + to_local_text(*until) : ", until it is taken back";
  return text;
}

int run_pause(const PauseArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  std::optional<seconds> duration;
  if (!arguments.duration.empty()) {
    duration = parse_duration(arguments.duration);
    if (!duration || duration->count() == 0) {
      err << "doline: '" << printable(arguments.duration) << "' is no duration: 90s, 15m, 2h, 7d are.\n";
      return exit_wrong_usage;
    }
  } else if (arguments.verb == PauseVerb::pause) {
    duration = pause_without_word;
  }
  const auto settings = choose_places(arguments.settings, err);
  if (!settings) return settings.error();
  const bool is_end = arguments.verb == PauseVerb::resume || arguments.end;
  json request = {{"ask", is_end ? "exempt.end" : "exempt"}};
  if (!arguments.device.empty()) request["device"] = arguments.device;
  if (!arguments.group.empty()) request["group"] = arguments.group;
  if (!arguments.name.empty()) request["name"] = arguments.name;
  if (duration) request["seconds"] = duration->count();
  if (arguments.all) request["all"] = true;
  const auto answer = control::ask(settings->fixed.control_socket, request);
  if (!answer) {
    err << "doline: " << printable(answer.error().text) << '\n';
    using Kind = control::AskFault::Kind;
    return answer.error().kind == Kind::no_permission ? exit_no_permission
           : answer.error().kind == Kind::refused     ? exit_wrong_usage
                                                      : exit_unavailable;
  }
  if (answer->contains("warning")) err << "doline: " << printable(answer->value("warning", "")) << '\n';
  if (arguments.json) {
    out << answer->dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  } else if (is_end) {
    const auto ended = answer->value("ended", std::uint64_t{0});
    out << (ended == 0 ? "Nothing was set aside there.\n" : "Blocking is in force again.\n");
  } else {
    const json& exemption = answer->at("exemption");
    std::optional<WallTime> until;
    if (duration) until = WallTime(seconds(exemption.value("until", std::int64_t{0})));
    out << "Blocking is set aside: "
        << describe_exemption(exemption.value("device", ""), exemption.value("group", ""), exemption.value("name", ""),
                              until)
        << ".\n";
    if (until && *until <= clock.now().wall) err << "doline: the clock of this machine has been set meanwhile.\n";
  }
  return is_end && answer->value("ended", std::uint64_t{0}) == 0 ? exit_no : exit_ok;
}

}  // namespace doline

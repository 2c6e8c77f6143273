#include "doline/check_command.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "config/reader.h"
#include "doline/exit_status.h"

namespace doline {

int run_check(const CheckArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto settings = config::read_settings(arguments.file);
  if (settings) {
    if (!arguments.json)
      out << arguments.file.native() << ": good: " << settings->live.policy.rules.size() << " rules, "
          << settings->live.lists.size() << " lists, " << settings->live.devices.size() << " devices, "
          << settings->live.upstream.routes.size() << " upstream routes.\n";
    return exit_ok;
  }
  for (const config::Problem& problem : settings.error()) {
    if (arguments.json) {
      const nlohmann::ordered_json object = {{"file", problem.file},
                                             {"line", problem.line},
                                             {"column", problem.column},
                                             {"message", problem.message},
                                             {"hint", problem.hint}};
      out << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else {
      err << config::to_text(problem);
    }
  }
  if (!arguments.json)
    err << settings.error().size() << (settings.error().size() == 1 ? " mistake.\n" : " mistakes.\n");
  return exit_configuration;
}

}  // namespace doline

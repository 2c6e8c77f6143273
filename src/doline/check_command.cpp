#include "doline/check_command.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "config/reader.h"
#include "doline/exit_status.h"

namespace doline {

CLI::App* add_check_command(CLI::App& app, CheckArguments& arguments) {
  CLI::App* command = app.add_subcommand("check", "Every mistake in a configuration, with file, line and column");
  command->add_option("FILE", arguments.file, "The configuration")->required()->type_name("");
  command->add_flag("--json", arguments.json, "One object a line");
  command->footer("Example:\n  doline check /etc/doline/doline.yml\n\nExit status: 0 no mistake, 78 mistakes.");
  return command;
}

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

// `doline check FILE`: every mistake in a configuration, with its place.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace CLI {
class App;
}

namespace doline {

struct CheckArguments {
  std::filesystem::path file;
  bool json = false;
};

/// As add_log_command.
CLI::App* add_check_command(CLI::App& app, CheckArguments& arguments);
/// 0, or 78 mistakes.
int run_check(const CheckArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace doline

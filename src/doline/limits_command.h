// `doline limits`: every limit that is built in, by room. The named constants themselves are printed: it cannot lie.
#pragma once

#include <iosfwd>

namespace CLI {
class App;
}

namespace doline {

struct LimitsArguments {
  bool json = false;
};

/// As add_log_command.
CLI::App* add_limits_command(CLI::App& app, LimitsArguments& arguments);
/// 0
int run_limits(const LimitsArguments& arguments, std::ostream& out);

}  // namespace doline

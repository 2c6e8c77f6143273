// `doline run`: builds every part, hands each what it needs, and serves until SIGTERM.
#pragma once

#include <iosfwd>

#include "doline/settings_choice.h"

namespace doline {

struct RunArguments {
  SettingsChoice settings;
};

/// 0 stopped by signal, 69 no port could be opened, 78 the configuration has mistakes.
int run_doline(const RunArguments& arguments, std::ostream& err);

}  // namespace doline

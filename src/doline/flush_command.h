// `doline flush`: the running Doline forgets every answer that it has cached.
#pragma once

#include <iosfwd>

#include "doline/settings_choice.h"

namespace doline {

/// 0 once nothing is cached any more, 69 no Doline runs there, 77 no permission.
int run_flush(const SettingsChoice& choice, std::ostream& out, std::ostream& err);

}  // namespace doline

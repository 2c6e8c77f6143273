// `doline status`: what the running Doline does, and what is degraded.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "doline/settings_choice.h"

namespace doline {

struct StatusArguments {
  SettingsChoice settings;
  bool json = false;
};

/// 0 all is well, 1 degraded, 69 no Doline runs there, 77 not for this user.
int run_status(const StatusArguments& arguments, std::ostream& out, std::ostream& err);
/// For people; `status` as control's to_json(Status) makes it.
[[nodiscard]] std::string describe_status(const nlohmann::json& status);

}  // namespace doline

// `doline pause`, `doline resume`, `doline allow`: blocking set aside for a while, by the running Doline.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "base/time.h"
#include "doline/settings_choice.h"

namespace doline {

struct PauseArguments {
  enum class Verb : std::uint8_t { pause, resume, allow };
  bool is_called = false;
  SettingsChoice settings;
  Verb verb = Verb::pause;
  std::string device, group;
  std::string name;      ///< of `allow`
  std::string duration;  ///< empty: 15m for `pause`, without an end for `allow`
  bool all = false;      ///< of `resume`
  bool end = false;      ///< of `allow`: --end
  bool json = false;
};

/// 0, or 1 there was nothing to end, 64 usage or a device that nobody knows, 69 no Doline runs there, 77 no permission.
int run_pause(const PauseArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);
/// `for the device tv, until 2026-11-01 21:00:00`
[[nodiscard]] std::string describe_exemption(const std::string& device, const std::string& group,
                                             const std::string& name, std::optional<WallTime> until);

}  // namespace doline

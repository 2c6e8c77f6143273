// LockAlarms: what locked devices have asked for that their locks do not let pass: each name once, with when it came
// first. Its like in the log is a warning, the first time.
//
// Bounded whatever a device asks for: past lock_alarms_max names of one device the rest is in the query log alone.
// Owned by control, on its thread; forgotten at the end of a lock and of Doline.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "dns/name.h"

namespace doline::control {

inline constexpr std::size_t lock_alarms_max = 256;  ///< names of one device

class LockAlarms {
 public:
  struct Alarm {
    dns::Name name;
    WallTime first;
    bool is_refused = true;  ///< else its lock only observes, or blocking was set aside
  };
  enum class News : std::uint8_t { known, alarm, last_alarm /* the last that is kept of this device */ };

  News note(const std::string& device, const dns::Name& lowered, bool is_refused, WallTime now);
  void forget(std::string_view device);
  /// Oldest first; empty where there is none.
  [[nodiscard]] const std::vector<Alarm>& of(std::string_view device) const;

 private:
  std::map<std::string, std::vector<Alarm>, std::less<>> alarms_;
};

}  // namespace doline::control

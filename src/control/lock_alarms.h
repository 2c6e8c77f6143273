// LockAlarms: what locked devices have asked for, or wanted to connect to, that their locks do not let pass: each once,
// with when it came first. Its like in the log is a warning, the first time.
//
// Bounded whatever a device asks for: past lock_alarms_max of one kind and device the rest is in the query log alone.
// Owned by control, on its thread; forgotten at the end of a lock and of Doline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace doline::control {

inline constexpr std::size_t lock_alarms_max = 256;  ///< of one device and kind

class LockAlarms {
 public:
  enum class Kind : std::uint8_t { name, connection };
  struct Alarm {
    Kind kind = Kind::name;
    std::string what;  ///< the name, or `tcp 198.51.100.7 port 443`
    WallTime first;
    bool is_refused = true;  ///< else its lock only observes, or blocking was set aside
  };
  enum class News : std::uint8_t { known, alarm, last_alarm /* the last that is kept of this device */ };

  News note(const std::string& device, Kind kind, const std::string& what, bool is_refused, WallTime now);
  void forget(std::string_view device);
  /// Oldest first; empty where there is none.
  [[nodiscard]] const std::vector<Alarm>& of(std::string_view device) const;

 private:
  std::map<std::string, std::vector<Alarm>, std::less<>> alarms_;
};

}  // namespace doline::control

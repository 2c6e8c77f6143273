// LifeSigns: what systemd wants to hear (sd_notify(3)): READY, RELOADING, STOPPING, a status line, and signs of
// life for its watchdog. Silent where nobody listens. No library: it is one datagram. Control thread only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace doline::control {

class LifeSigns {
 public:
  /// From NOTIFY_SOCKET and WATCHDOG_USEC, which are taken out of the environment: children need not know.
  static LifeSigns from_environment();

  void ready(std::string_view status) const;
  void reloading() const;
  void stopping() const;
  void status(std::string_view status) const;
  void alive() const;
  /// How often alive() has to be said, at half the time that systemd waits; nothing: nobody waits.
  [[nodiscard]] std::optional<milliseconds> alive_every() const { return alive_every_; }

 private:
  void say(const std::string& words) const;
  std::string socket_;  // empty: nobody listens
  std::optional<milliseconds> alive_every_;
};

}  // namespace doline::control

// Trial: rules that are in place for a while, until somebody says that they may stay. If nobody does in time, what was
// before comes back: so an operator whom the new rules cut off has only to wait. The clock runs here, in the warden,
// because whoever applied may be gone by then.
//
// What happens meanwhile: applied again on trial, the time begins anew, and what would come back is still what was
// before the first trial. Applied without a trial, removed, or the warden ending: the trial is over. One warden's loop
// only.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "base/time.h"
#include "redirect/options.h"

namespace doline::warden {

class Trial {
 public:
  /// What comes back.
  struct Former {
    std::optional<redirect::Options> options;  ///< nothing: no rules
    bool had_memory = false;                   ///< `doline_seen` was there
  };

  /// `expired` is called on the loop when nobody has confirmed in time; the trial is then still pending.
  Trial(uv_loop_t* loop, std::function<void()> expired);
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// From now on, for so long; of one that is pending the former stays.
  void begin(const Former& former, seconds time);
  /// Confirmed, or of no matter any more.
  void end();
  [[nodiscard]] bool is_pending() const { return former_.has_value(); }
  /// Pending, and its time is not up.
  [[nodiscard]] bool is_running() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(&timer_)) != 0; }
  /// Only while pending.
  [[nodiscard]] const Former& former() const { return *former_; }
  /// Rounded up, so that it is 0 only where nothing is pending.
  [[nodiscard]] std::uint32_t seconds_left() const;
  /// The timer's handle, so that the loop can end. To be called once, last.
  void close();

 private:
  uv_timer_t timer_{};
  std::function<void()> expired_;
  std::optional<Former> former_;
};

}  // namespace doline::warden

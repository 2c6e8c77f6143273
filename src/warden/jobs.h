// Jobs: what is to be done one at a time, in order; each says itself when it is done. after(): one call, later. Both
// live on the loop of who uses them.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

namespace doline::warden {

/// Jobs that wait for the one under way. An honest resolver has one or two.
inline constexpr std::size_t jobs_max = 64;

class Jobs {
 public:
  /// Done with a job: the next may begin, inside this call.
  using Finish = std::function<void()>;

  /// Begins it inside this call where none is under way.
  void add(std::function<void(Finish)> job);
  /// Those that have not begun.
  void clear() { waiting_.clear(); }
  [[nodiscard]] bool are_full() const { return waiting_.size() >= jobs_max; }
  [[nodiscard]] bool is_busy() const { return is_busy_; }

 private:
  void begin_next();

  std::deque<std::function<void(Finish)>> waiting_;
  bool is_busy_ = false;
};

/// Calls once, not inside this call. The loop does not end before.
void after(uv_loop_t* loop, std::uint64_t delay_ms, std::function<void()> call);

}  // namespace doline::warden

#include "warden/trial.h"

#include <algorithm>
#include <utility>

#include "warden/uv_handle.h"

namespace doline::warden {

Trial::Trial(uv_loop_t* loop, std::function<void()> expired) : expired_(std::move(expired)) {
  uv_timer_init(loop, &timer_);
  timer_.data = this;
}

void Trial::begin(const Former& former, seconds time) {
  if (!former_) former_ = former;
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Trial*>(timer->data)->expired_(); },
      static_cast<std::uint64_t>(milliseconds(time).count()), 0);
}

void Trial::end() {
  former_.reset();
  uv_timer_stop(&timer_);
}

std::uint32_t Trial::seconds_left() const {
  if (!is_pending()) return 0;
  return std::max(std::uint32_t{1}, static_cast<std::uint32_t>((uv_timer_get_due_in(&timer_) + 999) / 1'000));
}

void Trial::close() {
  end();
  uv_close(as_handle(timer_), nullptr);
}

}  // namespace doline::warden

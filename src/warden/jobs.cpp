#include "warden/jobs.h"

#include <utility>

#include "warden/uv_handle.h"

namespace doline::warden {

void Jobs::add(std::function<void(Finish)> job) {
  waiting_.push_back(std::move(job));
  begin_next();
}

void Jobs::begin_next() {
  if (is_busy_ || waiting_.empty()) return;
  is_busy_ = true;
  auto job = std::move(waiting_.front());
  waiting_.pop_front();
  job([this] {
    is_busy_ = false;
    begin_next();
  });
}

void after(uv_loop_t* loop, std::uint64_t delay_ms, std::function<void()> call) {
  struct Alarm {
    uv_timer_t timer{};
    std::function<void()> call;
  };
  auto* const alarm = new Alarm{{}, std::move(call)};
  uv_timer_init(loop, &alarm->timer);
  alarm->timer.data = alarm;
  uv_timer_start(
      &alarm->timer,
      [](uv_timer_t* timer) {
        static_cast<Alarm*>(timer->data)->call();
        uv_close(as_handle(*timer), [](uv_handle_t* closed) { delete static_cast<Alarm*>(closed->data); });
      },
      delay_ms, 0);
}

}  // namespace doline::warden

// Turns the control loop until something holds.
#pragma once

#include <chrono>

#include "control/loop.h"

namespace doline::control::test {

/// At most ten seconds: then it is false.
template <class Condition>
bool run_until(Loop& loop, Condition holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const Watch wakes = loop.every(milliseconds(5), [] {});
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    uv_run(loop.uv(), UV_RUN_ONCE);
  }
  return true;
}

/// Lets the loop do what is ready, and what that makes ready.
inline void settle(Loop& loop, milliseconds time = milliseconds(50)) {
  bool is_over = false;
  const Watch end = loop.after(time, [&] { is_over = true; });
  run_until(loop, [&] { return is_over; });
}

}  // namespace doline::control::test

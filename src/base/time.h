// Time: two clocks that must not be mixed up, read together once per batch and handed down.
//
// Whoever decides, ages or records takes a Moment as an argument; nobody below the worker's loop reads a clock, so that
// a verdict can be replayed from its record and tests own time.
#pragma once

#include <chrono>
#include <cstdint>

namespace doline {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Never jumps; for TTLs, timeouts and latencies.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
/// UTC, microseconds since 1970; for records and schedules. May jump when the system's clock is set.
using WallTime = std::chrono::time_point<std::chrono::system_clock, microseconds>;

struct Moment {
  MonotonicTime monotonic;
  WallTime wall;
};

/// The seam that tests replace. Implementations may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Moment now() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Moment now() const override {
    return {std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now()),
            std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now())};
  }
};

}  // namespace doline

// Loop: the control thread's libuv loop, with just what control needs of it: timers, readable descriptors, signals,
// directory changes, jobs on the pool, and one door for other threads.
//
// Everything but post() is for the loop's own thread. Callbacks run on it. close() ends every watch, so that run()
// returns.
#pragma once

#include <uv.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/time.h"

namespace doline::control {

inline constexpr std::size_t messages_max = 8'192;  ///< posted and not yet run; past it post() refuses and counts

/// A running watch; destroying it ends it. Must not outlive the loop.
class Watch {
 public:
  struct Handle;
  Watch() = default;
  explicit Watch(Handle* handle) : handle_(handle) {}
  Watch(Watch&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Watch& operator=(Watch&& other) noexcept;
  ~Watch();
  [[nodiscard]] explicit operator bool() const { return handle_ != nullptr; }

 private:
  Handle* handle_ = nullptr;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop().
  void run();
  void stop();
  [[nodiscard]] uv_loop_t* uv() { return &loop_; }

  /// Any thread. False: full, or the loop has ended.
  bool post(std::function<void()> message);
  [[nodiscard]] std::uint64_t refused() const;

  [[nodiscard]] Watch after(milliseconds delay, std::function<void()> call);
  [[nodiscard]] Watch every(milliseconds period, std::function<void()> call);
  /// `events`: UV_READABLE, UV_WRITABLE. The descriptor stays the caller's and must stay open while watched. An error
  /// of it comes as UV_DISCONNECT, and nothing after it: who reads on watches anew.
  [[nodiscard]] Watch on_events(int descriptor, int events, std::function<void(int events)> call);
  [[nodiscard]] Watch on_signal(int signal, std::function<void()> call);
  /// The name of whatever changed in the folder (a file there is replaced by rename: watching the file would miss it).
  [[nodiscard]] Watch on_folder(const std::filesystem::path& folder, std::function<void(const std::string& name)> call);
  /// `job` on a pool thread (two of them, shared), then `done` here.
  void work(std::function<void()> job, std::function<void()> done);
  /// The same for what takes long and can wait: it runs when nobody else wants the processor, so that queries do not
  /// wait for it.
  void work_when_idle(std::function<void()> job, std::function<void()> done);
  [[nodiscard]] int jobs() const { return jobs_; }

 private:
  struct Door;
  uv_loop_t loop_;
  std::unique_ptr<Door> door_;
  int jobs_ = 0;
};

}  // namespace doline::control

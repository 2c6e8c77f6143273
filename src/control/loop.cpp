#include "control/loop.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "control/spare_memory.h"

namespace doline::control {

/// One libuv handle with its callback; frees itself once libuv has closed it.
struct Watch::Handle {
  union {
    uv_handle_t handle;
    uv_timer_t timer;
    uv_poll_t poll;
    uv_signal_t signal;
    uv_fs_event_t folder;
  };
  std::function<void()> call;
  std::function<void(int)> call_events;
  std::function<void(const std::string&)> call_name;

  Handle() { handle.data = nullptr; }
  ~Handle() = default;
  void close() {
    uv_close(&handle, [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
  }
  template <class UvHandle>
  static Handle& of(UvHandle* handle) {
    return *static_cast<Handle*>(handle->data);
  }
};

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    if (handle_) handle_->close();
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

Watch::~Watch() {
  if (handle_) handle_->close();
}

struct Loop::Door {
  uv_async_t async;
  std::mutex mutex;
  std::vector<std::function<void()>> messages;  // guarded by mutex
  bool open = true;                             // guarded by mutex
  std::atomic<std::uint64_t> refused{0};

  void run_messages() {
    std::vector<std::function<void()>> batch;
    {
      const std::lock_guard lock(mutex);
      batch.swap(messages);
    }
    for (auto& message : batch) message();
  }
};

Loop::Loop() : door_(std::make_unique<Door>()) {
  check(uv_loop_init(&loop_) == 0);
  door_->async.data = door_.get();
  check(uv_async_init(&loop_, &door_->async,
                      [](uv_async_t* async) { static_cast<Door*>(async->data)->run_messages(); }) == 0);
}

Loop::~Loop() {
  {
    const std::lock_guard lock(door_->mutex);
    door_->open = false;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&door_->async), nullptr);
  while (uv_run(&loop_, UV_RUN_DEFAULT) != 0) {  // until every handle has closed and every job is done
  }
  check(uv_loop_close(&loop_) == 0);
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}
void Loop::stop() {
  uv_stop(&loop_);
}

bool Loop::post(std::function<void()> message) {
  {
    const std::lock_guard lock(door_->mutex);
    if (!door_->open || door_->messages.size() >= messages_max) {
      door_->refused.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    door_->messages.push_back(std::move(message));
    uv_async_send(&door_->async);
  }
  return true;
}

std::uint64_t Loop::refused() const {
  return door_->refused.load(std::memory_order_relaxed);
}

namespace {

Watch start_timer(uv_loop_t* loop, milliseconds delay, milliseconds period, std::function<void()> call) {
  auto* handle = new Watch::Handle;
  uv_timer_init(loop, &handle->timer);
  handle->handle.data = handle;
  handle->call = std::move(call);
  uv_timer_start(
      &handle->timer,
      [](uv_timer_t* timer) {
        const auto run = Watch::Handle::of(timer).call;  // a copy: the call may end this very watch
        run();
      },
      static_cast<std::uint64_t>(delay.count()), static_cast<std::uint64_t>(period.count()));
  return Watch(handle);
}

}  // namespace

Watch Loop::after(milliseconds delay, std::function<void()> call) {
  return start_timer(&loop_, delay, milliseconds(0), std::move(call));
}
Watch Loop::every(milliseconds period, std::function<void()> call) {
  return start_timer(&loop_, period, period, std::move(call));
}

Watch Loop::on_events(int descriptor, int events, std::function<void(int)> call) {
  auto* handle = new Watch::Handle;
  check(uv_poll_init(&loop_, &handle->poll, descriptor) == 0);
  handle->handle.data = handle;
  handle->call_events = std::move(call);
  uv_poll_start(&handle->poll, events, [](uv_poll_t* poll, int status, int happened) {
    const auto run = Watch::Handle::of(poll).call_events;
    run(status < 0 ? UV_DISCONNECT : happened);
  });
  return Watch(handle);
}

Watch Loop::on_signal(int signal, std::function<void()> call) {
  auto* handle = new Watch::Handle;
  uv_signal_init(&loop_, &handle->signal);
  handle->handle.data = handle;
  handle->call = std::move(call);
  uv_signal_start(
      &handle->signal,
      [](uv_signal_t* caught, int) {
        const auto run = Watch::Handle::of(caught).call;
        run();
      },
      signal);
  return Watch(handle);
}

Watch Loop::on_folder(const std::filesystem::path& folder, std::function<void(const std::string&)> call) {
  auto* handle = new Watch::Handle;
  uv_fs_event_init(&loop_, &handle->folder);
  handle->handle.data = handle;
  handle->call_name = std::move(call);
  const int started = uv_fs_event_start(
      &handle->folder,
      [](uv_fs_event_t* event, const char* name, int, int) {
        const auto run = Watch::Handle::of(event).call_name;
        run(name ? name : "");
      },
      folder.c_str(), 0);
  Watch watch(handle);
  return started == 0 ? std::move(watch) : Watch();
}

void Loop::work(std::function<void()> job, std::function<void()> done) {
  struct Job {
    uv_work_t request;
    std::function<void()> job, done;
    Loop* loop;
  };
  auto* task = new Job{{}, std::move(job), std::move(done), this};
  task->request.data = task;
  ++jobs_;
  check(uv_queue_work(
            &loop_, &task->request,
            [](uv_work_t* work) {
              static_cast<Job*>(work->data)->job();
              give_back_freed_memory();
            },
            [](uv_work_t* work, int) {
              const std::unique_ptr<Job> finished(static_cast<Job*>(work->data));
              --finished->loop->jobs_;
              finished->done();
            }) == 0);
}

void Loop::work_when_idle(std::function<void()> job, std::function<void()> done) {
  work(
      [job = std::move(job)] {
        // A thread of its own: nobody without privilege comes back from SCHED_IDLE.
        std::thread([&job] {
          const sched_param no_priority{};
          pthread_setschedparam(pthread_self(), SCHED_IDLE, &no_priority);
          job();
        }).join();
      },
      std::move(done));
}

}  // namespace doline::control

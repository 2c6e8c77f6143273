#include "control/loop.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "run_until.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;
using doline::tests::TemporaryFolder;

TEST_CASE("timers run once or again and again, until their watch ends") {
  Loop loop;
  int once = 0, often = 0, never = 0;
  const Watch first = loop.after(milliseconds(1), [&] { ++once; });
  Watch second = loop.every(milliseconds(1), [&] { ++often; });
  {
    const Watch third = loop.after(milliseconds(1), [&] { ++never; });
  }
  REQUIRE(run_until(loop, [&] { return once == 1 && often >= 3; }));
  second = Watch();
  const int until_now = often;
  settle(loop);
  CHECK(often == until_now);
  CHECK(once == 1);
  CHECK(never == 0);
}

TEST_CASE("a call may end or renew its own watch") {
  Loop loop;
  int calls = 0;
  Watch own;
  own = loop.every(milliseconds(1), [&] {
    const std::string kept(100, 'x');  // of the callback, which must live as long as it runs
    own = Watch();
    if (++calls < 3) own = loop.after(milliseconds(1), [&] { ++calls; });
    CHECK(kept.size() == 100);
  });
  REQUIRE(run_until(loop, [&] { return calls == 2; }));
  CHECK(static_cast<bool>(own));
}

TEST_CASE("a watch that is moved is watched on") {
  Loop loop;
  int calls = 0;
  std::vector<Watch> watches;
  for (int i = 0; i < 20; ++i) watches.push_back(loop.after(milliseconds(1), [&] { ++calls; }));
  Watch taken = std::move(watches.front());
  watches.erase(watches.begin());
  CHECK(run_until(loop, [&] { return calls == 20; }));
}

TEST_CASE("a descriptor is watched for what it is wanted for, and may be watched anew") {
  Loop loop;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  int readable = 0;
  Watch watch = loop.on_events(ends[0], UV_READABLE, [&](int events) {
    CHECK((events & UV_READABLE) != 0);
    char octet;
    CHECK(::read(ends[0], &octet, 1) == 1);
    ++readable;
  });
  settle(loop);
  CHECK(readable == 0);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  REQUIRE(run_until(loop, [&] { return readable == 1; }));
  watch = Watch();
  bool is_writable = false;
  watch = loop.on_events(ends[1], UV_WRITABLE, [&](int) { is_writable = true; });
  REQUIRE(run_until(loop, [&] { return is_writable; }));
  // closed and opened again with the same number, as libcurl does
  watch = Watch();
  ::close(ends[0]);
  ::close(ends[1]);
  int again[2];
  REQUIRE(::pipe(again) == 0);
  is_writable = false;
  watch = loop.on_events(again[1], UV_WRITABLE, [&](int) { is_writable = true; });
  REQUIRE(run_until(loop, [&] { return is_writable; }));
  watch = Watch();
  ::close(again[0]);
  ::close(again[1]);
}

TEST_CASE("a signal is a call on the loop") {
  Loop loop;
  int caught = 0;
  const Watch watch = loop.on_signal(SIGUSR2, [&] { ++caught; });
  REQUIRE(::raise(SIGUSR2) == 0);
  CHECK(run_until(loop, [&] { return caught == 1; }));
}

TEST_CASE("a folder tells the name of what changed in it, replaced again and again") {
  const TemporaryFolder folder;
  Loop loop;
  int changes = 0;
  const Watch watch = loop.on_folder(folder.path(), [&](const std::string& name) {
    if (name == "file") ++changes;
  });
  REQUIRE(static_cast<bool>(watch));
  for (int i = 0; i < 3; ++i) {
    const int before = changes;
    folder.write("file", std::to_string(i));
    REQUIRE(run_until(loop, [&] { return changes > before; }));
    settle(loop, milliseconds(10));
  }
  CHECK_FALSE(static_cast<bool>(loop.on_folder(folder / "none", [](const std::string&) {})));
}

TEST_CASE("a job runs on another thread, and what it leads to on the loop's") {
  Loop loop;
  std::thread::id job_thread;
  bool is_done = false;
  loop.work([&] { job_thread = std::this_thread::get_id(); },
            [&] {
              CHECK(loop.jobs() == 0);
              is_done = true;
            });
  CHECK(loop.jobs() == 1);
  REQUIRE(run_until(loop, [&] { return is_done; }));
  CHECK(job_thread != std::this_thread::get_id());
}

TEST_CASE("a job that can wait runs on a thread of no priority, and leaves the others theirs") {
  Loop loop;
  std::vector<int> policies;
  const auto look = [&] { policies.push_back(sched_getscheduler(0)); };
  bool is_over = false;
  loop.work_when_idle(look, [&] {
    loop.work(look, [&] {
      loop.work(look, [&] {
        look();
        is_over = true;
      });
    });
  });
  REQUIRE(run_until(loop, [&] { return is_over; }));
  CHECK(policies == std::vector<int>{SCHED_IDLE, SCHED_OTHER, SCHED_OTHER, SCHED_OTHER});
}

TEST_CASE("messages of many threads run on the loop, each thread's in its order") {
  Loop loop;
  constexpr int threads = 4, each = 500;
  std::vector<std::vector<int>> arrived(threads);
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      for (int i = 0; i < each; ++i)
        CHECK(loop.post([&arrived, t, i] { arrived[static_cast<std::size_t>(t)].push_back(i); }));
    });
  CHECK(run_until(loop, [&] {
    for (const auto& numbers : arrived)
      if (numbers.size() != each) return false;
    return true;
  }));
  for (auto& sender : senders) sender.join();
  for (const auto& numbers : arrived)
    for (int i = 0; i < each; ++i) REQUIRE(numbers[static_cast<std::size_t>(i)] == i);
  CHECK(loop.refused() == 0);
}

TEST_CASE("past its bound a message is refused and counted, and the loop goes on") {
  Loop loop;
  std::size_t ran = 0;
  for (std::size_t i = 0; i < messages_max; ++i) CHECK(loop.post([&] { ++ran; }));
  CHECK_FALSE(loop.post([&] { ++ran; }));
  CHECK(loop.refused() == 1);
  REQUIRE(run_until(loop, [&] { return ran == messages_max; }));
  CHECK(loop.post([&] { ++ran; }));
}

TEST_CASE("run() lasts until stop()") {
  Loop loop;
  bool was_run = false;
  const Watch stopper = loop.after(milliseconds(1), [&] {
    was_run = true;
    loop.stop();
  });
  loop.run();
  CHECK(was_run);
}

TEST_CASE("a loop that ends lets its jobs end first") {
  std::atomic<bool> job_ran = false, done_ran = false;
  {
    Loop loop;
    loop.work([&] { job_ran = true; }, [&] { done_ran = true; });
  }
  CHECK(job_ran);
  CHECK(done_ran);
}

#include "transport/spawn.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <csignal>
#include <stdexcept>

#include "transport/as_tuple.h"

namespace doline::transport {
namespace {

asio::awaitable<void> take_two_turns(asio::io_context& loop, int& turns) {
  ++turns;
  co_await asio::post(loop, asio::use_awaitable);
  ++turns;
}

asio::awaitable<void> throw_something() {
  throw std::runtime_error("nobody waits for this");
  co_return;
}

TEST_CASE("a spawned coroutine begins on the loop's next turn and runs to its end") {
  asio::io_context loop;
  int turns = 0;
  spawn(loop.get_executor(), take_two_turns(loop, turns));
  CHECK(turns == 0);
  loop.run();
  CHECK(turns == 2);
}

TEST_CASE("a loop that goes away takes its spawned coroutines along") {
  int turns = 0;
  {
    asio::io_context loop;
    spawn(loop.get_executor(), take_two_turns(loop, turns));
  }
  CHECK(turns == 0);
}

TEST_CASE("an exception that escapes ends the process instead of vanishing") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // doctest's would report this as its own
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    asio::io_context loop;
    spawn(loop.get_executor(), throw_something());
    loop.run();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
}

}  // namespace
}  // namespace doline::transport

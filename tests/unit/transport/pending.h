// Operations of a loop, started and waited for by a test, which runs that loop itself: no other thread, no guess about
// time.
#pragma once

#include <doctest/doctest.h>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace doline::transport::test {

/// Does all that is ready now, and what that makes ready.
inline void settle(asio::io_context& loop) {
  loop.restart();
  while (loop.poll_one() > 0) {
  }
}

/// A started operation; outlive its loop's turns until wait() has returned.
template <class T>
class Pending {
 public:
  Pending(asio::io_context& loop, asio::awaitable<T> operation) : loop_(loop) {
    asio::co_spawn(loop, std::move(operation), [this](const std::exception_ptr& escaped, T value) {
      CHECK(escaped == nullptr);
      result_ = std::move(value);
    });
    settle(loop_);
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  [[nodiscard]] bool is_done() const { return result_.has_value(); }
  /// Runs the loop until the end, for at most ten seconds: then the test fails.
  [[nodiscard]] T wait() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!result_ && std::chrono::steady_clock::now() < end) {
      loop_.restart();
      loop_.run_one_for(std::chrono::milliseconds(50));
    }
    REQUIRE(result_.has_value());
    return std::move(*result_);
  }

 private:
  asio::io_context& loop_;
  std::optional<T> result_;
};

}  // namespace doline::transport::test

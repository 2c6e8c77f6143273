// Mailbox: bounded messages into one Asio loop from other threads. Full means refused and counted, never waited for.
#pragma once

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <cstdint>
#include <utility>

namespace doline::resolver {

inline constexpr int mailbox_messages_max = 16'384;

class Mailbox {
 public:
  explicit Mailbox(asio::io_context& loop) : loop_(loop) {}

  /// Any thread. Runs `message` on the loop; false: the mailbox was full and the message is gone (counted).
  template <class Message>
  bool post(Message message) {
    if (waiting_.fetch_add(1, std::memory_order_relaxed) >= mailbox_messages_max) {
      waiting_.fetch_sub(1, std::memory_order_relaxed);
      refused_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    asio::post(loop_, [this, message = std::move(message)]() mutable {
      waiting_.fetch_sub(1, std::memory_order_relaxed);
      message();
    });
    return true;
  }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  asio::io_context& loop_;
  std::atomic<int> waiting_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace doline::resolver

// SocketWatch: many sockets watched through one descriptor (epoll(7)), which a loop can wait for in their stead. So
// what becomes readable costs neither a wait of its own nor a second system call to find out that there is no more.
//
// By level: a socket is reported as long as there is something to read, or room to write. Sockets are known by the
// owner's number; one that is closed is watched no longer. One owner, one thread.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>

namespace doline::listener {

class SocketWatch {
 public:
  struct Wish {
    bool to_read = false, to_write = false;
    bool operator==(const Wish&) const = default;
  };
  struct News {
    std::uint64_t number = 0;
    bool can_read = false, can_write = false;  ///< an end or an error is told by both
    bool is_over = false;                      ///< both directions have ended, or the connection broke
  };

  /// Aborts where the system has no descriptor for it: at start only.
  SocketWatch();
  ~SocketWatch();
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  /// Readable when there is news; owned by this.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// False: the system has no room for it.
  [[nodiscard]] bool add(int socket, std::uint64_t number, Wish wish);
  /// An end or an error is told even without a wish.
  void change(int socket, std::uint64_t number, Wish wish);
  /// Calls `take(News)` for at most news_max sockets that have news now.
  template <class Take>
  void take_news(Take take) {
    for (const epoll_event& event : wait())
      take(News{.number = event.data.u64,
                .can_read = (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
                .can_write = (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0,
                .is_over = (event.events & (EPOLLHUP | EPOLLERR)) != 0});
  }

 private:
  static constexpr int news_max = 64;
  std::span<const epoll_event> wait();

  int descriptor_;
  std::array<epoll_event, news_max> news_;
};

}  // namespace doline::listener

// Lookout: says when a datagram socket is to be read. While the socket is quiet the loop's epoll watches it. While it
// is busy nobody does, and it is read once a turn: the kernel wakes who watches a socket for each datagram that has
// left it, too, and under load that is a tenth of what an answer costs.
//
// One loop only. Handlers may outlive the lookout: they hold their owner weakly.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

#include "transport/descriptor.h"

namespace doline::transport {

/// So many datagrams at once make a socket busy: what they save outweighs what it costs to watch it again.
inline constexpr std::size_t busy_datagrams = 16;
/// A busy socket is one no more when none of the loop's has had any, this many of its turns in a row.
inline constexpr int idle_turns = 2;

/// What the lookouts of one loop share; the first makes it.
class Bustle final : public asio::execution_context::service {
 public:
  using key_type = Bustle;
  static inline asio::execution_context::id id;
  explicit Bustle(asio::execution_context& loop) : service(loop) {}
  std::uint64_t datagrams = 0;  ///< read so far, from all sockets

 private:
  void shutdown() override {}
};

class Lookout {
 public:
  explicit Lookout(asio::io_context& loop) : bustle_(asio::use_service<Bustle>(loop)), descriptor_(loop) {}
  ~Lookout() { close(); }
  Lookout(const Lookout&) = delete;
  Lookout& operator=(const Lookout&) = delete;

  /// Takes the socket over.
  void open(int socket) {
    close();
    socket_ = socket;
    noted_ = 0;
    idle_ = idle_turns;
  }
  /// Handlers that were not called yet may be called still.
  void close() {
    unwatch();
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  [[nodiscard]] int socket() const { return socket_; }
  [[nodiscard]] bool is_watched() const { return descriptor_.is_open(); }

  /// So many datagrams were read.
  void note(std::size_t datagrams) {
    noted_ += datagrams;
    bustle_.datagrams += datagrams;
  }

  /// Calls `handler()` once, in a later turn, when there may be something to read. Where the system has no room to
  /// watch the socket it goes on as if that were busy.
  template <class Handler>
  void await(Handler handler) {
    const std::size_t noted = std::exchange(noted_, 0);
    if (is_watched()) {
      if (noted >= busy_datagrams) unwatch();
    } else {
      const bool is_idle = std::exchange(seen_, bustle_.datagrams) == bustle_.datagrams;
      idle_ = is_idle ? std::min(idle_ + 1, idle_turns) : 0;
      if (idle_ == idle_turns) watch();
    }
    if (!is_watched()) return asio::post(descriptor_.get_executor(), std::move(handler));
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                           [handler = std::move(handler)](const std::error_code& error) {
                             if (!error) handler();
                           });
  }

 private:
  void watch() {
    std::error_code no_room;
    descriptor_.assign(socket_, no_room);
  }
  void unwatch() {
    if (is_watched()) (void)descriptor_.release();
    seen_ = bustle_.datagrams;
    idle_ = 0;
  }

  Bustle& bustle_;
  Descriptor descriptor_;   // closed while nobody watches the socket
  std::size_t noted_ = 0;   // since the last await()
  std::uint64_t seen_ = 0;  // while nobody does: Bustle::datagrams at the last await()
  int idle_ = 0;            // and its turns in a row in which that had not grown
  int socket_ = -1;
};

}  // namespace doline::transport

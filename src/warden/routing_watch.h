// RoutingWatch: told when policy rules or routes are removed, or addresses of this machine come or go, whoever does it.
// Lives on the warden's loop.
#pragma once

#include <libmnl/libmnl.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace doline::warden {

class RoutingWatch {
 public:
  /// `removed`: some policy rule, or a route of a table that only policy rules lead to; or the kernel told more than
  /// was read. `readdressed`: some address came, went or was renewed, or likewise. Without a route socket nothing is
  /// ever told.
  RoutingWatch(uv_loop_t* loop, std::function<void()> removed, std::function<void()> readdressed);
  ~RoutingWatch();
  RoutingWatch(const RoutingWatch&) = delete;
  RoutingWatch& operator=(const RoutingWatch&) = delete;
  /// Lets go of the loop, which has to run on for a moment.
  void close();

 private:
  void listen();
  void read();

  std::function<void()> removed_, readdressed_;
  mnl_socket* socket_;
  uv_poll_t poll_{};
  std::vector<std::uint8_t> buffer_;
};

}  // namespace doline::warden

// TcpListener: DNS over TCP for one worker (RFC 7766): pipelined queries, responses in whatever order they are ready.
//
// One coroutine reads and one writes per connection, on the worker's loop. Limits: connections in all and per client (the one
// idle longest goes first), time to the first octets, idle time, queries in flight per connection (then reading pauses), and a
// bounded queue of responses for a client that does not read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/time.h"
#include "listener/arrival.h"
#include "listener/sockets.h"
#include "listener/udp_listener.h"

namespace doline::listener {

struct TcpLimits {
  int connections_max = 1'000;                  ///< per worker
  int connections_per_client_max = 32;
  int queries_in_flight_max = 64;               ///< per connection
  milliseconds first_octets{2'000};
  milliseconds idle{10'000};
};

struct TcpStatistics {
  std::uint64_t accepted = 0, refused = 0, evicted = 0, received = 0, sent = 0, client_gone = 0, open = 0;
};

class TcpListener {
 public:
  TcpListener(asio::io_context& loop, std::vector<SocketPair>& pairs, const Clock& clock, TcpLimits limits, Serve serve);
  ~TcpListener();
  void start();
  void stop();
  /// A late response; swallowed (and counted) where the connection has ended.
  bool send(const ReplyRoute& route, std::span<const std::uint8_t> response);
  /// The query behind `route` gets no response (dropped): its place in the connection's in-flight count is free again.
  void forget(const ReplyRoute& route);
  [[nodiscard]] const TcpStatistics& statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::listener

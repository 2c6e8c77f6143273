// TcpListener: DNS over TCP for one worker (RFC 7766): pipelined queries, responses in whatever order they are ready.
//
// Lives on the worker's loop. Asio only says when one of the sockets has news; octets are moved here. What is answered
// in a turn is written when it ends: whoever runs the loop calls flush(). Limits: connections (where there are too many
// the one idle longest goes, first among those of clients with more than their share), time to the first query, idle
// time, queries in flight per connection (then reading pauses), and the octets of responses that wait for clients that
// do not read. Only whole queries and responses count as activity: a client that sends an octet now and then is idle.
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

/// The longest query that is read; a longer one ends its connection. Bounds what a connection that never completes a
/// query can hold.
inline constexpr std::size_t stream_query_octets_max = 16'384;
/// Responses waiting for a client that does not read: from so many on its queries are not read.
inline constexpr std::size_t unsent_octets_pause = 65'536;
/// The same for all clients of a worker: beyond it the one for whom the most waits is left. Room for some that have the
/// longest responses to all queries that may be in flight.
inline constexpr std::size_t unsent_octets_max = 33'554'432;
/// How long no connection is accepted after the system has run out of descriptors or memory.
inline constexpr milliseconds accept_pause{100};

struct TcpLimits {
  int connections_max = 1'024;           ///< per worker
  int connections_of_client_share = 32;  ///< that a client keeps when there is no room for another's
  int queries_in_flight_max = 64;        ///< per connection: unanswered, or answered and not yet taken by the client
  milliseconds first_octets{2'000};      ///< from accept to the first whole query
  milliseconds idle{10'000};             ///< without a query, with none in flight; or with responses that are not taken
};

/// accepted = ended + open. Of the received queries, those that `serve` or send() answered = sent + client_gone +
/// waiting to be sent.
struct TcpStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;      ///< could not be accepted: no descriptor, no memory
  std::uint64_t evicted = 0;      ///< ended to make room for others
  std::uint64_t timed_out = 0;    ///< ended by a deadline
  std::uint64_t ended = 0;        ///< for whatever reason
  std::uint64_t received = 0;     ///< queries
  std::uint64_t sent = 0;         ///< responses
  std::uint64_t client_gone = 0;  ///< responses whose connection had ended
  std::uint64_t open = 0;         ///< connections now
};

class TcpListener {
 public:
  TcpListener(asio::io_context& loop, std::vector<SocketPair>& pairs, const Clock& clock, TcpLimits limits,
              Serve serve);
  ~TcpListener();
  void start();
  /// From now on ReplyRoute::interface is known of new connections.
  void tell_interfaces();
  /// From now on new connections of these may begin with a PROXY header (proxy_header.h).
  void trust(std::vector<IpPrefix> routers);
  void stop();
  /// A late response, copied; it leaves with the next flush(). Swallowed (and counted) where the connection has ended.
  bool send(const ReplyRoute& route, std::span<const std::uint8_t> response);
  void flush();
  /// The query behind `route` gets no response (dropped): its place in the connection's in-flight count is free again.
  void forget(const ReplyRoute& route);
  [[nodiscard]] const TcpStatistics& statistics() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // handlers that wait on the loop hold it weakly
};

}  // namespace doline::listener

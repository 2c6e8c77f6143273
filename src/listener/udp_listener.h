// UdpListener: one worker's UDP sockets. Batches in by recvmmsg, one call of `serve` per datagram, batches out by
// sendmmsg.
//
// Lives on the worker's loop. Asio only says when a socket is readable; packets are moved here. At most
// batches_per_wake batches of datagrams_per_batch are taken from a socket before other work gets its turn. Late
// responses are gathered too: whoever runs the loop calls flush() when a turn ends, so that nothing waits for the next.
// Only then the socket is waited at again: that is a system call, for which no query should wait.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/time.h"
#include "dns/message.h"
#include "listener/arrival.h"
#include "listener/sockets.h"

namespace asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's name
}

namespace doline::listener {

inline constexpr int datagrams_per_batch = 64;
inline constexpr int batches_per_wake = 4;
inline constexpr std::size_t datagram_octets_max =
    4'096;  ///< a larger query is truncated by the kernel and dropped, counted
inline constexpr std::size_t datagram_response_octets_max = 1'280;  ///< what passes everywhere (RFC 8200 §5)

/// The original destination of a query on a `redirected` UDP socket is known to conntrack only: such an arrival comes
/// with source conntrack and the unspecified endpoint, port 0, for whoever serves it to fill in.
///
/// Serves one query: writes the response to `out` and returns its octets, or 0: nothing to send now (dropped, or it
/// waits and comes later by send(), never from within this call). Called on the loop.
using Serve = std::function<std::size_t(Arrival& arrival, std::span<std::uint8_t> out)>;
/// A batch begins: its time, and the octets of its datagrams, which stay as they are until its end. They will be served
/// in this order; one or the other may be left out.
using BeginBatch = std::function<void(Moment now, std::span<const dns::Octets> messages)>;

/// received = served + oversized + not_allowed; responses given, at once or by send() = sent + send_failed.
struct UdpStatistics {
  std::uint64_t received = 0;
  std::uint64_t served = 0;       ///< given to `serve`
  std::uint64_t oversized = 0;    ///< longer than datagram_octets_max: dropped
  std::uint64_t not_allowed = 0;  ///< from port 0, or from or to a broadcast or multicast address: dropped
  std::uint64_t sent = 0;
  std::uint64_t send_failed = 0;  ///< the kernel had no room, no route, or a firewall said no
};

class UdpListener {
 public:
  /// Takes the UDP descriptors out of `pairs`.
  UdpListener(asio::io_context& loop, std::vector<SocketPair>& pairs, const Clock& clock, BeginBatch begin_batch,
              Serve serve);
  ~UdpListener();
  void start();
  /// From now on ReplyRoute::interface is known of every query, where it need not be for the response.
  void tell_interfaces();
  /// From now on these may begin datagrams with a PROXY header (proxy_header.h).
  void trust(std::vector<IpPrefix> routers);
  void stop();
  /// A late response of at most datagram_response_octets_max octets, copied; it leaves with the next flush().
  void send(const ReplyRoute& route, const Endpoint& client, std::span<const std::uint8_t> response);
  void flush();
  [[nodiscard]] const UdpStatistics& statistics() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // handlers that wait on the loop hold it weakly
};

}  // namespace doline::listener

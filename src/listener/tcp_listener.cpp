#include "listener/tcp_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "dns/message.h"
#include "transport/as_tuple.h"
#include "transport/message_stream.h"
#include "transport/spawn.h"

namespace doline::listener {

namespace {

/// SO_ORIGINAL_DST of <linux/netfilter_ipv4.h> and IP6T_SO_ORIGINAL_DST; those headers do not go together with
/// <netinet/in.h>.
constexpr int original_destination_option = 80;
/// A response queue that grew beyond this is given back when it is empty.
constexpr std::size_t queue_octets_kept = 16'384;

struct Connection;
using ConnectionList = std::list<Connection*>;

struct Connection {
  Connection(asio::ip::tcp::socket socket, std::uint64_t number)
      : id(number), resume(socket.get_executor()), stream(std::move(socket), stream_query_octets_max) {}

  const std::uint64_t id;
  Endpoint client;
  device::Destination destination;
  IpAddress local;
  /// Woken by cancel(): the reader waits on it while there is too much in flight.
  asio::steady_timer resume;
  transport::MessageStream stream;
  std::vector<std::uint8_t> queue, writing;  // frames; a writer takes the whole queue at a time
  int queued = 0, being_written = 0;         // responses in them
  int unanswered = 0;                        // queries that were served and have neither a response nor been forgotten
  bool has_writer = false;                   // the client is slow
  bool is_to_flush = false;
  bool is_paused = false;
  bool has_read_all = false;  // the client has closed its side (half-close): what is in flight is still answered
  bool is_open = true;
  ConnectionList* list = nullptr;  // quiet or busy
  ConnectionList::iterator place;

  [[nodiscard]] int in_flight() const { return unanswered + queued + being_written; }
};

using ConnectionPointer = std::shared_ptr<Connection>;

/// Whom an accepted connection was meant for.
device::Destination destination_of(int descriptor, SocketKind kind, const Endpoint& local) {
  const device::Destination ours{local, device::DestinationSource::local};
  switch (kind) {
    case SocketKind::ordinary:
      return ours;
    case SocketKind::transparent:
      // What this machine asks of itself (::1, 127.0.0.153) reaches this socket too.
      if (local.address.is_loopback()) return ours;
      return {local, device::DestinationSource::tproxy};
    case SocketKind::redirected: {
      SocketAddress original;
      const int level = local.address.is_v4() ? IPPROTO_IP : IPPROTO_IPV6;
      original.length = local.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
      // Without an entry in conntrack nothing was redirected: somebody asks the private port.
      if (getsockopt(descriptor, level, original_destination_option, original.get(), &original.length) != 0)
        return ours;
      const Endpoint meant = to_endpoint(original.get());
      if (meant == local) return ours;
      return {meant, device::DestinationSource::conntrack};
    }
  }
  return ours;
}

/// By number: Asio's category does not map all of these to conditions.
bool is_shortage(const std::error_code& error) {
  const int number = error.value();
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

}  // namespace

struct TcpListener::Impl : std::enable_shared_from_this<Impl> {
  struct Door {
    asio::ip::tcp::acceptor acceptor;
    asio::steady_timer pause;
    SocketKind kind;
  };

  Impl(asio::io_context& loop_in, const Clock& clock_in, TcpLimits limits_in, Serve serve_in)
      : loop(loop_in), clock(clock_in), limits(limits_in), serve(std::move(serve_in)) {}

  // ── accepting
  // ────────────────────────────────────────────────────────────────────────────────────────────────────────

  static asio::awaitable<void> accept(std::shared_ptr<Impl> self, std::size_t index) {
    Door& door = self->doors[index];
    while (!self->is_stopped) {
      asio::ip::tcp::endpoint client;
      auto result = co_await door.acceptor.async_accept(client, transport::use_tuple);
      auto& [error, socket] = result;
      if (self->is_stopped) break;
      if (!error) {
        self->admit(std::move(socket), to_endpoint(client.data()), door.kind);
        continue;
      }
      ++self->statistics.refused;
      if (error.value() == ECONNABORTED) continue;
      // Any other error may come back at once and keep the loop from everything else: EMFILE does.
      if (is_shortage(error)) self->evict(self->idlest());
      door.pause.expires_after(accept_pause);
      const auto paused = co_await door.pause.async_wait(transport::use_tuple);
      (void)paused;
    }
  }

  void admit(asio::ip::tcp::socket socket, const Endpoint& client, SocketKind kind) {
    SocketAddress local_address;
    const int descriptor = socket.native_handle();
    if (getsockname(descriptor, local_address.get(), &local_address.length) != 0) return;
    const Endpoint local = to_endpoint(local_address.get());
    const int on = 1;
    // Responses are written whole: nothing is gained by waiting for more (RFC 7766 §8).
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

    if (static_cast<int>(connections.size()) >= limits.connections_max) {
      Connection* const greedy = idlest_of_greedy();
      evict(greedy != nullptr ? greedy : idlest());
    }

    auto connection = std::make_shared<Connection>(std::move(socket), next_id++);
    connection->client = client;
    connection->local = local.address;
    connection->destination = destination_of(descriptor, kind, local);
    connection->list = &quiet;
    connection->place = quiet.insert(quiet.end(), connection.get());
    connections.emplace(connection->id, connection);
    ++connections_of[client.address];
    ++statistics.accepted;
    ++statistics.open;
    transport::spawn(loop.get_executor(), read_queries(shared_from_this(), std::move(connection)));
  }

  // ── whom to leave when there is no room
  // ──────────────────────────────────────────────────────────────────────────────

  /// Called at every whole query and response, and where in_flight() changed: keeps both lists in the order of the last
  /// activity.
  void touch(Connection& connection) {
    if (!connection.is_open) return;
    ConnectionList& due = connection.in_flight() > 0 ? busy : quiet;
    due.splice(due.end(), *connection.list, connection.place);
    connection.list = &due;
  }

  /// The one idle longest: of those that wait for nothing, if there are any.
  Connection* idlest() {
    if (!quiet.empty()) return quiet.front();
    return busy.empty() ? nullptr : busy.front();
  }

  /// Of clients with more than their share.
  Connection* idlest_of_greedy() {
    for (ConnectionList* list : {&quiet, &busy})
      for (Connection* connection : *list)
        if (connections_of[connection->client.address] > limits.connections_of_client_share) return connection;
    return nullptr;
  }

  void evict(Connection* connection) {
    if (connection == nullptr) return;
    ++statistics.evicted;
    end(*connection);
  }

  /// Ends a connection; its coroutines notice and return. Responses that were not written are counted as client_gone.
  void end(Connection& connection) {
    if (!connection.is_open) return;
    connection.is_open = false;
    statistics.client_gone += static_cast<std::uint64_t>(std::exchange(connection.queued, 0));
    connection.list->erase(connection.place);
    const auto count = connections_of.find(connection.client.address);
    if (--count->second == 0) connections_of.erase(count);
    connection.stream.close();
    connection.resume.cancel();
    ++statistics.ended;
    --statistics.open;
    connections.erase(connection.id);  // the coroutines hold it as long as they need it
  }

  // ── reading
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  static asio::awaitable<void> read_queries(std::shared_ptr<Impl> self, ConnectionPointer connection) {
    MonotonicTime deadline = self->clock.now().monotonic + self->limits.first_octets;
    while (connection->is_open) {
      auto query = co_await connection->stream.read(deadline);
      if (!connection->is_open) break;
      if (!query) {
        self->end_reading(*connection, query.error());
        break;
      }
      self->serve_query(connection, *query);
      while (connection->is_open && self->is_full(*connection)) {
        connection->is_paused = true;
        connection->resume.expires_at(transport::never);
        const auto resumed = co_await connection->resume.async_wait(transport::use_tuple);
        (void)resumed;
      }
      connection->is_paused = false;
      deadline = self->read_deadline(*connection);
    }
  }

  /// RFC 7766 §6.2.3: a connection is idle when nothing is in flight.
  [[nodiscard]] MonotonicTime read_deadline(const Connection& connection) const {
    return connection.in_flight() > 0 ? transport::never : clock.now().monotonic + limits.idle;
  }

  [[nodiscard]] bool is_full(const Connection& connection) const {
    return connection.in_flight() >= limits.queries_in_flight_max ||
           connection.queue.size() + connection.writing.size() >= unsent_octets_pause;
  }

  void serve_query(const ConnectionPointer& connection, dns::Octets query) {
    ++statistics.received;
    ++connection->unanswered;
    touch(*connection);
    Arrival arrival{.message = query,
                    .client = connection->client,
                    .destination = connection->destination,
                    .route = {.carrier = Carrier::tcp, .local = connection->local, .connection = connection->id},
                    .at = clock.now()};
    const std::size_t size = serve(arrival, response);
    check(size <= response.size());
    if (size > 0) answer(connection, {response.data(), size});
  }

  void end_reading(Connection& connection, transport::StreamFault fault) {
    if (fault == transport::StreamFault::timeout) ++statistics.timed_out;
    const bool may_still_read = fault == transport::StreamFault::closed || fault == transport::StreamFault::truncated;
    connection.has_read_all = true;
    if (!may_still_read || connection.in_flight() == 0) end(connection);
  }

  // ── answering
  // ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void answer(const ConnectionPointer& connection, dns::Octets octets) {
    check(connection->unanswered > 0);
    --connection->unanswered;
    if (!connection->is_open) {
      ++statistics.client_gone;
      return;
    }
    ++connection->queued;
    transport::append_frame(connection->queue, octets);
    if (connection->queue.size() + connection->writing.size() > unsent_octets_max) return end(*connection);
    touch(*connection);
    if (!std::exchange(connection->is_to_flush, true)) to_flush.push_back(connection);
  }

  void flush() {
    for (std::size_t i = 0; i < to_flush.size(); ++i) {  // ending one connection adds none
      const ConnectionPointer connection = std::move(to_flush[i]);
      connection->is_to_flush = false;
      if (connection->is_open && !connection->has_writer) write_now(connection);
    }
    to_flush.clear();
  }

  /// As a rule the kernel takes all. A client that does not read is waited for by a coroutine.
  void write_now(const ConnectionPointer& connection) {
    const ssize_t written = ::send(connection->stream.socket().native_handle(), connection->queue.data(),
                                   connection->queue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written == static_cast<ssize_t>(connection->queue.size())) {
      statistics.sent += static_cast<std::uint64_t>(std::exchange(connection->queued, 0));
      connection->queue.clear();
      if (connection->queue.capacity() > queue_octets_kept) std::vector<std::uint8_t>().swap(connection->queue);
      go_on(*connection);
    } else if (written >= 0 || errno == EAGAIN || errno == EINTR) {
      if (written > 0) connection->queue.erase(connection->queue.begin(), connection->queue.begin() + written);
      connection->has_writer = true;
      transport::spawn(loop.get_executor(), write_responses(shared_from_this(), connection));
    } else {
      end(*connection);
    }
  }

  static asio::awaitable<void> write_responses(std::shared_ptr<Impl> self, ConnectionPointer connection) {
    while (connection->is_open && connection->queued > 0) {
      connection->writing.swap(connection->queue);
      connection->being_written = std::exchange(connection->queued, 0);
      const MonotonicTime deadline = self->clock.now().monotonic + self->limits.idle;
      const auto written = co_await connection->stream.write(connection->writing, deadline);
      const auto count = static_cast<std::uint64_t>(std::exchange(connection->being_written, 0));
      if (!written) {
        self->statistics.client_gone += count;
        if (written.error() == transport::StreamFault::timeout && connection->is_open) ++self->statistics.timed_out;
        self->end(*connection);
        break;
      }
      self->statistics.sent += count;
      connection->writing.clear();
      if (connection->writing.capacity() > queue_octets_kept) std::vector<std::uint8_t>().swap(connection->writing);
      self->go_on(*connection);
    }
    connection->has_writer = false;
  }

  /// Something is no longer in flight: reading may resume, the connection may be idle now, or done.
  void go_on(Connection& connection) {
    if (!connection.is_open) return;
    touch(connection);
    if (connection.has_read_all) {
      if (connection.in_flight() == 0) end(connection);
    } else if (connection.is_paused) {
      if (!is_full(connection)) connection.resume.cancel();
    } else if (connection.in_flight() == 0) {
      connection.stream.set_read_deadline(clock.now().monotonic + limits.idle);
    }
  }

  bool send(const ReplyRoute& route, dns::Octets octets) {
    check(route.carrier == Carrier::tcp);
    const auto found = connections.find(route.connection);
    if (found == connections.end()) {
      ++statistics.client_gone;
      return false;
    }
    answer(ConnectionPointer(found->second), octets);
    return true;
  }

  void forget(const ReplyRoute& route) {
    check(route.carrier == Carrier::tcp);
    const auto found = connections.find(route.connection);
    if (found == connections.end()) return;
    const ConnectionPointer connection = found->second;
    check(connection->unanswered > 0);
    --connection->unanswered;
    go_on(*connection);
  }

  // ── start and stop
  // ───────────────────────────────────────────────────────────────────────────────────────────────────

  void stop() {
    flush();
    is_stopped = true;
    std::error_code ignored;
    for (Door& door : doors) {
      door.acceptor.close(ignored);
      door.pause.cancel();
    }
    while (Connection* connection = idlest()) end(*connection);
  }

  asio::io_context& loop;
  const Clock& clock;
  const TcpLimits limits;
  Serve serve;
  std::vector<Door> doors;
  std::uint64_t next_id = 1;
  std::unordered_map<std::uint64_t, ConnectionPointer> connections;
  std::unordered_map<IpAddress, int> connections_of;
  ConnectionList quiet, busy;  // without and with queries in flight; the one idle longest first
  std::vector<ConnectionPointer> to_flush;
  std::vector<std::uint8_t> response = std::vector<std::uint8_t>(dns::message_octets_max);
  bool is_stopped = false;
  TcpStatistics statistics;
};

TcpListener::TcpListener(asio::io_context& loop, std::vector<SocketPair>& pairs, const Clock& clock, TcpLimits limits,
                         Serve serve)
    : impl_(std::make_shared<Impl>(loop, clock, limits, std::move(serve))) {
  for (SocketPair& pair : pairs) {
    const auto protocol = pair.address.address.is_v4() ? asio::ip::tcp::v4() : asio::ip::tcp::v6();
    impl_->doors.push_back(
        {asio::ip::tcp::acceptor(loop, protocol, pair.tcp.release()), asio::steady_timer(loop), pair.kind});
  }
}

TcpListener::~TcpListener() {
  stop();
}

void TcpListener::start() {
  for (std::size_t index = 0; index < impl_->doors.size(); ++index)
    transport::spawn(impl_->loop.get_executor(), Impl::accept(impl_, index));
}

void TcpListener::stop() {
  impl_->stop();
}

bool TcpListener::send(const ReplyRoute& route, std::span<const std::uint8_t> response) {
  return impl_->send(route, response);
}

void TcpListener::flush() {
  impl_->flush();
}

void TcpListener::forget(const ReplyRoute& route) {
  impl_->forget(route);
}

const TcpStatistics& TcpListener::statistics() const {
  return impl_->statistics;
}

}  // namespace doline::listener

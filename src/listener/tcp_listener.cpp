#include "listener/tcp_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "dns/message.h"
#include "dns/read_octets.h"
#include "listener/proxy_header.h"
#include "listener/socket_watch.h"
#include "transport/descriptor.h"
#include "transport/message_stream.h"

namespace doline::listener {

namespace {

/// SO_ORIGINAL_DST of <linux/netfilter_ipv4.h> and IP6T_SO_ORIGINAL_DST; those headers do not go together with
/// <netinet/in.h>.
constexpr int original_destination_option = 80;
constexpr std::size_t length_octets = 2;
/// What one call reads, beside the beginning of a query that came before.
constexpr std::size_t octets_per_read = 16'384;
/// Whatever is kept of what was read, and one more reading.
constexpr std::size_t room_octets = length_octets + stream_query_octets_max + octets_per_read;
/// What grew beyond this for one connection is given back when it is empty.
constexpr std::size_t octets_kept = 16'384;
/// Connections taken from a door before other work gets its turn.
constexpr int accepts_per_wake = 64;
/// Deadlines are looked at this often in the shortest time that one may be away: so late may they be noticed.
constexpr int looks_per_deadline = 16;

constexpr MonotonicTime never = MonotonicTime::max();

struct Connection;
using ConnectionList = std::list<Connection*>;

struct Connection {
  Connection(Socket socket_in, std::uint64_t number) : id(number), socket(std::move(socket_in)) {}

  const std::uint64_t id;
  Socket socket;
  Endpoint client;
  IpAddress behind;  // for whom it speaks, from its PROXY header on
  device::Destination destination;
  IpAddress local;
  std::uint32_t interface = 0;  // index of arrival, where it is wanted
  SocketWatch::Wish wish{.to_read = true, .to_write = false};
  std::vector<std::uint8_t> rest;            // has arrived and is not served: mostly nothing
  std::vector<std::uint8_t> queue, writing;  // frames; what a slow client has not taken is moved to `writing`
  std::size_t written = 0;                   // of `writing`
  int queued = 0, being_written = 0;         // responses in them
  int unanswered = 0;                        // queries that were served and have neither a response nor been forgotten
  MonotonicTime read_deadline = never, write_deadline = never;
  bool is_to_flush = false;
  bool is_paused = false;
  bool may_say_for_whom = false;  // nothing has come yet, and it is a trusted router's
  bool has_read_all = false;      // the client has closed its side (half-close): what is in flight is still answered
  bool is_open = true;
  ConnectionList* list = nullptr;  // quiet or busy
  ConnectionList::iterator place;

  [[nodiscard]] int in_flight() const { return unanswered + queued + being_written; }
  [[nodiscard]] std::size_t unsent_octets() const { return queue.size() + writing.size(); }
  [[nodiscard]] bool is_slow() const { return being_written > 0; }
  [[nodiscard]] MonotonicTime deadline() const { return std::min(read_deadline, write_deadline); }
};

/// Whom an accepted connection was meant for.
device::Destination destination_of(int descriptor, SocketKind kind, const Endpoint& local, const Endpoint& resolver) {
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
    case SocketKind::mapped:
      return {resolver, device::DestinationSource::port_map};
  }
  return ours;
}

/// The index of the interface that the connection came by; 0 where the kernel does not say.
std::uint32_t interface_of(int descriptor, bool is_v4) {
  const int level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6, on = 1;
  if (setsockopt(descriptor, level, is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on) != 0) return 0;
  alignas(cmsghdr) std::array<std::uint8_t, 256> control_room;
  socklen_t size = control_room.size();
  if (getsockopt(descriptor, level, is_v4 ? IP_PKTOPTIONS : IPV6_2292PKTOPTIONS, control_room.data(), &size) != 0)
    return 0;
  msghdr message{};
  message.msg_control = control_room.data();
  message.msg_controllen = size;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      return static_cast<std::uint32_t>(info.ipi_ifindex);
    }
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      return info.ipi6_ifindex;
    }
  }
  return 0;
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// Nothing to read, or no room to write, now.
bool is_for_later(int error) {
  return error == EAGAIN || error == EINTR;
}

void empty(std::vector<std::uint8_t>& octets) {
  octets.clear();
  if (octets.capacity() > octets_kept) std::vector<std::uint8_t>().swap(octets);
}

}  // namespace

struct TcpListener::Impl : std::enable_shared_from_this<Impl> {
  struct Door {
    Socket socket;
    SocketKind kind;
    Endpoint resolver;  // mapped
    asio::steady_timer pause;
  };

  Impl(asio::io_context& loop_in, const Clock& clock_in, TcpLimits limits_in, Serve serve_in)
      : loop(loop_in),
        clock(clock_in),
        limits(limits_in),
        serve(std::move(serve_in)),
        waiting(loop_in, watch.descriptor()),
        sweeping(loop_in) {}
  ~Impl() { (void)waiting.release(); }  // the descriptor is the watch's

  // ── turns of the loop
  // ────────────────────────────────────────────────────────────────────────────────────────────────────

  void start() {
    // Doors have the numbers below those of connections.
    next_id = doors.size();
    for (std::size_t index = 0; index < doors.size(); ++index)
      check(watch.add(doors[index].socket.get(), index, {.to_read = true}));
    wait();
  }

  void wait() {
    waiting.async_wait(asio::posix::descriptor_base::wait_read,
                       [weak = weak_from_this()](const std::error_code& error) {
                         const std::shared_ptr<Impl> impl = weak.lock();
                         if (!impl || impl->is_stopped || error) return;
                         impl->begin_turn();
                         impl->watch.take_news([&](const SocketWatch::News& news) { impl->take(news); });
                         impl->wait();
                       });
  }

  void begin_turn() {
    now = clock.now();
    has_begun_turn = true;
  }

  void take(const SocketWatch::News& news) {
    if (news.number < doors.size()) return accept(news.number);
    const auto found = connections.find(news.number);
    if (found == connections.end()) return;
    Connection& connection = *found->second;
    if (news.can_write && connection.is_slow()) write_on(connection);
    if (!connection.is_open) return;
    if (connection.wish.to_read ? news.can_read : news.is_over)
      connection.wish.to_read ? read(connection) : end(connection);
  }

  /// After whatever may change what is waited for.
  void watch_for(Connection& connection) {
    const SocketWatch::Wish wish{.to_read = !connection.is_paused && !connection.has_read_all,
                                 .to_write = connection.is_slow()};
    if (wish == connection.wish) return;
    connection.wish = wish;
    watch.change(connection.socket.get(), connection.id, wish);
  }

  // ── accepting
  // ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void accept(std::size_t index) {
    Door& door = doors[index];
    for (int count = 0; count < accepts_per_wake; ++count) {
      SocketAddress client;
      const int descriptor = accept4(door.socket.get(), client.get(), &client.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor >= 0) {
        admit(Socket(descriptor), to_endpoint(client.get()), door);
        continue;
      }
      const int error = errno;
      if (is_for_later(error)) return;
      ++statistics.refused;
      if (error == ECONNABORTED) continue;
      // Any other error may come back at once and keep the loop from everything else: EMFILE does.
      if (is_shortage(error)) evict(idlest());
      return pause(index);
    }
  }

  void pause(std::size_t index) {
    watch.change(doors[index].socket.get(), index, {});
    doors[index].pause.expires_after(accept_pause);
    doors[index].pause.async_wait([weak = weak_from_this(), index](const std::error_code& error) {
      const std::shared_ptr<Impl> impl = weak.lock();
      if (!impl || impl->is_stopped || error) return;
      impl->watch.change(impl->doors[index].socket.get(), index, {.to_read = true});
    });
  }

  void admit(Socket socket, const Endpoint& client, const Door& door) {
    SocketAddress local_address;
    const int descriptor = socket.get();
    if (getsockname(descriptor, local_address.get(), &local_address.length) != 0) return;
    const Endpoint local = to_endpoint(local_address.get());
    const int on = 1;
    // Responses are written whole: nothing is gained by waiting for more (RFC 7766 §8).
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

    if (static_cast<int>(connections.size()) >= limits.connections_max) {
      Connection* const greedy = idlest_of_greedy();
      evict(greedy != nullptr ? greedy : idlest());
    }

    auto made = std::make_unique<Connection>(std::move(socket), next_id);
    if (!watch.add(descriptor, made->id, made->wish)) {
      ++statistics.refused;
      return;
    }
    ++next_id;
    Connection& connection = *connections.emplace(made->id, std::move(made)).first->second;
    connection.client = client;
    connection.local = local.address;
    connection.destination = destination_of(descriptor, door.kind, local, door.resolver);
    connection.may_say_for_whom = contains(routers, client.address);
    if (tells_interfaces) connection.interface = interface_of(descriptor, local.address.is_v4());
    connection.list = &quiet;
    connection.place = quiet.insert(quiet.end(), &connection);
    ++connections_of[client.address];
    ++statistics.accepted;
    ++statistics.open;
    set_deadline(connection.read_deadline, now.monotonic + limits.first_octets);
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

  /// For whom the most waits.
  Connection* greediest() {
    return std::ranges::max_element(connections, {}, [](const auto& each) { return each.second->unsent_octets(); })
        ->second.get();
  }

  void evict(Connection* connection) {
    if (connection == nullptr) return;
    ++statistics.evicted;
    end(*connection);
  }

  /// Ends a connection. Responses that were not written are counted as client_gone. What is left of it stays until
  /// flush(), since those who called may still look at it.
  void end(Connection& connection) {
    if (!connection.is_open) return;
    connection.is_open = false;
    statistics.client_gone +=
        static_cast<std::uint64_t>(std::exchange(connection.queued, 0) + std::exchange(connection.being_written, 0));
    connection.list->erase(connection.place);
    const auto count = connections_of.find(connection.client.address);
    if (--count->second == 0) connections_of.erase(count);
    connection.socket = {};
    give_back(connection.queue);
    give_back(connection.writing);
    ++statistics.ended;
    --statistics.open;
    const auto found = connections.find(connection.id);
    ended.push_back(std::move(found->second));
    connections.erase(found);
  }

  // ── deadlines
  // ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void set_deadline(MonotonicTime& deadline, MonotonicTime at) {
    deadline = at;
    if (at < armed_for) arm(at);
  }

  /// The timer is set anew only for an earlier time; what is no longer due is found out when its time comes.
  void arm(MonotonicTime at) {
    armed_for = at;
    sweeping.expires_at(at);
    sweeping.async_wait([weak = weak_from_this()](const std::error_code& error) {
      const std::shared_ptr<Impl> impl = weak.lock();
      if (!impl || impl->is_stopped || error) return;
      impl->begin_turn();
      impl->sweep();
    });
  }

  void sweep() {
    armed_for = never;
    MonotonicTime next = never;
    for (ConnectionList* list : {&quiet, &busy})
      for (auto place = list->begin(); place != list->end();) {
        Connection& connection = **place++;
        if (connection.deadline() > now.monotonic) {
          next = std::min(next, connection.deadline());
          continue;
        }
        ++statistics.timed_out;
        end(connection);
      }
    if (next == never) return;
    const auto pause = std::max(milliseconds(1), std::min(limits.first_octets, limits.idle) / looks_per_deadline);
    arm(std::max(next, now.monotonic + pause));
  }

  // ── reading
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  void read(Connection& connection) {
    const std::size_t before = connection.rest.size();  // the beginning of one query
    if (before > 0) std::memcpy(room.data(), connection.rest.data(), before);
    const ssize_t got = recv(connection.socket.get(), room.data() + before, octets_per_read, MSG_DONTWAIT);
    if (got > 0) return serve_queries(connection, {room.data(), before + static_cast<std::size_t>(got)});
    if (got < 0 && is_for_later(errno)) return;
    connection.has_read_all = true;
    connection.read_deadline = never;
    if (got < 0 || connection.in_flight() == 0) return end(connection);
    watch_for(connection);
  }

  /// As many as may be in flight; the rest is kept. `octets`: in the room.
  void serve_queries(Connection& connection, dns::Octets octets) {
    if (connection.may_say_for_whom && !take_proxy_header(connection, octets)) return;
    while (!is_full(connection) && octets.size() >= length_octets) {
      const std::size_t length = dns::read16(octets, 0);
      if (length > stream_query_octets_max) return end(connection);
      if (octets.size() < length_octets + length) break;
      serve_query(connection, octets.subspan(length_octets, length));
      if (!connection.is_open) return;
      octets = octets.subspan(length_octets + length);
    }
    if (octets.empty())
      empty(connection.rest);
    else
      connection.rest.assign(octets.begin(), octets.end());
    connection.is_paused = is_full(connection);
    watch_for(connection);
  }

  /// False: it is not all there yet, or makes no sense.
  bool take_proxy_header(Connection& connection, dns::Octets& octets) {
    const auto header = parse_proxy_header(octets);
    if (!header && header.error() == ProxyFault::incomplete) {
      connection.rest.assign(octets.begin(), octets.end());
      return false;
    }
    connection.may_say_for_whom = false;
    if (!header && header.error() == ProxyFault::absent) return true;
    if (!header) {
      end(connection);
      return false;
    }
    octets = octets.subspan(header->octets);
    if (header->ends) pass_on(*header->ends, routers, connection.behind, connection.destination);
    return true;
  }

  [[nodiscard]] bool is_full(const Connection& connection) const {
    return connection.in_flight() >= limits.queries_in_flight_max || connection.unsent_octets() >= unsent_octets_pause;
  }

  void serve_query(Connection& connection, dns::Octets query) {
    ++statistics.received;
    ++connection.unanswered;
    connection.read_deadline = never;  // RFC 7766 §6.2.3: a connection is idle when nothing is in flight
    touch(connection);
    Arrival arrival{.message = query,
                    .client = connection.client,
                    .behind = connection.behind,
                    .destination = connection.destination,
                    .route = {.carrier = Carrier::tcp,
                              .interface = connection.interface,
                              .local = connection.local,
                              .connection = connection.id},
                    .at = now};
    const std::size_t size = serve(arrival, response);
    check(size <= response.size());
    if (size > 0) answer(connection, {response.data(), size});
  }

  /// In a turn of its own: who made room for more may be in the midst of answering.
  void resume_later(Connection& connection) {
    asio::post(loop, [weak = weak_from_this(), id = connection.id] {
      const std::shared_ptr<Impl> impl = weak.lock();
      if (!impl || impl->is_stopped) return;
      impl->begin_turn();
      const auto found = impl->connections.find(id);
      if (found != impl->connections.end() && found->second->is_paused) impl->resume(*found->second);
    });
  }
  void resume(Connection& connection) {
    const dns::Octets rest(room.data(), connection.rest.size());
    std::copy(connection.rest.begin(), connection.rest.end(), room.begin());
    serve_queries(connection, rest);
    if (connection.is_open && !connection.is_paused) go_on(connection);
  }

  // ── answering
  // ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void answer(Connection& connection, dns::Octets octets) {
    check(connection.unanswered > 0);
    --connection.unanswered;
    ++connection.queued;
    transport::append_frame(connection.queue, octets);
    unsent_octets += length_octets + octets.size();
    touch(connection);
    if (!std::exchange(connection.is_to_flush, true)) to_flush.push_back(connection.id);
    // A connection is not judged alone: what comes in one turn, its client could not read yet.
    if (unsent_octets > unsent_octets_max) evict(greediest());
  }

  void flush() {
    if (!to_flush.empty() && !has_begun_turn) begin_turn();
    has_begun_turn = false;
    for (const std::uint64_t id : to_flush) {
      const auto found = connections.find(id);
      if (found == connections.end()) continue;
      found->second->is_to_flush = false;
      if (!found->second->is_slow()) write(*found->second);
    }
    to_flush.clear();
    ended.clear();
  }

  /// As a rule the kernel takes all. A client that does not read is waited for.
  void write(Connection& connection) {
    const ssize_t written =
        ::send(connection.socket.get(), connection.queue.data(), connection.queue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written == static_cast<ssize_t>(connection.queue.size())) {
      statistics.sent += static_cast<std::uint64_t>(std::exchange(connection.queued, 0));
      give_back(connection.queue);
      go_on(connection);
    } else if (written >= 0 || is_for_later(errno)) {
      begin_to_wait(connection, written > 0 ? static_cast<std::size_t>(written) : 0);
      watch_for(connection);
    } else {
      end(connection);
    }
  }

  /// What was sent, or never will be.
  void give_back(std::vector<std::uint8_t>& sent) {
    unsent_octets -= sent.size();
    empty(sent);
  }

  void begin_to_wait(Connection& connection, std::size_t written) {
    connection.writing.swap(connection.queue);
    connection.written = written;
    connection.being_written = std::exchange(connection.queued, 0);
    set_deadline(connection.write_deadline, now.monotonic + limits.idle);
  }

  void write_on(Connection& connection) {
    while (connection.is_slow()) {
      const ssize_t written = ::send(connection.socket.get(), connection.writing.data() + connection.written,
                                     connection.writing.size() - connection.written, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (written < 0) {
        if (!is_for_later(errno)) end(connection);
        return;
      }
      const std::size_t before = connection.written / dns::message_octets_max;
      connection.written += static_cast<std::size_t>(written);
      // Who takes as much as the longest response is reading, however much there is.
      if (connection.written / dns::message_octets_max > before)
        set_deadline(connection.write_deadline, now.monotonic + limits.idle);
      if (connection.written < connection.writing.size()) return;
      statistics.sent += static_cast<std::uint64_t>(std::exchange(connection.being_written, 0));
      connection.write_deadline = never;
      give_back(connection.writing);
      if (connection.queued > 0) begin_to_wait(connection, 0);
    }
    watch_for(connection);
    go_on(connection);
  }

  /// Something is no longer in flight: reading may resume, the connection may be idle now, or done.
  void go_on(Connection& connection) {
    touch(connection);
    if (connection.has_read_all) {
      if (connection.in_flight() == 0) end(connection);
    } else if (connection.is_paused) {
      if (!is_full(connection)) resume_later(connection);
    } else if (connection.in_flight() == 0) {
      set_deadline(connection.read_deadline, now.monotonic + limits.idle);
    }
  }

  bool send(const ReplyRoute& route, dns::Octets octets) {
    check(route.carrier == Carrier::tcp);
    const auto found = connections.find(route.connection);
    if (found == connections.end()) {
      ++statistics.client_gone;
      return false;
    }
    answer(*found->second, octets);
    return true;
  }

  void forget(const ReplyRoute& route) {
    check(route.carrier == Carrier::tcp);
    const auto found = connections.find(route.connection);
    if (found == connections.end()) return;
    check(found->second->unanswered > 0);
    --found->second->unanswered;
    if (!has_begun_turn) begin_turn();
    go_on(*found->second);
  }

  // ── stop
  // ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  void stop() {
    flush();
    is_stopped = true;
    waiting.cancel();
    sweeping.cancel();
    for (Door& door : doors) {
      door.socket = {};
      door.pause.cancel();
    }
    while (Connection* connection = idlest()) end(*connection);
    ended.clear();
  }

  asio::io_context& loop;
  const Clock& clock;
  const TcpLimits limits;
  Serve serve;
  SocketWatch watch;
  transport::Descriptor waiting;  // for news of the watch
  asio::steady_timer sweeping;
  MonotonicTime armed_for = never;
  std::vector<Door> doors;
  Moment now{};  // of this turn
  bool has_begun_turn = false;
  std::uint64_t next_id = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::unordered_map<IpAddress, int> connections_of;
  ConnectionList quiet, busy;  // without and with queries in flight; the one idle longest first
  std::vector<std::uint64_t> to_flush;
  std::size_t unsent_octets = 0;                   // of all connections
  std::vector<std::unique_ptr<Connection>> ended;  // in this turn
  // Of all connections, used within a call.
  std::vector<std::uint8_t> room = std::vector<std::uint8_t>(room_octets);
  std::vector<std::uint8_t> response = std::vector<std::uint8_t>(dns::message_octets_max);
  bool is_stopped = false;
  bool tells_interfaces = false;
  std::vector<IpPrefix> routers;  // that may speak for others
  TcpStatistics statistics;
};

TcpListener::TcpListener(asio::io_context& loop, std::vector<SocketPair>& pairs, const Clock& clock, TcpLimits limits,
                         Serve serve)
    : impl_(std::make_shared<Impl>(loop, clock, limits, std::move(serve))) {
  for (SocketPair& pair : pairs)
    impl_->doors.push_back({std::move(pair.tcp), pair.kind, pair.resolver, asio::steady_timer(loop)});
}

TcpListener::~TcpListener() {
  stop();
}

void TcpListener::start() {
  impl_->start();
}

void TcpListener::tell_interfaces() {
  impl_->tells_interfaces = true;
}

void TcpListener::trust(std::vector<IpPrefix> routers) {
  impl_->routers = std::move(routers);
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

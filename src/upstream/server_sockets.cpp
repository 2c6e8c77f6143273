#include "upstream/server_sockets.h"

#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <cerrno>
#include <utility>

#include "transport/lookout.h"
#include "upstream/random_source.h"

namespace doline::upstream {

namespace {

constexpr std::uint16_t port_min = 1'024;  // those below are for servers
/// Ports tried before the kernel chooses: nearly all are free.
constexpr int port_tries_max = 8;

/// Connected to the server, on a random port. The error is errno's.
Result<int, int> open_connected(const Endpoint& server, RandomSource& random) {
  const SocketAddress to = to_socket_address(server);
  const int descriptor = ::socket(to.get()->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return fail(int{errno});
  for (int tries = 0; tries < port_tries_max; ++tries) {
    const auto port = random.next<std::uint16_t>();
    if (port < port_min) continue;
    const IpAddress any = server.address.is_v4() ? IpAddress::v4(0, 0, 0, 0) : IpAddress();
    const SocketAddress from = to_socket_address({any, port});
    if (::bind(descriptor, from.get(), from.length) == 0) break;
  }
  if (::connect(descriptor, to.get(), to.length) == 0) return descriptor;
  const int error = errno;
  ::close(descriptor);
  return fail(error);
}

}  // namespace

DatagramBatch::DatagramBatch() {
  for (std::size_t i = 0; i < datagrams_per_call; ++i) {
    pieces[i] = {answers[i].data(), answer_octets_max};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    queries[i].msg_hdr.msg_iov = &query_pieces[i];
    messages[i].msg_hdr.msg_iovlen = queries[i].msg_hdr.msg_iovlen = 1;
  }
}

struct ServerSockets::Handle {
  explicit Handle(asio::io_context& loop) : lookout(loop) {}
  transport::Lookout lookout;
};

ServerSockets::ServerSockets(asio::io_context& loop, const Endpoint& server, RandomSource& random,
                             std::function<void(std::uint16_t socket)> readable)
    : loop_(loop), server_(server), random_(random), readable_(std::move(readable)) {}

ServerSockets::~ServerSockets() = default;

ServerSockets::Seat ServerSockets::take_seat(Asker asker) {
  const std::uint16_t socket = open_.back();
  return {socket, sockets_[socket]->table.add(asker, [&] { return random_.next<std::uint16_t>(); })};
}

void ServerSockets::leave(Seat seat) {
  sockets_[seat.socket]->table.remove(seat.row);
  // The one for new questions stays, until the next question finds that it is too old.
  if (!is_waited_for(seat.socket) && seat.socket != open_.back()) close_socket(seat.socket);
}

/// 0, or errno.
int ServerSockets::open_another(MonotonicTime now) {
  if (!open_.empty() && !is_waited_for(open_.back())) close_socket(open_.back());
  const auto descriptor = open_connected(server_, random_);
  if (!descriptor) return descriptor.error();
  if (closed_.empty()) {
    closed_.push_back(static_cast<std::uint16_t>(sockets_.size()));
    sockets_.push_back(std::make_unique<Socket>());
    sockets_.back()->handle = std::make_shared<Handle>(loop_);
  }
  Socket& socket = *sockets_[closed_.back()];
  socket.handle->lookout.open(*descriptor);
  socket.descriptor = *descriptor;
  socket.table.clear();
  socket.opened = now;
  open_.push_back(closed_.back());
  closed_.pop_back();
  return 0;
}

void ServerSockets::close_socket(std::uint16_t index) {
  Socket& socket = *sockets_[index];
  socket.handle->lookout.close();
  socket.descriptor = -1;
  ++socket.generation;
  socket.is_watched = false;
  open_.erase(std::find(open_.begin(), open_.end(), index));
  closed_.push_back(index);
}

std::span<std::uint8_t> ServerSockets::room_for(std::size_t octets) {
  if (octets_.size() - octets_used_ < octets) octets_.resize(2 * octets_.size() + octets);
  return std::span(octets_).subspan(octets_used_, octets);
}

bool ServerSockets::queue(Seat seat, std::size_t octets) {
  queries_.push_back({static_cast<std::uint32_t>(octets_used_), static_cast<std::uint16_t>(octets), seat,
                      sockets_[seat.socket]->generation});
  octets_used_ += octets;
  return queries_.size() == 1;
}

bool ServerSockets::is_wanted(const Query& query) const {
  const Socket& socket = *sockets_[query.seat.socket];
  return socket.generation == query.generation && socket.table.asker(query.seat.row) != QuestionTable::nobody;
}

/// Those of one socket that stand together, at most as many as one call takes.
ServerSockets::Sent ServerSockets::send_some(DatagramBatch& batch, std::size_t from, bool may_be_refused) {
  if (!is_wanted(queries_[from])) return {.done = 1};
  const Seat first = queries_[from].seat;
  unsigned count = 0;
  for (std::size_t at = from; at < queries_.size() && count < datagrams_per_call; ++at) {
    const Query& query = queries_[at];
    if (query.seat.socket != first.socket || !is_wanted(query)) break;
    batch.query_pieces[count++] = {octets_.data() + query.begin, query.octets};
  }
  Socket& socket = *sockets_[first.socket];
  int sent;
  do sent = ::sendmmsg(socket.descriptor, batch.queries.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent > 0) {
    watch(first.socket);  // not before: that is a system call for which no query should wait
    return {.done = static_cast<std::size_t>(sent)};
  }
  // An ICMP error is an earlier datagram's. Now that the kernel has told it this one may go.
  if (errno == ECONNREFUSED && may_be_refused) return {.socket = first.socket, .refused = true};
  return {.done = 1, .failed = socket.table.asker(first.row)};
}

void ServerSockets::watch(std::uint16_t index) {
  Socket& socket = *sockets_[index];
  if (std::exchange(socket.is_watched, true)) return;
  socket.handle->lookout.await([this, index, weak = std::weak_ptr(socket.handle), generation = socket.generation] {
    if (weak.expired()) return;  // so are we
    Socket& watched = *sockets_[index];
    if (watched.generation != generation) return;
    watched.is_watched = false;
    readable_(index);
  });
}

int ServerSockets::receive(std::uint16_t index, DatagramBatch& batch) {
  const Socket& socket = *sockets_[index];
  int got;
  do got = ::recvmmsg(socket.descriptor, batch.messages.data(), datagrams_per_call, MSG_DONTWAIT, nullptr);
  while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  socket.handle->lookout.note(static_cast<std::size_t>(got));
  return got;
}

}  // namespace doline::upstream

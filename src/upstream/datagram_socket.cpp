#include "upstream/datagram_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "upstream/random_source.h"

namespace doline::upstream {

namespace {

constexpr std::uint16_t port_min = 1'024;  // those below are for servers
/// Ports tried before the kernel chooses: nearly all are free.
constexpr int port_tries_max = 8;

}  // namespace

Result<DatagramSocket, int> DatagramSocket::open(const Endpoint& server, RandomSource& random) {
  DatagramSocket socket;
  const SocketAddress to = to_socket_address(server);
  socket.descriptor_ = ::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket.descriptor_ < 0) return fail(int{errno});
  for (int tries = 0; tries < port_tries_max; ++tries) {
    const std::uint16_t port = random.next<std::uint16_t>();
    if (port < port_min) continue;
    const IpAddress any = server.address.is_v4() ? IpAddress::v4(0, 0, 0, 0) : IpAddress();
    const SocketAddress from = to_socket_address({any, port});
    if (::bind(socket.descriptor_, from.get(), from.length) == 0) break;
  }
  if (::connect(socket.descriptor_, to.get(), to.length) != 0) return fail(int{errno});
  return socket;
}

void DatagramSocket::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

int DatagramSocket::send(std::span<const std::uint8_t> octets) const {
  ssize_t sent;
  do sent = ::send(descriptor_, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

std::ptrdiff_t DatagramSocket::receive(std::span<std::uint8_t> room) const {
  ssize_t got;
  do got = ::recv(descriptor_, room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
  while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : got;
}

}  // namespace doline::upstream

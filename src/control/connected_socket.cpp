#include "control/connected_socket.h"

#include <sys/socket.h>
#include <unistd.h>

namespace doline::control {

int connected_socket(const Endpoint& server) {
  const SocketAddress address = to_socket_address(server);
  const int descriptor = ::socket(address.get()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  if (::connect(descriptor, address.get(), address.length) == 0) return descriptor;
  ::close(descriptor);
  return -1;
}

}  // namespace doline::control

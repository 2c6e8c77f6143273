#include "control/connected_socket.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace doline;

TEST_CASE("A socket leads to its server, of either family, and none leads nowhere") {
  for (const char* text : {"127.0.0.1:53", "[::1]:53"}) {
    const Endpoint server = *Endpoint::parse(text, 53);
    const int descriptor = control::connected_socket(server);
    if (descriptor < 0 && !server.address.is_v4()) continue;  // a machine without IPv6
    REQUIRE(descriptor >= 0);
    SocketAddress peer;
    CHECK(::getpeername(descriptor, peer.get(), &peer.length) == 0);
    CHECK(to_endpoint(peer.get()) == server);
    ::close(descriptor);
  }
  CHECK(control::connected_socket({IpAddress::v4(255, 255, 255, 255), 53}) == -1);
}

#include "listener/port_holder.h"

#include "loopback.h"

namespace doline::listener {
namespace {

TEST_CASE("the process that holds a port is found by its number and name, UDP or TCP, IPv4 or IPv6") {
  const std::string me = "process " + std::to_string(getpid()) + " (" + test::own_name() + ")";
  for (const char* address : {"127.0.0.1", "0.0.0.0", "::1"}) {
    Opened opened = open_sockets({{*IpAddress::parse(address), 0}}, SocketKind::ordinary, 1);
    if (!opened.faults.empty()) {
      MESSAGE("skipped: " << opened.faults[0].what);
      continue;
    }
    SocketPair& pair = opened.of_worker[0][0];
    const std::uint16_t port = pair.address.port;
    CHECK(holder_of_port(port) == me);
    const auto holders = holders_of_port(port);
    REQUIRE(holders.size() == 2);
    for (const PortHolder& holder : holders) {
      CHECK(holder.address == pair.address.address);
      CHECK(holder.process == getpid());
    }
    pair.udp = Socket();
    CHECK(holder_of_port(port) == me);  // TCP alone
    pair.tcp = Socket();
    CHECK(holder_of_port(port).empty());
  }
}

TEST_CASE("a connection from a port does not hold it: only sockets that listen do") {
  const auto pairs = test::open_one({test::loopback, 0});
  const test::TcpClient client(test::loopback, pairs[0].address);
  std::size_t holders = 0;
  for (const PortHolder& holder : holders_of_port(pairs[0].address.port)) holders += holder.process == getpid();
  CHECK(holders == 2);
}

TEST_CASE("a holder that cannot be seen is said so") {
  CHECK(to_string(PortHolder{}) == "another user's process");
}

}  // namespace
}  // namespace doline::listener

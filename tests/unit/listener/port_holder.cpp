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
  PortHolder holder;
  CHECK(to_string(holder) == "another user's process");
  CHECK_FALSE(is_resolved_stub(holder));
  holder.address = IpAddress::v4(127, 0, 0, 53);
  CHECK(is_resolved_stub(holder));
  holder.process = 412;  // it is known who it is
  holder.name = "dnsmasq";
  CHECK_FALSE(is_resolved_stub(holder));
  holder.name = "systemd-resolve";
  CHECK(is_resolved_stub(holder));
}

TEST_CASE("an ordinary user is told whose process it is that holds a port") {
  if (getuid() != 0) {
    MESSAGE("skipped: only root can become another");
    return;
  }
  const auto pairs = test::open_one({test::loopback, 0});
  const std::string said = test::in_process([&] {
    close(pairs[0].udp.get());
    close(pairs[0].tcp.get());
    if (setuid(65'534) != 0) return std::string("setuid failed");
    const auto holders = holders_of_port(pairs[0].address.port);
    return holders.empty() ? std::string("nobody") : to_string(holders[0]);
  });
  CHECK(said == "a process of the user root");
}

}  // namespace
}  // namespace doline::listener

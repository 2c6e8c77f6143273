#include "listener/sockets.h"

#include <fstream>

#include "loopback.h"

namespace doline::listener {
namespace {

/// Another process that holds a UDP port of test::loopback until it is destroyed.
class Squatter {
 public:
  explicit Squatter(bool reuse_port) {
    REQUIRE(pipe(to_child_) == 0);
    int from_child[2];
    REQUIRE(pipe(from_child) == 0);
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      const int descriptor = socket(AF_INET, SOCK_DGRAM, 0), on = reuse_port ? 1 : 0;
      setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
      SocketAddress address = to_socket_address({test::loopback, 0});
      bool ok = bind(descriptor, address.get(), address.length) == 0;
      ok = ok && getsockname(descriptor, address.get(), &address.length) == 0;
      const std::uint16_t port = ok ? to_endpoint(address.get()).port : 0;
      ok = write(from_child[1], &port, sizeof port) == sizeof port;
      close(to_child_[1]);
      char end;
      while (ok && read(to_child_[0], &end, 1) > 0) {
      }
      _exit(0);
    }
    close(to_child_[0]);
    REQUIRE(read(from_child[0], &port_, sizeof port_) == sizeof port_);
    close(from_child[0]);
    close(from_child[1]);
    REQUIRE(port_ != 0);
  }
  Squatter(const Squatter&) = delete;
  ~Squatter() {
    close(to_child_[1]);
    waitpid(process_, nullptr, 0);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] pid_t process() const { return process_; }

 private:
  int to_child_[2] = {-1, -1};
  pid_t process_ = 0;
  std::uint16_t port_ = 0;
};

int option_of(const Socket& socket, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  CHECK(getsockopt(socket.get(), level, name, &value, &length) == 0);
  return value;
}

TEST_CASE("every worker gets a UDP and a TCP socket of each address, on one port, in the same order") {
  const Opened opened = open_sockets({{test::loopback, 0}, {IpAddress::v4(127, 0, 0, 2), 0}}, SocketKind::ordinary, 3);
  CHECK(opened.faults.empty());
  REQUIRE(opened.of_worker.size() == 3);
  for (const auto& pairs : opened.of_worker) {
    REQUIRE(pairs.size() == 2);
    for (std::size_t index = 0; index < 2; ++index) {
      CHECK(pairs[index].address == opened.of_worker[0][index].address);
      CHECK(pairs[index].address.port != 0);
      for (const Socket* socket : {&pairs[index].udp, &pairs[index].tcp}) {
        SocketAddress bound;
        REQUIRE(getsockname(socket->get(), bound.get(), &bound.length) == 0);
        CHECK(to_endpoint(bound.get()) == pairs[index].address);
        CHECK((fcntl(socket->get(), F_GETFL) & O_NONBLOCK) != 0);
        CHECK((fcntl(socket->get(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(option_of(*socket, SOL_SOCKET, SO_REUSEPORT) == 1);
      }
      CHECK(option_of(pairs[index].udp, IPPROTO_IP, IP_PKTINFO) == 0);  // one address: there is nothing to tell
      CHECK(option_of(pairs[index].udp, SOL_SOCKET, SO_RCVBUF) > 64 * 1'024);
      CHECK(option_of(pairs[index].tcp, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    }
  }
}

TEST_CASE("only a socket with one address is not told which address was asked") {
  const IpAddress all = IpAddress::v4(0, 0, 0, 0);
  CHECK(has_one_address(test::loopback, SocketKind::ordinary));
  CHECK_FALSE(has_one_address(test::loopback, SocketKind::transparent));
  CHECK_FALSE(has_one_address(test::loopback, SocketKind::redirected));
  CHECK_FALSE(has_one_address(all, SocketKind::ordinary));
  CHECK_FALSE(has_one_address(IpAddress(), SocketKind::ordinary));
  CHECK_FALSE(has_one_address(*IpAddress::parse("fe80::1"), SocketKind::ordinary));
  const Opened opened = open_sockets({{all, 0}}, SocketKind::ordinary, 1);
  REQUIRE(opened.faults.empty());
  CHECK(option_of(opened.of_worker[0][0].udp, IPPROTO_IP, IP_PKTINFO) == 1);
}

TEST_CASE("the wildcards of both families stand beside each other on one port, and beside an address of it") {
  const Opened first = open_sockets({{IpAddress::v4(0, 0, 0, 0), 0}}, SocketKind::ordinary, 2);
  REQUIRE(first.faults.empty());
  const std::uint16_t port = first.of_worker[0][0].address.port;
  const Opened second =
      open_sockets({{IpAddress{}, port}, {IpAddress::v4(127, 0, 0, 153), port}}, SocketKind::ordinary, 2);
  for (const SocketFault& fault : second.faults) CHECK(fault.error == EAFNOSUPPORT);
  CHECK(second.of_worker[1].size() + second.faults.size() == 2);
}

TEST_CASE("a port that another process holds is a fault that names it, and the other addresses are opened") {
  const Squatter squatter(false);
  const Opened opened =
      open_sockets({{test::loopback, squatter.port()}, {IpAddress::v4(127, 0, 0, 2), 0}}, SocketKind::ordinary, 2);
  REQUIRE(opened.faults.size() == 1);
  CHECK(opened.faults[0].address == Endpoint{test::loopback, squatter.port()});
  CHECK(opened.faults[0].error == EADDRINUSE);
  CHECK(opened.faults[0].what == "port " + std::to_string(squatter.port()) + " on " + test::loopback.to_string() +
                                     " is held by process " + std::to_string(squatter.process()) + " (" +
                                     test::own_name() + "): stop it, or start with --port 5300");
  REQUIRE(opened.of_worker[1].size() == 1);
  CHECK(opened.of_worker[1][0].address.address == IpAddress::v4(127, 0, 0, 2));
}

TEST_CASE("a port is not shared with a process that would share it, another Doline for instance") {
  const Squatter squatter(true);
  const Opened opened = open_sockets({{test::loopback, squatter.port()}}, SocketKind::ordinary, 1);
  REQUIRE(opened.faults.size() == 1);
  CHECK(opened.faults[0].error == EADDRINUSE);
  CHECK(opened.of_worker[0].empty());
}

TEST_CASE("a family of which no address could be opened is told to be unserved, where the other is served") {
  const IpAddress strange = IpAddress::v4(192, 0, 2, 99), own = *IpAddress::parse("::1");
  const Opened half = open_sockets({{strange, 0}, {own, 0}}, SocketKind::ordinary, 1);
  if (half.of_worker[0].empty()) {
    MESSAGE("skipped: this machine has no IPv6");
    return;
  }
  REQUIRE(half.faults.size() == 1);
  CHECK(half.faults[0].what.ends_with(". IPv4 devices are not served"));
  const Opened whole = open_sockets({{strange, 0}, {test::loopback, 0}, {own, 0}}, SocketKind::ordinary, 1);
  CHECK(whole.faults.at(0).what.find("not served") == std::string::npos);
}

TEST_CASE("an address that is not ours is said so") {
  const Opened opened = open_sockets({{IpAddress::v4(192, 0, 2, 99), 0}}, SocketKind::ordinary, 1);
  REQUIRE(opened.faults.size() == 1);
  CHECK(opened.faults[0].error == EADDRNOTAVAIL);
  CHECK(opened.faults[0].what ==
        "192.0.2.99 is no address of this machine: `ip address` shows those it has; correct `listen` in the "
        "configuration");
}

TEST_CASE("without privilege the sentence says what is missing and what to do") {
  int first_free = 1'024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first_free;
  if (first_free <= 777) {
    MESSAGE("skipped: every user may open port 777 here");
    return;
  }
  const std::string said = test::in_process([] {
    if (getuid() == 0 && setuid(65'534) != 0) return std::string("setuid failed");
    Opened opened = open_sockets({{test::loopback, 777}}, SocketKind::ordinary, 1);
    std::string all;
    for (const SocketFault& fault : opened.faults) all += fault.what + "\n";
    opened = open_sockets({{IpAddress::v4(127, 0, 0, 153), 0}}, SocketKind::transparent, 1);
    for (const SocketFault& fault : opened.faults) all += fault.what + "\n";
    return all;
  });
  CHECK(said ==
        "port 777 on " + test::loopback.to_string() + " needs root or CAP_NET_BIND_SERVICE, as every port below " +
            std::to_string(first_free) +
            ": start as root, or with --port 5300\n"
            "taking stray queries on port 0 on 127.0.0.153 needs CAP_NET_ADMIN or CAP_NET_RAW: start as root, or take "
            "`redirect` out of the configuration\n");
}

TEST_CASE("a socket closes its descriptor, and a moved one does not") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  {
    Socket first(ends[0]);
    Socket second(std::move(first));
    CHECK(second.get() == ends[0]);
    Socket third;
    third = std::move(second);
    CHECK(fcntl(ends[0], F_GETFD) >= 0);
  }
  CHECK(fcntl(ends[0], F_GETFD) < 0);
  Socket released(ends[1]);
  CHECK(released.release() == ends[1]);
  CHECK(released.get() == -1);
  close(ends[1]);
}

}  // namespace
}  // namespace doline::listener

// SmallHome: this test as a gateway with a LAN, a way to the Internet that leads nowhere, and one device. All of it is
// gone with the test.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/ip_address.h"
#include "own_network.h"
#include "redirect/options.h"

namespace doline::tests {

inline const Endpoint foreign_v4 = *Endpoint::parse("114.114.114.114:53", 0);
inline const Endpoint foreign_v6 = *Endpoint::parse("[2400:3200::1]:53", 0);

/// A socket that is closed with its owner.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

class SmallHome {
 public:
  /// Nothing, and said why, where the machine allows no namespaces.
  static std::optional<SmallHome> build() {
    if (!own_network()) return std::nullopt;
    SmallHome home;
    int ready[2];
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    home.device_ = fork();
    if (home.device_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const bool is_apart = unshare(CLONE_NEWNET) == 0;
      static_cast<void>(!write(ready[1], is_apart ? "y" : "n", 1));
      for (;;) pause();
    }
    close(ready[1]);
    char answer = 'n';
    static_cast<void>(!read(ready[0], &answer, 1));
    close(ready[0]);
    REQUIRE(answer == 'y');
    const std::string id = std::to_string(home.device_);
    const std::string on_device = "nsenter --net=/proc/" + id + "/ns/net ";
    const ShellEnd built = shell(
        "set -e; PATH=$PATH:/usr/sbin:/sbin\n"
        "ip link set lo up\n"
        "ip link add home0 type veth peer name eth0 netns " +
        id + "\n" +
        "ip link add wan0 type veth peer name wan1; ip link set wan1 addrgenmode none up\n"
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.home0.accept_dad=0\n"
        "ip link set wan0 addrgenmode none up; ip addr add 203.0.113.1/24 dev wan0; ip -6 addr add 2001:db8:ffff::1/64 "
        "dev wan0 nodad\n"
        "ip link set home0 addrgenmode none up; ip addr add 192.168.50.1/24 dev home0; ip -6 addr add "
        "2001:db8:50::1/64 dev home0 "
        "nodad\n"
        "ip route add default dev wan0; ip -6 route add default dev wan0\n" +
        on_device +
        "sh -ec '\n"
        "ip link set lo up; sysctl -qw net.ipv6.conf.eth0.accept_dad=0\n"
        "ip link set eth0 address 94:51:3d:13:9a:35 up\n"
        "ip addr add 192.168.50.31/24 dev eth0; ip -6 addr add 2001:db8:50::31/64 dev eth0 nodad\n"
        "ip route add default via 192.168.50.1; ip -6 route add default via 2001:db8:50::1'");
    CAPTURE(built.output);
    REQUIRE(built.status == 0);
    return home;
  }
  SmallHome(SmallHome&& other) noexcept : device_(other.device_) { other.device_ = -1; }
  SmallHome(const SmallHome&) = delete;
  SmallHome& operator=(const SmallHome&) = delete;
  ~SmallHome() {
    if (device_ <= 0) return;
    kill(device_, SIGKILL);
    waitpid(device_, nullptr, 0);
  }

  /// Made on the device, used from here: a socket stays in the network where it was made.
  [[nodiscard]] Socket device_socket(int family, int type) const {
    const Socket here(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const Socket there(open(("/proc/" + std::to_string(device_) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(setns(there.get(), CLONE_NEWNET) == 0);
    Socket made(socket(family, type | SOCK_CLOEXEC, 0));
    REQUIRE(setns(here.get(), CLONE_NEWNET) == 0);
    return made;
  }

 private:
  SmallHome() = default;
  pid_t device_ = -1;
};

/// A UDP socket of the gateway at this endpoint.
inline Socket bound_socket(const Endpoint& at, int type = SOCK_DGRAM) {
  Socket made(socket(at.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
  const SocketAddress address = to_socket_address(at);
  REQUIRE(bind(made.get(), address.get(), address.length) == 0);
  return made;
}

/// The device says "?" to `whom`.
inline void send_to(const Socket& from, const Endpoint& whom) {
  const SocketAddress address = to_socket_address(whom);
  REQUIRE(sendto(from.get(), "?", 1, 0, address.get(), address.length) == 1);
}

/// Who sent what lies in this socket; nothing where nothing comes in `patience_ms`.
inline std::optional<Endpoint> sender_of_next(const Socket& at, int patience_ms = 5'000) {
  pollfd ready{at.get(), POLLIN, 0};
  if (poll(&ready, 1, patience_ms) != 1) return std::nullopt;
  SocketAddress from;
  char octet = 0;
  REQUIRE(recvfrom(at.get(), &octet, 1, 0, from.get(), &from.length) == 1);
  return to_endpoint(from.get());
}

inline redirect::Options small_home_options(redirect::Mode mode) {
  redirect::Options options;
  options.mode = mode;
  options.interfaces = {"home0"};
  return options;
}

}  // namespace doline::tests

// Clients of the listener's tests: plain sockets on loopback, driven by the thread that also runs the loop under test,
// so that nothing here needs a lock or a guess about time. And a network of one's own, for what needs routes or
// firewall rules.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "listener/sockets.h"
#include "own_process.h"
#include "small_network.h"

namespace doline::listener::test {

using Octets = std::vector<std::uint8_t>;
using tests::in_process;

/// This process's own: sockets with SO_REUSEPORT may be given the port of another test that runs beside this one.
inline const IpAddress loopback =
    IpAddress::v4(127, 100, static_cast<std::uint8_t>(getpid() >> 8), static_cast<std::uint8_t>(getpid()));

/// Runs the loop until `holds()`, at most ten seconds: then it fails.
template <class Condition>
bool run_until(asio::io_context& loop, Condition holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// Lets the loop do all that is ready now, and what that makes ready.
inline void settle(asio::io_context& loop) {
  loop.restart();
  loop.run_for(std::chrono::milliseconds(30));
}

/// A query: ID, RD, one question of type A; `labels` as dotted text.
inline Octets query_of(std::uint16_t id, std::string_view labels) {
  Octets query{static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  while (!labels.empty()) {
    const std::string_view label = labels.substr(0, labels.find('.'));
    query.push_back(static_cast<std::uint8_t>(label.size()));
    query.insert(query.end(), label.begin(), label.end());
    labels.remove_prefix(std::min(labels.size(), label.size() + 1));
  }
  for (const std::uint8_t octet : {0, 0, 1, 0, 1}) query.push_back(octet);
  return query;
}

inline std::uint16_t id_of(std::span<const std::uint8_t> message) {
  REQUIRE(message.size() >= 2);
  return static_cast<std::uint16_t>(message[0] << 8 | message[1]);
}

/// The response of these tests: the query with QR set.
inline std::size_t echo(std::span<const std::uint8_t> query, std::span<std::uint8_t> out) {
  std::copy(query.begin(), query.end(), out.begin());
  if (query.size() > 2) out[2] |= 0x80;
  return query.size();
}

/// One worker's sockets on any free port of an address.
inline std::vector<SocketPair> open_one(const Endpoint& address, SocketKind kind = SocketKind::ordinary) {
  Opened opened = open_sockets({address}, kind, 1);
  for (const SocketFault& fault : opened.faults) MESSAGE(fault.what);
  REQUIRE(opened.of_worker.at(0).size() == 1);
  return std::move(opened.of_worker[0]);
}

inline bool is_readable(int descriptor) {
  pollfd waiting{descriptor, POLLIN, 0};
  return poll(&waiting, 1, 0) == 1;
}

class UdpClient {
 public:
  /// Bound to `from`; connected to `to`, so that only responses from that very address and port arrive.
  UdpClient(const IpAddress& from, const Endpoint& to)
      : socket_(::socket(to.address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const int on = 1;
    setsockopt(socket_.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    const SocketAddress local = to_socket_address({from, 0});
    const SocketAddress remote = to_socket_address(to);
    REQUIRE(bind(socket_.get(), local.get(), local.length) == 0);
    REQUIRE(connect(socket_.get(), remote.get(), remote.length) == 0);
  }
  void send(std::span<const std::uint8_t> octets) {
    CHECK(::send(socket_.get(), octets.data(), octets.size(), 0) == static_cast<ssize_t>(octets.size()));
  }
  [[nodiscard]] std::optional<Octets> receive() {
    Octets octets(65'536);
    const ssize_t size = recv(socket_.get(), octets.data(), octets.size(), 0);
    if (size < 0) return std::nullopt;
    octets.resize(static_cast<std::size_t>(size));
    return octets;
  }
  [[nodiscard]] bool has_response() const { return is_readable(socket_.get()); }
  [[nodiscard]] int descriptor() const { return socket_.get(); }

 private:
  Socket socket_;
};

class TcpClient {
 public:
  TcpClient(const IpAddress& from, const Endpoint& to)
      : socket_(::socket(to.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress local = to_socket_address({from, 0});
    const SocketAddress remote = to_socket_address(to);
    REQUIRE(bind(socket_.get(), local.get(), local.length) == 0);
    REQUIRE(connect(socket_.get(), remote.get(), remote.length) == 0);
    REQUIRE(fcntl(socket_.get(), F_SETFL, O_NONBLOCK) == 0);
  }
  /// True where the kernel took all of it.
  bool send_octets(std::span<const std::uint8_t> octets) {
    return ::send(socket_.get(), octets.data(), octets.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(octets.size());
  }
  bool send(std::span<const std::uint8_t> message) { return send_octets(frame(message)); }
  void close_sending_side() { CHECK(shutdown(socket_.get(), SHUT_WR) == 0); }

  [[nodiscard]] static Octets frame(std::span<const std::uint8_t> message) {
    Octets octets{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
    octets.insert(octets.end(), message.begin(), message.end());
    return octets;
  }
  /// Takes what has arrived; messages() are the whole ones so far.
  void take() {
    Octets octets(65'536);
    ssize_t size;
    while ((size = recv(socket_.get(), octets.data(), octets.size(), 0)) > 0)
      arrived_.insert(arrived_.end(), octets.begin(), octets.begin() + size);
    if (size == 0 || (errno != EAGAIN && errno != EINTR)) has_ended_ = true;
    while (arrived_.size() >= 2) {
      const std::size_t length = static_cast<std::size_t>(arrived_[0] << 8 | arrived_[1]);
      if (arrived_.size() < 2 + length) break;
      messages_.emplace_back(arrived_.begin() + 2, arrived_.begin() + 2 + static_cast<std::ptrdiff_t>(length));
      arrived_.erase(arrived_.begin(), arrived_.begin() + 2 + static_cast<std::ptrdiff_t>(length));
    }
  }
  [[nodiscard]] const std::vector<Octets>& messages() const { return messages_; }
  [[nodiscard]] bool has_ended() const { return has_ended_; }
  [[nodiscard]] int descriptor() const { return socket_.get(); }

 private:
  Socket socket_;
  Octets arrived_;
  std::vector<Octets> messages_;
  bool has_ended_ = false;
};

/// This process, as the kernel calls it.
inline std::string own_name() {
  std::string name;
  std::getline(std::ifstream("/proc/self/comm"), name);
  return name;
}

/// tests::in_small_network(), with a way to everywhere through it.
inline std::string in_own_network(const std::function<std::string()>& claim) {
  return tests::in_small_network([&claim]() -> std::string {
    const bool has_way = tests::run("ip route add default dev lan0") && tests::run("ip -6 route add default dev lan0");
    return has_way ? claim() : "no network";
  });
}

/// In a network of one's own: what this machine asks foreign addresses on port 5353 is led to loopback, where tproxy
/// hands it to sockets on 127.0.0.153 and ::1, as a gateway does with a device's queries. False where nft or the kernel
/// cannot.
inline bool intercept_by_tproxy() {
  const std::string rules = R"(table inet intercept {
    chain out {
      type route hook output priority mangle;
      ip daddr != 127.0.0.0/8 meta l4proto { tcp, udp } th dport 5353 meta mark set 1
      ip6 daddr != ::1 meta l4proto { tcp, udp } th dport 5353 meta mark set 1
    }
    chain in {
      type filter hook prerouting priority mangle;
      meta mark 1 meta nfproto ipv4 meta l4proto { tcp, udp } tproxy ip to 127.0.0.153 accept
      meta mark 1 meta nfproto ipv6 meta l4proto { tcp, udp } tproxy ip6 to [::1] accept
    }
  })";
  return tests::run("nft '" + rules + "'") && tests::run("ip rule add fwmark 1 lookup 100") &&
         tests::run("ip route add local default dev lo table 100") &&
         tests::run("ip -6 rule add fwmark 1 lookup 100") &&
         tests::run("ip -6 route add local default dev lo table 100");
}

/// The same by NAT: it comes to port 5399 of loopback, and only conntrack knows where it went.
inline bool intercept_by_nat() {
  return tests::run(
      "nft 'table inet intercept { chain out { type nat hook output priority -100; tcp dport 5353 redirect to :5399; "
      "}; }'");
}

}  // namespace doline::listener::test

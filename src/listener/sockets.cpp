#include "listener/sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/check.h"

namespace doline::listener {

namespace {

// Names of the kernel's interface that <netinet/in.h> of older C libraries lacks.
#ifndef IPV6_RECVORIGDSTADDR
constexpr int IPV6_RECVORIGDSTADDR = 74;
#endif

/// A burst of a whole LAN (every device wakes after a power cut) waits here while a worker is busy.
constexpr int receive_buffer_octets = 4 << 20;
constexpr int send_buffer_octets = 1 << 20;
constexpr int accept_queue_max = 1'024;
constexpr std::uint16_t dns_port = 53;
/// Port 0 asks the kernel for a port: for one that is free for TCP too, so often.
constexpr int free_port_attempts = 32;

enum class Protocol : std::uint8_t { udp, tcp };

/// What went wrong, and at which step; the sentence is made from both.
struct Trouble {
  int error = 0;
  bool is_about_transparency = false;
};

Result<void, Trouble> set_option(int descriptor, int level, int name, int value = 1) {
  if (setsockopt(descriptor, level, name, &value, sizeof value) != 0) return fail(Trouble{errno, false});
  return {};
}

Result<Socket, Trouble> create(const Endpoint& address, Protocol protocol) {
  const int family = address.address.is_v4() ? AF_INET : AF_INET6;
  const int type = protocol == Protocol::udp ? SOCK_DGRAM : SOCK_STREAM;
  Socket socket(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return fail(Trouble{errno, false});
  return socket;
}

/// A larger buffer than net.core.{r,w}mem_max allows needs CAP_NET_ADMIN; without, the kernel gives what it allows.
void enlarge_buffers(int descriptor) {
  if (!set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer_octets))
    (void)set_option(descriptor, SOL_SOCKET, SO_RCVBUF, receive_buffer_octets);
  if (!set_option(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, send_buffer_octets))
    (void)set_option(descriptor, SOL_SOCKET, SO_SNDBUF, send_buffer_octets);
}

Result<void, Trouble> configure_udp(int descriptor, const IpAddress& address, SocketKind kind) {
  const bool is_v4 = address.is_v4();
  enlarge_buffers(descriptor);
  // A forged "fragmentation needed" must not make our responses travel in pieces (RFC 8900 §4.4).
  (void)(is_v4 ? set_option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
               : set_option(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT));
  if (kind == SocketKind::transparent) {
    const auto set = is_v4 ? set_option(descriptor, IPPROTO_IP, IP_RECVORIGDSTADDR)
                           : set_option(descriptor, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR);
    if (!set) return set;
  }
  if (has_one_address(address, kind)) return {};
  return is_v4 ? set_option(descriptor, IPPROTO_IP, IP_PKTINFO)
               : set_option(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

/// Everything that must be set before bind.
Result<void, Trouble> configure(int descriptor, const Endpoint& address, SocketKind kind, Protocol protocol) {
  const bool is_v4 = address.address.is_v4();
  if (!is_v4)
    if (const auto set = set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY); !set) return set;
  if (kind == SocketKind::transparent) {
    const auto set = is_v4 ? set_option(descriptor, IPPROTO_IP, IP_TRANSPARENT)
                           : set_option(descriptor, IPPROTO_IPV6, IPV6_TRANSPARENT);
    if (!set) return fail(Trouble{set.error().error, true});
  }
  if (const auto set = set_option(descriptor, SOL_SOCKET, SO_REUSEPORT); !set) return set;
  if (protocol == Protocol::udp) return configure_udp(descriptor, address.address, kind);
  // Connections of the last run that wait for their end (TIME_WAIT) do not hold the port.
  return set_option(descriptor, SOL_SOCKET, SO_REUSEADDR);
}

Result<void, Trouble> bind_to(int descriptor, const Endpoint& address) {
  const SocketAddress bound = to_socket_address(address);
  if (bind(descriptor, bound.get(), bound.length) != 0) return fail(Trouble{errno, false});
  return {};
}

Result<Socket, Trouble> open_socket(const Endpoint& address, SocketKind kind, Protocol protocol) {
  auto socket = create(address, protocol);
  if (!socket) return socket;
  if (const auto configured = configure(socket->get(), address, kind, protocol); !configured)
    return fail(configured.error());
  if (const auto bound = bind_to(socket->get(), address); !bound) return fail(bound.error());
  if (protocol == Protocol::tcp && listen(socket->get(), accept_queue_max) != 0) return fail(Trouble{errno, false});
  return socket;
}

std::uint16_t port_of(int descriptor) {
  SocketAddress bound;
  check(getsockname(descriptor, bound.get(), &bound.length) == 0);
  return to_endpoint(bound.get()).port;
}

bool overlap(const IpAddress& one, const IpAddress& other) {
  if (one.is_unspecified() || other.is_unspecified()) return one.is_v4() == other.is_v4();
  return one == other;
}

/// SO_REUSEPORT would let us share a port with another process of this user, a Doline that runs already among them, and
/// each would get a part of the queries. So a socket without it tries first; sockets of our own do not count.
Result<void, Trouble> check_alone(const Endpoint& address, SocketKind kind, Protocol protocol) {
  auto probe = create(address, protocol);
  if (!probe) return fail(probe.error());
  const int descriptor = probe->get();
  if (!address.address.is_v4()) (void)set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY);
  if (kind == SocketKind::transparent)
    (void)(address.address.is_v4() ? set_option(descriptor, IPPROTO_IP, IP_TRANSPARENT)
                                   : set_option(descriptor, IPPROTO_IPV6, IPV6_TRANSPARENT));
  if (protocol == Protocol::tcp) (void)set_option(descriptor, SOL_SOCKET, SO_REUSEADDR);
  const Result<void, Trouble> alone = bind_to(descriptor, address);
  if (alone || alone.error().error != EADDRINUSE) return {};  // the real socket will say what else is wrong

  bool is_ours = false;
  for (const PortHolder& holder : holders_of_port(address.port)) {
    if (!overlap(holder.address, address.address)) continue;
    if (holder.process != getpid()) return alone;
    is_ours = true;
  }
  if (is_ours) return {};
  return alone;
}

/// Both sockets of one worker. `address.port` 0 becomes a port that is free for both.
Result<SocketPair, Trouble> open_pair(Endpoint address, SocketKind kind) {
  const bool any_port = address.port == 0;
  for (int attempt = 0;; ++attempt) {
    SocketPair pair{address, kind, {}, {}};
    auto udp = open_socket(address, kind, Protocol::udp);
    if (!udp) return fail(udp.error());
    pair.address.port = port_of(udp->get());
    auto tcp = open_socket(pair.address, kind, Protocol::tcp);
    if (tcp) {
      pair.udp = std::move(*udp);
      pair.tcp = std::move(*tcp);
      return pair;
    }
    if (!any_port || tcp.error().error != EADDRINUSE || attempt == free_port_attempts) return fail(tcp.error());
  }
}

Result<std::vector<SocketPair>, Trouble> open_address(const Endpoint& address, SocketKind kind, int workers) {
  if (address.port != 0)
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
      if (const auto alone = check_alone(address, kind, protocol); !alone) return fail(alone.error());
  std::vector<SocketPair> pairs;
  for (int worker = 0; worker < workers; ++worker) {
    auto pair = open_pair(pairs.empty() ? address : pairs.front().address, kind);
    if (!pair) return fail(pair.error());
    pairs.push_back(std::move(*pair));
  }
  if (workers > 1)
    if (const int error = steer_by_question(pairs.front().udp.get(), workers); error != 0)
      return fail(Trouble{error, false});
  return pairs;
}

// ── sentences ────────────────────────────────────────────────────────────────────────────────────────────────────────

int first_free_port() {
  int port = 1'024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

std::string sentence_of_held_port(const Endpoint& address, SocketKind kind) {
  PortHolder holder;
  for (PortHolder& found : holders_of_port(address.port)) {
    if (found.process == getpid() || !overlap(found.address, address.address)) continue;
    if (holder.process == 0 && !is_resolved_stub(holder)) holder = std::move(found);
  }
  std::string sentence = "port " + std::to_string(address.port) + " on " + address.address.to_string() +
                         " is held by " + to_string(holder) + ": ";
  if (is_resolved_stub(holder))
    return sentence +
           "set DNSStubListener=no in /etc/systemd/resolved.conf and restart systemd-resolved, or start with "
           "--port 5300";
  if (kind == SocketKind::ordinary) return sentence + "stop it, or start with --port 5300";
  if (kind == SocketKind::redirected) return sentence + "stop it; stray queries are redirected to this port";
  if (kind == SocketKind::mapped) return sentence + "stop it, or choose another port in `redirect.port_map`";
  if (holder.name == "dnsmasq")
    return sentence + "set bind-dynamic in its configuration, so that it leaves other addresses alone";
  return sentence + "stop it, or let it listen on its own addresses only; stray queries are taken there";
}

/// Half a house without DNS is more than an address that could not be had.
void tell_unserved_families(Opened& opened) {
  const auto& pairs = opened.of_worker.front();
  if (pairs.empty()) return;
  for (const bool is_v4 : {true, false}) {
    const auto is_of_it = [is_v4](const auto& one) { return one.address.address.is_v4() == is_v4; };
    if (std::any_of(pairs.begin(), pairs.end(), is_of_it)) continue;
    const auto last = std::find_if(opened.faults.rbegin(), opened.faults.rend(), is_of_it);
    if (last != opened.faults.rend() && last->error != EAFNOSUPPORT)
      last->what += std::string(". ") + (is_v4 ? "IPv4" : "IPv6") + " devices are not served";
  }
}

std::string sentence_of(const Endpoint& address, SocketKind kind, const Trouble& trouble) {
  const std::string where = "port " + std::to_string(address.port) + " on " + address.address.to_string();
  if (trouble.is_about_transparency && trouble.error == EPERM)
    return "taking stray queries on " + where +
           " needs CAP_NET_ADMIN or CAP_NET_RAW: start as root, or take `redirect` out of the configuration";
  switch (trouble.error) {
    case EADDRINUSE:
      return sentence_of_held_port(address, kind);
    case EACCES:
    case EPERM:
      return where + " needs root or CAP_NET_BIND_SERVICE, as every port below " + std::to_string(first_free_port()) +
             ": start as root, or with --port 5300";
    case EADDRNOTAVAIL:
      return address.address.to_string() +
             " is no address of this machine: `ip address` shows those it has; correct `listen` in the configuration";
    case EAFNOSUPPORT:
      return "this machine has no " + std::string(address.address.is_v4() ? "IPv4" : "IPv6") + ": take " +
             address.to_string() + " out of `listen` in the configuration";
    case EMFILE:
    case ENFILE:
      return where + " cannot be opened, no file descriptor is left: raise the limit (`ulimit -n`)";
    default:
      return where + " cannot be opened: " + std::strerror(trouble.error);
  }
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = other.release();
  }
  return *this;
}

Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}

int Socket::release() {
  return std::exchange(descriptor_, -1);
}

Opened open_sockets(const std::vector<Endpoint>& addresses, SocketKind kind, int workers) {
  check(workers > 0);
  Opened opened;
  opened.of_worker.resize(static_cast<std::size_t>(workers));
  for (const Endpoint& address : addresses) {
    auto pairs = open_address(address, kind, workers);
    if (!pairs) {
      const Trouble& trouble = pairs.error();
      opened.faults.push_back({address, kind, trouble.error, sentence_of(address, kind, trouble)});
      continue;
    }
    for (std::size_t worker = 0; worker < pairs->size(); ++worker)
      opened.of_worker[worker].push_back(std::move((*pairs)[worker]));
  }
  if (kind == SocketKind::ordinary) tell_unserved_families(opened);
  return opened;
}

Opened open_mapped_sockets(const std::vector<device::MappedPort>& ports, int workers) {
  std::vector<Endpoint> addresses;
  for (const device::MappedPort& mapped : ports)
    addresses.push_back({mapped.resolver.is_v4() ? IpAddress::v4(0, 0, 0, 0) : IpAddress(), mapped.port});
  Opened opened = open_sockets(addresses, SocketKind::mapped, workers);
  for (std::vector<SocketPair>& pairs : opened.of_worker)
    for (SocketPair& pair : pairs)
      for (const device::MappedPort& mapped : ports)
        if (mapped.port == pair.address.port) pair.resolver = {mapped.resolver, dns_port};
  return opened;
}

}  // namespace doline::listener

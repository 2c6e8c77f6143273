// Sockets: opened all at once at start, before privileges go, for every worker; then handed to the workers' loops.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "device/destination.h"
#include "listener/port_holder.h"
#include "listener/steering.h"

namespace doline::listener {

/// `ordinary`: queries meant for us. `transparent`: stray queries that nft's tproxy hands over, bound to 127.0.0.153 or
/// ::1 with IP(V6)_TRANSPARENT on the same port numbers as intercepted. `redirected`: stray queries after a NAT
/// REDIRECT to a private port. `mapped`: on a port that stands for one known resolver.
enum class SocketKind : std::uint8_t { ordinary, transparent, redirected, mapped };

/// An open file descriptor; closes it. Movable.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] int release();

 private:
  int descriptor_ = -1;
};

struct SocketPair {  ///< UDP and TCP of one address, one worker
  Endpoint address;
  SocketKind kind = SocketKind::ordinary;
  Socket udp, tcp;
  Endpoint resolver{};  ///< mapped: whom the port stands for
};

/// Whatever comes to such a socket was sent to the address that it is bound to, and responses leave from there: the
/// kernel need not tell, nor be told, with every datagram.
[[nodiscard]] inline bool has_one_address(const IpAddress& bound, SocketKind kind) {
  return kind == SocketKind::ordinary && !bound.is_unspecified() && !bound.is_link_local() && !bound.is_multicast();
}

struct SocketFault {
  Endpoint address;
  SocketKind kind = SocketKind::ordinary;
  int error = 0;     ///< errno
  std::string what;  ///< a sentence with the cure: which process holds the port, which privilege is missing
};

struct Opened {
  std::vector<std::vector<SocketPair>> of_worker;  ///< [worker][address]; same order for all workers
  std::vector<SocketFault> faults;                 ///< addresses that could not be opened, for any worker
};

/// SO_REUSEPORT, non-blocking, close-on-exec, PKTINFO (unless has_one_address()) and (transparent) RECVORIGDSTADDR on;
/// UDP sockets of one address are steered by steer_by_question() so that equal questions reach one worker. Port 0 takes
/// any port that is free for both UDP and TCP. A port that another process listens on is a fault, even where the kernel
/// would let us share it.
[[nodiscard]] Opened open_sockets(const std::vector<Endpoint>& addresses, SocketKind kind, int workers);

/// Of kind `mapped`, on all addresses of the resolver's family.
[[nodiscard]] Opened open_mapped_sockets(const std::vector<device::MappedPort>& ports, int workers);

}  // namespace doline::listener

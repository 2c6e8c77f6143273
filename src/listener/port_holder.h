// Who holds a port: read from /proc, so that "address already in use" can be said as a sentence that helps. Start-up
// only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"

namespace doline::listener {

struct PortHolder {
  IpAddress address;  ///< what its socket is bound to; unspecified for all addresses
  pid_t process = 0;  ///< 0 where /proc does not tell us (another user's process)
  std::string name;   ///< as the kernel knows it, at most 15 printable characters
  std::string user;   ///< whose process it is, where more is not known; may be empty
};

/// The stub of systemd-resolved? An ordinary user is told no more of it than its address and its user.
[[nodiscard]] bool is_resolved_stub(const PortHolder& holder);

/// Every UDP socket bound to `port` and every TCP socket that listens on it, in the caller's network namespace. Walks
/// all processes' descriptors: milliseconds.
[[nodiscard]] std::vector<PortHolder> holders_of_port(std::uint16_t port);

/// `process 412 (dnsmasq)` that holds UDP or TCP `port`; empty where it cannot be told.
[[nodiscard]] std::string holder_of_port(std::uint16_t port);

/// `process 412 (dnsmasq)`, `a process of the user systemd-resolve`
[[nodiscard]] std::string to_string(const PortHolder& holder);

}  // namespace doline::listener

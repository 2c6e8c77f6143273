// PROXY protocol, version 2: what a trusted router puts before a query to say whose it is and whom it was meant for.
// Before every datagram, and once at the beginning of a TCP connection. Pure; never called for others' octets than a
// router's.
//
// No DNS message begins like this: read as one, the signature is a query with opcode 1 and 13 questions, and behind a
// length one with response code 13.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/ip_address.h"
#include "base/result.h"
#include "device/destination.h"
#include "dns/message.h"

namespace doline::listener {

inline constexpr std::array<std::uint8_t, 12> proxy_signature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                              0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
/// With everything that may be attached to it, which is passed over.
inline constexpr std::size_t proxy_header_octets_max = 1'024;

struct ProxyHeader {
  struct Ends {
    Endpoint client, destination;
    auto operator<=>(const Ends&) const = default;
  };
  std::size_t octets = 0;    ///< where the query, or its length, begins
  std::optional<Ends> ends;  ///< nothing: the router speaks for itself
  auto operator<=>(const ProxyHeader&) const = default;
};

enum class ProxyFault : std::uint8_t {
  absent,      ///< another beginning
  incomplete,  ///< as far as it goes: over TCP more may come
  malformed,   ///< of another version, longer than it may be, or of a family that is not the Internet's
};

[[nodiscard]] Result<ProxyHeader, ProxyFault> parse_proxy_header(dns::Octets octets);

/// A query of `ends.client` was meant for `ends.destination`, unless that is one of the routers itself: then it was
/// meant for whoever answers there, and `destination` stays.
void pass_on(const ProxyHeader::Ends& ends, std::span<const IpPrefix> routers, IpAddress& behind,
             device::Destination& destination);

[[nodiscard]] bool contains(std::span<const IpPrefix> networks, const IpAddress& address);

}  // namespace doline::listener

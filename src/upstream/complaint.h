// Complaint: why a server has no answer for us: what is wrong with its response, and what it says of that itself.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/ip_address.h"
#include "dns/code.h"
#include "dns/message.h"
#include "upstream/accept.h"

namespace doline::upstream {

inline constexpr std::size_t complaint_octets_max = 160;  ///< of a server's own text

struct Complaint {
  Endpoint server;
  AcceptFault fault = AcceptFault::server_failed;
  dns::ResponseCode code = dns::ResponseCode::servfail;
  std::optional<dns::ExtendedError> error;  ///< the server's first (RFC 8914)
  std::string text;                         ///< of that; printable ASCII, for it comes from outside
};

/// Of any octets that accept() has called a fault.
[[nodiscard]] Complaint read_complaint(dns::Octets response, AcceptFault fault, const Endpoint& server);
/// What a client is told of it: the server's own text, or `9.9.9.9 said REFUSED`.
[[nodiscard]] std::string to_string(const Complaint& complaint);

}  // namespace doline::upstream

// Packet: what a logged packet says of its connection, and the DNS questions in it. Reads octets of anybody's making,
// cut where the rule that logged them says: every read is bounded. Pure; any thread. RFC 791, RFC 8200, RFC 9293.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dns/message.h"
#include "dns/question.h"
#include "flows/event.h"

namespace doline::flows {

inline constexpr int extension_headers_max = 8;  ///< of one IPv6 packet
inline constexpr std::size_t questions_per_packet_max = 16;

struct Packet {
  Tuple tuple;
  dns::Octets payload;  ///< behind the UDP or TCP header, as far as it was logged; borrowed
};

/// Nothing: not the beginning of an IP packet, or cut before its addresses and ports end. Fragments behind the first
/// have no ports: 0.
[[nodiscard]] std::optional<Packet> parse_packet(dns::Octets octets);

/// The questions of the queries in a UDP or TCP payload; of TCP with their lengths in front or, where a client sends
/// those apart, without (RFC 7766 §8). Empty: no query.
[[nodiscard]] std::vector<dns::Question> questions_of(const Packet& packet);

}  // namespace doline::flows

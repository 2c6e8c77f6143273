// Origin: the question that only conntrack can answer (`nat` mode, UDP): this redirected query, whom was it meant for?
//
// Each worker has a SOCK_SEQPACKET descriptor to the warden, non-blocking and its own to watch. It sends one packet
// with up to origins_per_message questions and gets one packet with as many answers, in the same order, each with its
// question's ticket. No more than origins_in_flight_max questions may be unanswered per descriptor: then neither side's
// buffer fills, and a send that would block is a warden that hangs. End of file is a warden that died: serve what waits
// as `local`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "redirect/request.h"

namespace doline::redirect {

inline constexpr std::size_t origins_per_message = 64;
inline constexpr std::size_t origins_in_flight_max = 1'024;

enum class Protocol : std::uint8_t { udp, tcp };

struct OriginQuestion {
  std::uint32_t ticket = 0;  ///< the asker's; comes back as it was
  Protocol protocol = Protocol::udp;
  Endpoint client;  ///< as the redirected socket saw it
  Endpoint local;   ///< our address that was hit (PKTINFO) and the private port
  auto operator<=>(const OriginQuestion&) const = default;
};

struct OriginAnswer {
  std::uint32_t ticket = 0;
  std::optional<Endpoint> original;  ///< nothing: conntrack knows no such flow
  auto operator<=>(const OriginAnswer&) const = default;
};

/// Of at most origins_per_message; more break an invariant.
[[nodiscard]] std::vector<std::uint8_t> write_origin_questions(std::span<const OriginQuestion> questions);
[[nodiscard]] Result<std::vector<OriginQuestion>, MessageFault> parse_origin_questions(
    std::span<const std::uint8_t> octets);
[[nodiscard]] std::vector<std::uint8_t> write_origin_answers(std::span<const OriginAnswer> answers);
[[nodiscard]] Result<std::vector<OriginAnswer>, MessageFault> parse_origin_answers(
    std::span<const std::uint8_t> octets);

}  // namespace doline::redirect

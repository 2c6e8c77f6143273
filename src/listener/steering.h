// Steering: which worker owns a question. One hash, computed twice: by the kernel over each datagram, before it chooses
// a socket of a SO_REUSEPORT group, and by owner_of() here, for what the kernel does not steer.
//
// So equal questions meet in one worker, whatever the client, its port, the case (0x20) or the EDNS options behind:
// they share one cache entry and one exchange. Hashed are up to steered_octets_max octets of the question, four at a
// time, up to the four that hold its first zero: that is never beyond the end of QNAME. Not a defence: whoever likes
// can aim at one worker.
#pragma once

#include <cstdint>
#include <span>

namespace doline::listener {

inline constexpr int steered_octets_max = 48;

/// Which worker owns a question, in [0, workers). `message`: a whole DNS message; one too short for its question is
/// worker 0's.
[[nodiscard]] int owner_of(std::span<const std::uint8_t> message, int workers);

/// Attaches the same hash to the SO_REUSEPORT group of this UDP socket (classic BPF, needs no privilege). The group's
/// sockets must have been bound in the order of their workers. Returns 0 or errno.
[[nodiscard]] int steer_by_question(int descriptor, int workers);

}  // namespace doline::listener

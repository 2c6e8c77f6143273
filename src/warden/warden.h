// Warden: the one privileged process. It keeps CAP_NET_ADMIN, carries out the typed requests of redirect/, and nothing
// else; the rules themselves it renders from checked values. It outlives the resolver by a moment: to take the rules
// away.
//
// Ends of its life, and of the rules (on_failure: open; `closed` rules stay, and refuse):
//   - its control channel closes, or SIGTERM: rules away, conntrack flushed, exit;
//   - the resolver is silent for redirect::silence_max: rules away until it is heard again;
//   - it dies itself: its nft child reads end of file and ends, and the kernel drops the child's table; rules that have
//     no owner, and flows, its heir takes away (heir.h); the gate, whose table is nobody's, opens ten seconds later by
//     itself.
#pragma once

#include <cstdint>
#include <vector>

namespace doline::warden {

/// What may be caught, said at start by who still had every privilege: a resolver that somebody has taken over since
/// cannot lead other traffic of the house to itself. Without ports: whatever is asked for.
struct Bounds {
  std::vector<std::uint16_t> ports;
  std::uint16_t nat_port = 0;
};

/// The warden's ends, all SOCK_SEQPACKET.
struct Channels {
  std::vector<int> talk;        ///< [0] is the control channel, the others are origin channels (redirect/origin.h)
  std::vector<int> admissions;  ///< redirect/admission.h
  int flows = -1;               ///< to the log writer (flows/batch.h); -1: none, and connections are not watched
};

/// The whole program. Returns the exit status once the control channel has closed or SIGTERM came.
[[nodiscard]] int run(const Channels& channels, const Bounds& bounds = {});

}  // namespace doline::warden

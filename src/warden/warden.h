// Warden: the one privileged process. It keeps CAP_NET_ADMIN, carries out the typed requests of redirect/, and nothing
// else; the rules themselves it renders from checked values. It outlives the resolver by a moment: to take the rules
// away.
//
// Ends of its life, and of the rules (on_failure: open; `closed` rules stay, and refuse):
//   - its control channel closes, or SIGTERM: rules away, conntrack flushed, exit;
//   - the resolver is silent for redirect::silence_max: rules away until it is heard again;
//   - it dies itself: its nft child reads end of file and ends, and the kernel drops the child's table; the gate, whose
//     table is nobody's, opens ten seconds later by itself.
#pragma once

#include <vector>

namespace doline::warden {

/// The whole program: `channels[0]` is the control channel, the others are origin channels (redirect/origin.h);
/// `admissions` are admission channels (redirect/admission.h). Returns the exit status once the control channel has
/// closed or SIGTERM came.
[[nodiscard]] int run(const std::vector<int>& channels, const std::vector<int>& admissions = {});

}  // namespace doline::warden

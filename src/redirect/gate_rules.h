// The nft script of the gate: which connections of the LAN's devices may leave it. Table `doline_gate`: encrypted DNS
// is refused to those for whom it shall be, and devices that are only-resolved reach only addresses that an answer gave
// them, or that their lock allows. What is established goes on.
//
// Whom it refused, or would have, it counts by MAC address (`refused_by`, `would_refuse_by`, `encrypted_by`: of devices
// that were quiet for a week nothing is left), and keeps for an hour what they wanted to connect to (`unexplained4`,
// `unexplained6`). A set that is full counts nobody new; the totals do not depend on it.
//
// The table is nobody's own: its sets `allowed4`, `allowed6`, `answered_doh4`, `answered_doh6` and `alive` are written
// by netlink (warden/gate.h), and their elements outlive a renewal. With on_failure: open the rules hold only while
// `alive` has its elements, which expire unless the warden renews them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "redirect/options.h"
#include "redirect/restrictions.h"

namespace doline::redirect {

/// Addresses that its sets hold of each family: that devices may connect to, enough for a house of such devices, and of
/// DoH servers. A set that is full admits nobody new, and that is counted.
inline constexpr std::size_t gate_allowed_max = 65'536, gate_answered_doh_max = 4'096;

/// Makes what is missing, renews rules and whom they are for, keeps the addresses that answers gave; empty where nobody
/// is restricted. One statement a line, as in nft_rules.h. Options and restrictions have no problems; `lan`: as in
/// nft_rules.h.
[[nodiscard]] std::string nft_gate(const Options& options, const Restrictions& restrictions,
                                   const std::vector<IpPrefix>& lan = {});
/// True where the gate logs connections of some to servers of encrypted DNS; not where all of them are logged anyway.
[[nodiscard]] bool gate_logs(const Options& options, const Restrictions& restrictions);
/// Takes the rules away and keeps the sets; for a kernel with that table.
[[nodiscard]] std::string nft_open_gate();

}  // namespace doline::redirect

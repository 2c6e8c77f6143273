// Privileges: what the warden keeps of what it was started with.
#pragma once

#include <cstdint>

namespace doline::warden {

/// `rules`: CAP_NET_ADMIN. `rules_and_raw_sockets`: CAP_NET_RAW too, which legacy iptables asks for.
enum class Kept : std::uint8_t { rules, rules_and_raw_sockets };

/// Gives up every capability but these, for this process and its children (which inherit them as ambient), and the way
/// to new ones by set-user-id programs. True where CAP_NET_ADMIN was there to be kept.
[[nodiscard]] bool keep_only(Kept kept);

}  // namespace doline::warden

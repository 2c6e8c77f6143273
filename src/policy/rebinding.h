// Rebinding: may an answer from outside send a device to an address of this house? A name that its owner lets lead to
// 192.168.1.1 makes a browser talk to the router in the page's name (DNS rebinding).
//
// Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "base/ip_address.h"
#include "dns/name.h"

namespace doline::policy {

struct RebindingSettings {
  bool protect = false;
  std::vector<dns::Name> allow;  ///< small letters: these and all below them may
};

/// Private, shared with no other house: RFC 1918, loopback, link-local, unique local, 0.0.0.0/8, unspecified; and IPv6
/// addresses with such an IPv4 address in them (mapped, compatible, NAT64's well-known and local-use prefixes, 6to4).
[[nodiscard]] bool is_inward(const IpAddress& address);
/// Nobody outside can own such a name: no dot in it, or below one that is set aside for houses (`home.arpa`,
/// `internal`, `local`) or that no registry gives out (`lan`, `home`, `corp`).
[[nodiscard]] bool is_name_of_a_house(const dns::Name& lowered);

/// Does the answer have to be kept from the device? `addresses`: all of it.
[[nodiscard]] bool is_rebinding(const RebindingSettings& settings, const dns::Name& lowered_qname,
                                std::span<const IpAddress> addresses);

}  // namespace doline::policy

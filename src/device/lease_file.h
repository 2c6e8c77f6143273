// Lease files: what a DHCP server of this LAN knows of its clients: address, MAC, host name.
//
// Reads the files of dnsmasq, Kea (memfile, IPv4 and IPv6), ISC dhcpd and odhcpd; which it is, is told by content. What
// clients call themselves is theirs to choose, so host names are cut to letters that are harmless everywhere. Pure; any
// thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "device/roster.h"

namespace doline::device {

inline constexpr std::size_t leases_max = devices_max;  ///< of one file; what stands behind is not read
inline constexpr std::size_t lease_problems_max = 20;   ///< told of one file
inline constexpr std::size_t hostname_octets_max = 63;

enum class LeaseFormat : std::uint8_t { dnsmasq, kea, isc_dhcpd, odhcpd };
[[nodiscard]] std::string_view to_string(LeaseFormat format);

struct LeaseProblem {
  std::size_t line = 0;  ///< from 1
  std::string what;
};

struct LeaseReading {
  std::optional<LeaseFormat> format;  ///< absent: an empty file, or (then with a problem) none that we know
  std::vector<Sighting> sightings;    ///< leases that run, in the order of the file; of an address the last word counts
  std::size_t ended = 0;              ///< leases that are over, free or released
  std::size_t without_mac = 0;        ///< running leases that tell no MAC: they name nobody
  std::vector<LeaseProblem> problems;  ///< bad lines; the rest is used
};

/// `now`: a lease that ended before is over.
[[nodiscard]] LeaseReading read_leases(std::string_view text, WallTime now);

/// Letters, digits, `-`, `_` and `.` stay, anything else becomes `-`; at most hostname_octets_max. Empty for `*`, `-`
/// and what has no letter or digit.
[[nodiscard]] std::string to_hostname(std::string_view untrusted);

}  // namespace doline::device

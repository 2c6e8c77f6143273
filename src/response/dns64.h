// Dns64: AAAA records that are made of A records, for clients that reach IPv4 only through a NAT64 (RFC 6147), and the
// prefixes by which an IPv4 address stands in an IPv6 one (RFC 6052).
//
// A value in a snapshot; any thread. Nothing here allocates but make_own().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ip_address.h"
#include "dns/name.h"
#include "response/local_records.h"

namespace doline::response {

inline constexpr std::size_t dns64_prefixes_max = 8;  ///< so many AAAA records are made of each A record
/// RFC 6147 §5.1.7: the longest life of such a record where nobody says how long there will be no AAAA.
inline constexpr std::uint32_t dns64_ttl_seconds = 600;

struct Dns64 {
  std::vector<IpPrefix> prefixes;  ///< IPv6, of 32, 40, 48, 56, 64 or 96 bits; at least one
  std::vector<IpPrefix> clients;   ///< whose; empty: everybody's
  std::vector<IpPrefix> exclude;   ///< addresses that count as none, beside the IPv4-mapped ones (RFC 6147 §5.1.4)
  std::shared_ptr<const LocalRecords> own;  ///< make_own(prefixes)

  [[nodiscard]] bool serves(const IpAddress& client) const;
  /// An AAAA record of `address` is as if there were none.
  [[nodiscard]] bool is_excluded(const IpAddress& address) const;
  /// The name of the IPv4 address, where `lowered` is the name below ip6.arpa of an address that one of the prefixes
  /// makes, or the well-known one, whichever are configured (RFC 6147 §5.3.1, its second way). Whether that name has a
  /// record is not looked into.
  [[nodiscard]] std::optional<dns::Name> find_ipv4_reverse(const dns::Name& lowered) const;
};

/// RFC 6052 §2.2: one of these lengths, and no bit set among 64 to 71.
[[nodiscard]] bool is_dns64_prefix(const IpPrefix& prefix);
/// Nothing: the well-known prefix stands for global addresses only (RFC 6052 §3.1).
[[nodiscard]] std::optional<IpAddress> embed(const IpPrefix& prefix, const IpAddress& ipv4);
/// What embed() was given; nothing where the address is not below the prefix.
[[nodiscard]] std::optional<IpAddress> extract(const IpPrefix& prefix, const IpAddress& ipv6);

/// ipv4only.arpa, by which clients learn the prefixes (RFC 7050), and its names below in-addr.arpa: who makes AAAA
/// records answers for these (RFC 8880 §7.1).
[[nodiscard]] std::shared_ptr<const LocalRecords> make_own(const std::vector<IpPrefix>& prefixes);

}  // namespace doline::response

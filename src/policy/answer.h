// What an answer leads to: its addresses, read off words that upstream::accept() has made. For the review of answers.
//
// Reads only what it looks for, so that reviewing an answer of the cache costs little. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.h"
#include "dns/message.h"

namespace doline::policy {

/// What the Answer section shows at a glance, behind the one question of `qname_octets`.
struct Glance {
  bool is_empty = true;
  bool leads_on = false;      ///< to other names: CNAME, PTR, HTTPS or SVCB, whose hints are addresses too
  bool leads_inward = false;  ///< an A or AAAA record to an address of a house (rebinding.h)

  /// For who keeps it beside the words.
  [[nodiscard]] std::uint8_t to_octet() const {
    return static_cast<std::uint8_t>((is_empty ? 1 : 0) | (leads_on ? 2 : 0) | (leads_inward ? 4 : 0));
  }
  static Glance from_octet(std::uint8_t octet) { return {(octet & 1) != 0, (octet & 2) != 0, (octet & 4) != 0}; }
};
[[nodiscard]] Glance glance_at(dns::Octets words, std::size_t qname_octets);
/// Does such a record lead on to another name?
[[nodiscard]] bool leads_on(dns::RecordType type);

/// Of the Answer section: A, AAAA, and the address hints of HTTPS and SVCB (RFC 9460 §7.3). Replaces what is in
/// `addresses`; allocates only where they have never been so many.
void collect_addresses(dns::Octets words, std::vector<IpAddress>& addresses);

/// The longest TTL of the Answer section, in seconds; 0 where it is empty.
[[nodiscard]] std::uint32_t longest_ttl(dns::Octets words);

}  // namespace doline::policy

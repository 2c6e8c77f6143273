// find_special_use(): which names are answered here because no server of the Internet can know them (RFC 6761, RFC 6303
// and kin), and the canaries by which browsers and phones ask whether this network wants their DNS for itself.
//
// Pure, no allocation after the first call; any thread. Most names are passed over by a glance at their last octets.
#pragma once

#include <cstdint>
#include <optional>

#include "dns/code.h"
#include "dns/name.h"

namespace doline::response {

/// What the operator leaves to us; each false one is asked upstream like any name.
struct SpecialUse {
  bool names = true;            ///< `special_use`
  bool firefox_canary = true;   ///< use-application-dns.net: Firefox keeps asking us
  bool icloud_canaries = true;  ///< mask.icloud.com, mask-h2.icloud.com: Private Relay stays off in this network
};

enum class LocalAnswer : std::uint8_t {
  loopback,  ///< 127.0.0.1 and ::1 (RFC 6761 §6.3)
  nodata,    ///< the apex of a zone that is empty here, or a canary
  nxdomain,  ///< below such an apex
};

/// Nothing: the name is an ordinary one. DS of an apex is the parent's, so that validators see that it is not signed.
[[nodiscard]] std::optional<LocalAnswer> find_special_use(const dns::Name& lowered, dns::RecordType type,
                                                          const SpecialUse& choice);

}  // namespace doline::response

// find_special_use(): which names are answered here because no server of the Internet can know them (RFC 6761, RFC 6303
// and kin), names of one label, and the canaries by which browsers and phones ask whether this network wants their DNS.
//
// Pure, no allocation after the first call; any thread. Most names are passed over by a glance at their last octets.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "dns/code.h"
#include "dns/name.h"

namespace doline::response {

/// What the operator leaves to us; each false one is asked upstream like any name.
struct SpecialUse {
  bool names = true;            ///< `special_use`
  bool bare_names = true;       ///< of one label, asked for as hosts' names (`bare_names`)
  bool firefox_canary = true;   ///< use-application-dns.net: Firefox keeps asking us
  bool icloud_canaries = true;  ///< mask.icloud.com, mask-h2.icloud.com: Private Relay stays off in this network
  std::optional<dns::Name> local_domain = {};  ///< the house's devices have their names there; small letters
};

struct LocalAnswer {
  enum class Kind : std::uint8_t {
    loopback,  ///< 127.0.0.1 and ::1 (RFC 6761 §6.3)
    apex,      ///< of a zone that is empty here: it has a SOA and NS record (RFC 6303 §3), and nothing else
    nodata,    ///< a name below it that others are below, all of resolver.arpa, or a canary
    nxdomain,  ///< below such an apex, or a bare name
  };
  Kind kind = Kind::nodata;
  std::uint8_t zone_octets = 0;  ///< of the name's end that is the zone we answer for; 0: none, a bare name
  std::uint32_t ttl_seconds = 0;
};
inline constexpr std::uint32_t special_use_ttl_seconds = 3'600;
/// Of bare names and the house's own zones: a device of that name, or address, may come home any time.
inline constexpr std::uint32_t house_name_ttl_seconds = 60;

/// Is it a name of one label, below the root itself? Not the root.
[[nodiscard]] inline bool is_bare(const dns::Name& name) {
  return name.wire()[0] + std::size_t{2} == name.size();
}

/// A glance at the end of a name in small letters. May say yes to an ordinary one, never no to one that
/// find_special_use() knows.
[[nodiscard]] inline bool may_be_special(const dns::Name& lowered) {
  const auto wire = lowered.wire();
  if (wire.size() < 7 || is_bare(lowered)) return true;  // of one label, or nearly
  const auto ends_with = [&](const char* octets) { return std::memcmp(wire.data() + wire.size() - 5, octets, 4) == 0; };
  switch (wire[wire.size() - 2]) {
    case 'a':
      return ends_with("arpa");
    case 'd':
      return ends_with("alid");  // invalid
    case 'l':
      return ends_with("ocal");  // local
    case 'm':
      return ends_with("\3com") && wire[wire.size() - 6] == 'd';  // icloud.com
    case 'n':
      return ends_with("nion");  // onion
    case 't':
      return ends_with("test") || ends_with("\3alt") || ends_with("host") ||
             (ends_with("\3net") && wire[wire.size() - 6] == 's');  // localhost, use-application-dns.net
    default:
      return false;
  }
}

/// The same, with the house's own domain.
[[nodiscard]] inline bool may_be_special(const dns::Name& lowered, const SpecialUse& choice) {
  return may_be_special(lowered) || (choice.local_domain && lowered.is_within(*choice.local_domain));
}

/// Nothing: the name is an ordinary one. DS of an apex is the parent's, so that validators see that it is not signed.
[[nodiscard]] std::optional<LocalAnswer> find_special_use(const dns::Name& lowered, dns::RecordType type,
                                                          const SpecialUse& choice);

/// What is asked of zones, not of hosts: SOA, NS, DS and the like. Who asks for these of a name of one label means the
/// top-level domain, not a device.
[[nodiscard]] bool is_asked_of_zones(dns::RecordType type);

}  // namespace doline::response

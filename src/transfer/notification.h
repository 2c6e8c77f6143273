// NotificationBook: whom we believe that a zone has changed, and what is said to who tells us so (NOTIFY, RFC 1996).
//
// A notification says no more than "look": what the zone holds comes by a transfer of our own. With a key it counts
// only where it is signed, and the answer is signed too. A value; no I/O, no clock; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "dns/message.h"
#include "dns/name.h"
#include "transfer/tsig.h"

namespace doline::transfer {

/// A zone that we transfer.
struct NotifiedZone {
  dns::Name zone;                   ///< small letters
  std::vector<Endpoint> primaries;  ///< only their addresses count: notifications come from any port
  std::optional<TsigKey> key;       ///< nothing: what comes from these addresses is believed unsigned
};

class NotificationBook {
 public:
  struct Heard {
    std::size_t octets = 0;         ///< of the response in `out`; 0: none is due
    std::optional<dns::Name> zone;  ///< that is to be looked at; small letters
  };

  explicit NotificationBook(std::vector<NotifiedZone> zones) : zones_(std::move(zones)) {}

  /// `message` is a NOTIFY query of `client`: NOERROR where it counts, NOTAUTH for other zones and for a signature that
  /// is missing or wrong, REFUSED to all but primaries, FORMERR. `out`: at least a header; where all does not fit,
  /// nothing is said.
  [[nodiscard]] Heard take(const IpAddress& client, dns::Octets message, WallTime now,
                           std::span<std::uint8_t> out) const;

 private:
  std::vector<NotifiedZone> zones_;
};

}  // namespace doline::transfer

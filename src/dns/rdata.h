// RDATA: the shape of each known type's, so that it is checked, decompressed and copied by one walk. Private to dns.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "dns/code.h"
#include "dns/message_reader.h"

namespace doline::dns {

/// One letter a field, in order; the last letter of a shape may take all that is left:
///   1 2 4 6 8   that many octets           L   LOC: 16 octets, version 0
///   N           a name, compressed in messages (RFC 3597 §4)
///   D           a name that arrives compressed or not, and is sent uncompressed
///   s           a character-string         c   a character-string, not empty        S   character-strings, at least
///   one x X         any octets; at least one   b   type bit maps (RFC 4034 §4.1.2)      v   SvcParams (RFC 9460 §2.2)
///   t           a CAA tag                  p   APL items      g   IPSECKEY's precedence to gateway      h   HIP
/// Unknown types are `x`. Nothing for types that are no records (RFC 6895 §3.1): no RDATA of these is well formed.
[[nodiscard]] std::optional<std::string_view> shape_of(RecordType type);

/// A run of octets as they stand, or a name that begins there.
struct RdataPiece {
  std::size_t at = 0;
  std::size_t octets = 0;  ///< of a name: as compressed in the message
  bool is_name = false;
  bool may_compress = false;
};

namespace rdata_detail {
[[nodiscard]] bool skip_field(MessageReader& reader, char field);
}

/// Walks the RDATA that stands at `at` in `message`, calling `take(const RdataPiece&)` for its pieces in order. False:
/// it does not parse; then some pieces may have been taken. Time linear in its size.
template <class Take>
[[nodiscard]] bool walk_rdata(Octets message, std::size_t at, std::size_t octets, RecordType type, Take take) {
  if (type == RecordType::a || type == RecordType::aaaa) {  // nearly all there are
    if (octets != (type == RecordType::a ? 4 : 16)) return false;
    take(RdataPiece{at, octets, false, false});
    return true;
  }
  const auto shape = shape_of(type);
  if (!shape) return false;
  MessageReader reader(message.first(at + octets), at);
  std::size_t taken = at;
  for (const char field : *shape) {
    if (field != 'N' && field != 'D') {
      if (!rdata_detail::skip_field(reader, field)) return false;
      continue;
    }
    const std::size_t name_at = reader.at();
    if (reader.skip_name()) return false;
    if (name_at > taken) take(RdataPiece{taken, name_at - taken, false, false});
    taken = reader.at();
    take(RdataPiece{name_at, taken - name_at, true, field == 'N'});
  }
  if (reader.left() != 0) return false;
  if (reader.at() > taken) take(RdataPiece{taken, reader.at() - taken, false, false});
  return true;
}

}  // namespace doline::dns

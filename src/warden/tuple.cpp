#include "warden/tuple.h"

#include <linux/netfilter/nfnetlink_conntrack.h>

namespace doline::warden {

Tuple read_tuple(const nlattr& nest) {
  Tuple tuple;
  each_attribute(nest, [&](const nlattr& part) {
    each_attribute(part, [&](const nlattr& field) {
      const auto octets = octets_of(field);
      if (mnl_attr_get_type(&part) == CTA_TUPLE_IP) {
        if (octets.size() != 4 && octets.size() != 16) return;
        switch (mnl_attr_get_type(&field)) {
          case CTA_IP_V4_SRC:
          case CTA_IP_V6_SRC:
            tuple.source.address = IpAddress::from_octets(octets);
            break;
          case CTA_IP_V4_DST:
          case CTA_IP_V6_DST:
            tuple.destination.address = IpAddress::from_octets(octets);
            break;
          default:
            break;
        }
      } else if (mnl_attr_get_type(&part) == CTA_TUPLE_PROTO) {
        const std::uint64_t value = big_endian(field);
        switch (mnl_attr_get_type(&field)) {
          case CTA_PROTO_NUM:
            tuple.protocol = static_cast<std::uint8_t>(value);
            break;
          case CTA_PROTO_SRC_PORT:
            tuple.source.port = static_cast<std::uint16_t>(value);
            break;
          case CTA_PROTO_DST_PORT:
            tuple.destination.port = static_cast<std::uint16_t>(value);
            break;
          default:
            break;
        }
      }
    });
  });
  return tuple;
}

}  // namespace doline::warden

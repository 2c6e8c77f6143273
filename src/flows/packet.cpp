#include "flows/packet.h"

#include <netinet/in.h>

#include <algorithm>

#include "dns/read_octets.h"

namespace doline::flows {

namespace {

using dns::Octets;
using dns::read16;

/// `at`: where the header of `tuple.protocol` begins; nothing where `has_header` is false.
std::optional<Packet> finish(Octets octets, std::size_t at, Tuple tuple, bool has_header) {
  Packet packet{tuple, {}};
  const bool is_tcp = tuple.protocol == IPPROTO_TCP;
  const bool has_ports = is_tcp || tuple.protocol == IPPROTO_UDP || tuple.protocol == IPPROTO_SCTP ||
                         tuple.protocol == IPPROTO_DCCP || tuple.protocol == IPPROTO_UDPLITE;
  if (!has_header || !has_ports) return packet;
  if (octets.size() < at + 4) return std::nullopt;
  packet.tuple.client.port = read16(octets, at);
  packet.tuple.destination.port = read16(octets, at + 2);
  if (tuple.protocol == IPPROTO_UDP && octets.size() > at + 8) packet.payload = octets.subspan(at + 8);
  if (is_tcp && octets.size() > at + 12) {
    const std::size_t header = std::size_t{octets[at + 12]} >> 4 << 2;
    if (header >= 20 && octets.size() > at + header) packet.payload = octets.subspan(at + header);
  }
  return packet;
}

std::optional<Packet> parse_v4(Octets octets) {
  constexpr std::size_t least = 20;
  if (octets.size() < least) return std::nullopt;
  const std::size_t header = std::size_t{octets[0] & 15u} << 2, total = read16(octets, 2);
  if (header < least || total < header || octets.size() < header) return std::nullopt;
  Tuple tuple;
  tuple.protocol = octets[9];
  tuple.client.address = IpAddress::from_octets(octets.subspan(12, 4));
  tuple.destination.address = IpAddress::from_octets(octets.subspan(16, 4));
  const bool is_first_fragment = (read16(octets, 6) & 0x1fff) == 0;
  return finish(octets.first(std::min(octets.size(), total)), header, tuple, is_first_fragment);
}

std::optional<Packet> parse_v6(Octets octets) {
  constexpr std::size_t fixed = 40;
  if (octets.size() < fixed) return std::nullopt;
  octets = octets.first(std::min(octets.size(), fixed + read16(octets, 4)));
  Tuple tuple;
  tuple.client.address = IpAddress::from_octets(octets.subspan(8, 16));
  tuple.destination.address = IpAddress::from_octets(octets.subspan(24, 16));
  std::uint8_t next = octets[6];
  std::size_t at = fixed;
  for (int headers = 0; headers <= extension_headers_max; ++headers) {
    const bool is_extension = next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
                              next == IPPROTO_DSTOPTS || next == IPPROTO_AH;
    if (!is_extension) {
      tuple.protocol = next;
      return finish(octets, at, tuple, true);
    }
    if (octets.size() < at + 8) return std::nullopt;
    const std::uint8_t kind = next;
    next = octets[at];
    if (kind == IPPROTO_FRAGMENT && (read16(octets, at + 2) & 0xfff8) != 0) {
      tuple.protocol = next;
      return finish(octets, at, tuple, false);
    }
    at += kind == IPPROTO_FRAGMENT ? 8 : kind == IPPROTO_AH ? (octets[at + 1] + 2u) << 2 : (octets[at + 1] + 1u) << 3;
  }
  return std::nullopt;
}

bool add_question(Octets message, std::vector<dns::Question>& questions) {
  const auto query = dns::QueryView::parse(message);
  if (query) questions.push_back(query->question());
  return query.has_value();
}

}  // namespace

std::optional<Packet> parse_packet(Octets octets) {
  if (octets.empty()) return std::nullopt;
  switch (octets[0] >> 4) {
    case 4:
      return parse_v4(octets);
    case 6:
      return parse_v6(octets);
    default:
      return std::nullopt;
  }
}

std::vector<dns::Question> questions_of(const Packet& packet) {
  std::vector<dns::Question> questions;
  Octets left = packet.payload;
  if (packet.tuple.protocol == IPPROTO_UDP) add_question(left, questions);
  if (packet.tuple.protocol != IPPROTO_TCP) return questions;
  while (left.size() > 2 && questions.size() < questions_per_packet_max) {
    const std::size_t size = read16(left, 0);
    if (size > left.size() - 2 || !add_question(left.subspan(2, size), questions)) break;
    left = left.subspan(2 + size);
  }
  if (questions.empty()) add_question(left, questions);
  return questions;
}

}  // namespace doline::flows

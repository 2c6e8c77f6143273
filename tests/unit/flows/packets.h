// Packets as devices send them, octet by octet: for the tests and the corpus of flows.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "dns/question.h"
#include "dns/writer.h"

namespace doline::flows::samples {

using Octets = std::vector<std::uint8_t>;

inline IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

inline void append(Octets& octets, std::initializer_list<unsigned> more) {
  for (const unsigned octet : more) octets.push_back(static_cast<std::uint8_t>(octet));
}
inline void append(Octets& octets, std::span<const std::uint8_t> more) {
  octets.insert(octets.end(), more.begin(), more.end());
}
inline void append16(Octets& octets, std::size_t number) {
  append(octets, {static_cast<unsigned>(number >> 8 & 0xff), static_cast<unsigned>(number & 0xff)});
}

inline Octets udp(std::uint16_t from, std::uint16_t to, std::span<const std::uint8_t> payload = {}) {
  Octets octets;
  append16(octets, from);
  append16(octets, to);
  append16(octets, 8 + payload.size());
  append16(octets, 0);
  append(octets, payload);
  return octets;
}

inline Octets tcp(std::uint16_t from, std::uint16_t to, std::span<const std::uint8_t> payload = {}) {
  Octets octets;
  append16(octets, from);
  append16(octets, to);
  append(octets, {0, 0, 0, 1, 0, 0, 0, 1, 0x60, 0x18, 0x01, 0x00, 0, 0, 0, 0, 1, 1, 1, 0});  // with options
  append(octets, payload);
  return octets;
}

inline Octets v4(std::string_view from, std::string_view to, unsigned protocol, std::span<const std::uint8_t> rest,
                 unsigned fragment = 0) {
  Octets octets;
  append(octets, {0x46, 0});  // with options
  append16(octets, 24 + rest.size());
  append16(octets, 7);
  append16(octets, fragment);
  append(octets, {64, protocol, 0, 0});
  append(octets, address(from).octets());
  append(octets, address(to).octets());
  append(octets, {1, 1, 1, 0});
  append(octets, rest);
  return octets;
}

inline Octets v6(std::string_view from, std::string_view to, unsigned next, std::span<const std::uint8_t> rest) {
  Octets octets;
  append(octets, {0x60, 0, 0, 0});
  append16(octets, rest.size());
  append(octets, {next, 64});
  append(octets, address(from).octets());
  append(octets, address(to).octets());
  append(octets, rest);
  return octets;
}

/// An extension header of eight octets, or a fragment's.
inline Octets extension(unsigned next, std::span<const std::uint8_t> rest, unsigned offset = 0) {
  Octets octets;
  append(octets, {next, 0});
  append16(octets, offset);
  append(octets, {0, 0, 0, 0});
  append(octets, rest);
  return octets;
}

inline Octets query(std::string_view qname, dns::RecordType qtype = dns::RecordType::a) {
  Octets octets(512);
  dns::MessageWriter writer(octets);
  writer.header(0x1234, {}, dns::ResponseCode::noerror);
  static_cast<void>(writer.question({*dns::Name::parse(qname), qtype, dns::RecordClass::in}));
  octets.resize(writer.size());
  octets[2] = 0x01;  // a query, with recursion desired
  octets[3] = 0;
  return octets;
}

inline Octets with_length(std::span<const std::uint8_t> message) {
  Octets octets;
  append16(octets, message.size());
  append(octets, message);
  return octets;
}

}  // namespace doline::flows::samples

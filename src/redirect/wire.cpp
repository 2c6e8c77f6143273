#include "redirect/wire.h"

#include <algorithm>

namespace doline::redirect {

void WireWriter::text(std::string_view text) {
  text = text.substr(0, 0xffff);
  integer(static_cast<std::uint16_t>(text.size()));
  octets_.insert(octets_.end(), text.begin(), text.end());
}

void WireWriter::address(const IpAddress& address) {
  octets_.insert(octets_.end(), address.mapped().begin(), address.mapped().end());
}

void WireWriter::prefix(const IpPrefix& prefix) {
  address(prefix.address());
  integer(static_cast<std::uint8_t>(prefix.length()));
}

void WireWriter::endpoint(const Endpoint& endpoint) {
  address(endpoint.address);
  integer(endpoint.port);
}

void WireWriter::mac(const device::MacAddress& mac) {
  octets_.insert(octets_.end(), mac.octets.begin(), mac.octets.end());
}

std::span<const std::uint8_t> WireReader::take(std::size_t count) {
  if (failed_ || count > left_.size()) {
    failed_ = true;
    return {};
  }
  const auto taken = left_.first(count);
  left_ = left_.subspan(count);
  return taken;
}

bool WireReader::boolean() {
  const auto value = integer<std::uint8_t>();
  if (value > 1) fail();
  return value == 1;
}

std::string WireReader::text(std::size_t octets_max) {
  const auto size = integer<std::uint16_t>();
  if (size > octets_max) fail();
  const auto octets = take(size);
  return {octets.begin(), octets.end()};
}

IpAddress WireReader::address() {
  const auto octets = take(16);
  return failed_ ? IpAddress() : IpAddress::from_octets(octets);
}

IpPrefix WireReader::prefix() {
  const IpAddress base = address();
  const auto length = integer<std::uint8_t>();
  if (length > (base.is_v4() ? 32 : 128)) fail();
  return failed_ ? IpPrefix() : IpPrefix(base, length);
}

Endpoint WireReader::endpoint() {
  const IpAddress where = address();
  const auto port = integer<std::uint16_t>();
  return {where, port};
}

device::MacAddress WireReader::mac() {
  device::MacAddress mac;
  std::ranges::copy(take(6), mac.octets.begin());
  return mac;
}

std::string_view to_string(MessageFault fault) {
  switch (fault) {
    case MessageFault::too_long:
      return "too long";
    case MessageFault::malformed:
      return "malformed";
    case MessageFault::unknown:
      return "of an unknown version or kind";
  }
  return "?";
}

}  // namespace doline::redirect

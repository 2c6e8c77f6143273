#include "base/ip_address.h"

#include <arpa/inet.h>

#include <charconv>

#include "base/check.h"

namespace doline {

namespace {

std::optional<int> parse_number(std::string_view text, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty() || value < 0 || value > most)
    return std::nullopt;
  return value;
}

}  // namespace

IpAddress IpAddress::from_octets(std::span<const std::uint8_t> octets) {
  check(octets.size() == 4 || octets.size() == 16);
  if (octets.size() == 4) return v4(octets[0], octets[1], octets[2], octets[3]);
  IpAddress address;
  std::memcpy(address.octets_.data(), octets.data(), 16);
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return std::nullopt;
  std::uint8_t octets[16];
  if (inet_pton(AF_INET, buffer, octets) == 1) return from_octets({octets, 4});
  if (inet_pton(AF_INET6, buffer, octets) == 1) return from_octets({octets, 16});
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  check(inet_ntop(is_v4() ? AF_INET : AF_INET6, octets().data(), buffer, sizeof buffer) != nullptr);
  return buffer;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return octets_[12] == 127;
  for (int i = 0; i < 15; ++i)
    if (octets_[i] != 0) return false;
  return octets_[15] == 1;
}

bool IpAddress::is_private() const {
  if (is_loopback() || is_link_local()) return true;
  if (is_v6()) return (octets_[0] & 0xfe) == 0xfc;
  return octets_[12] == 10 || (octets_[12] == 172 && (octets_[13] & 0xf0) == 16) ||
         (octets_[12] == 192 && octets_[13] == 168);
}

IpPrefix::IpPrefix(const IpAddress& address, int length) : length_(length) {
  check(length >= 0 && length <= (address.is_v4() ? 32 : 128));
  auto octets = address.mapped(), mask = all_ones;
  const int kept = address.is_v4() ? 96 + length : length;
  for (int bit = kept; bit < 128; ++bit) {
    octets[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> (bit % 8)));
    mask[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> (bit % 8)));
  }
  address_ = IpAddress::from_octets(octets);
  mask_ = IpAddress::from_octets(mask);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const int longest = address->is_v4() ? 32 : 128;
  if (slash == std::string_view::npos) return IpPrefix(*address, longest);
  const auto length = parse_number(text.substr(slash + 1), longest);
  if (!length) return std::nullopt;
  return IpPrefix(*address, *length);
}

std::string IpPrefix::to_string() const {
  return address_.to_string() + "/" + std::to_string(length_);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text, port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':' || close + 2 == text.size()) return std::nullopt;
      port = text.substr(close + 2);
    }
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return std::nullopt;
  }
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  if (port.empty()) return Endpoint{*address, default_port};
  const auto number = parse_number(port, 65535);
  if (!number) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*number)};
}

std::string Endpoint::to_string() const {
  return (address.is_v4() ? address.to_string() : "[" + address.to_string() + "]") + ":" + std::to_string(port);
}

SocketAddress to_socket_address(const Endpoint& endpoint, std::uint32_t scope) {
  SocketAddress result;
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.mapped().data() + 12, 4);
    std::memcpy(&result.storage, &v4, sizeof v4);
    result.length = sizeof v4;
  } else {
    sockaddr_in6& v6 = result.storage;
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    v6.sin6_scope_id = endpoint.address.is_link_local() ? scope : 0;
    std::memcpy(&v6.sin6_addr, endpoint.address.mapped().data(), 16);
  }
  return result;
}

}  // namespace doline

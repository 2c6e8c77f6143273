// MacAddress: the 48-bit hardware address by which a device of this LAN is known best.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace doline::device {

struct MacAddress {
  std::array<std::uint8_t, 6> octets{};

  /// `94:51:3d:13:9a:35`, `94-51-3d-13-9a-35` or `94513d139a35`, any case.
  static std::optional<MacAddress> parse(std::string_view text);
  /// `lFE9E5o1`: its octets in base64 (RFC 4648 §4), as dnsmasq's `add-mac=base64` has them. Many a name is one, too.
  static std::optional<MacAddress> parse_base64(std::string_view text);
  /// `94:51:3d:13:9a:35`.
  [[nodiscard]] std::string to_string() const;
  /// Second bit of the first octet: made up by the device (a phone's privacy address), so it names no vendor.
  [[nodiscard]] bool is_locally_administered() const { return (octets[0] & 2) != 0; }
  [[nodiscard]] bool is_zero() const { return *this == MacAddress{}; }
  constexpr auto operator<=>(const MacAddress&) const = default;
};

}  // namespace doline::device

template <>
struct std::hash<doline::device::MacAddress> {
  std::size_t operator()(const doline::device::MacAddress& mac) const noexcept {
    std::uint64_t value = 0;
    for (const auto octet : mac.octets) value = value << 8 | octet;
    return static_cast<std::size_t>(value * 0x9e3779b97f4a7c15ULL);
  }
};

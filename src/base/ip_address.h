// IpAddress, IpPrefix, Endpoint: values for where something is on the network.
//
// One representation for both families: 16 octets in network order, IPv4 as the IPv4-mapped ::ffff:a.b.c.d (RFC 4291
// §2.5.5.2). So an IPv4 client that arrives on an IPv6 socket equals itself.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace doline {

class IpAddress {
 public:
  /// The unspecified address, `::`.
  constexpr IpAddress() = default;
  /// `octets`: 4 (IPv4) or 16 (IPv6, or IPv4-mapped), network order; any other count breaks an invariant.
  static IpAddress from_octets(std::span<const std::uint8_t> octets);
  static IpAddress from_v4(const in_addr& address) {
    const std::array<std::uint32_t, 4> parts{0, 0, htonl(0xffff), address.s_addr};
    IpAddress value;
    value.octets_ = std::bit_cast<std::array<std::uint8_t, 16>>(parts);
    return value;
  }
  static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    IpAddress address;
    address.octets_ = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
    return address;
  }
  /// Dotted quad or RFC 4291 text; no zone id, no brackets, no spaces.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] constexpr bool is_v4() const {
    constexpr auto head = std::bit_cast<std::uint64_t>(std::array<std::uint8_t, 8>{0, 0, 0xff, 0xff, 0, 0, 0, 0});
    constexpr auto counts =
        std::bit_cast<std::uint64_t>(std::array<std::uint8_t, 8>{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0});
    const auto both = words();
    return both[0] == 0 && (both[1] & counts) == head;
  }
  [[nodiscard]] bool is_v6() const { return !is_v4(); }
  /// 4 or 16 octets, network order; borrowed from this value.
  [[nodiscard]] std::span<const std::uint8_t> octets() const {
    return is_v4() ? std::span<const std::uint8_t>(octets_).subspan(12) : std::span<const std::uint8_t>(octets_);
  }
  /// Always 16 octets.
  [[nodiscard]] const std::array<std::uint8_t, 16>& mapped() const { return octets_; }
  /// The same in two words of this machine's octet order, for comparing.
  [[nodiscard]] constexpr std::array<std::uint64_t, 2> words() const {
    return std::bit_cast<std::array<std::uint64_t, 2>>(octets_);
  }
  /// RFC 5952 for IPv6, dotted quad for IPv4.
  [[nodiscard]] std::string to_string() const;

  /// 0.0.0.0 or ::
  [[nodiscard]] bool is_unspecified() const { return *this == IpAddress{} || *this == v4(0, 0, 0, 0); }
  [[nodiscard]] bool is_loopback() const;     ///< 127.0.0.0/8 or ::1
  [[nodiscard]] bool is_link_local() const {  ///< 169.254.0.0/16 or fe80::/10
    return is_v4() ? octets_[12] == 169 && octets_[13] == 254 : octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80;
  }
  [[nodiscard]] bool is_multicast() const {  ///< 224.0.0.0/4 or ff00::/8
    return is_v4() ? (octets_[12] & 0xf0) == 0xe0 : octets_[0] == 0xff;
  }
  /// One host's: neither unspecified nor multicast, and of IPv4 neither 0.0.0.0/8 nor 240.0.0.0/4 (RFC 6890).
  [[nodiscard]] bool is_unicast() const {
    if (is_v4()) return octets_[12] - 1u < 223u;
    return octets_[0] != 0xff && *this != IpAddress{};
  }
  /// RFC 1918, ULA (fc00::/7), link-local or loopback: what `private` means in the configuration.
  [[nodiscard]] bool is_private() const;

  friend constexpr bool operator==(const IpAddress& left, const IpAddress& right) {
    const auto one = left.words(), other = right.words();
    return ((one[0] ^ other[0]) | (one[1] ^ other[1])) == 0;
  }
  constexpr auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> octets_{};
};

/// An address and how many leading bits count; bits behind them are zero. `length` is of the address's own family
/// (0-32, 0-128).
class IpPrefix {
 public:
  IpPrefix() = default;
  /// Host bits are cleared; a length beyond the family's breaks an invariant.
  IpPrefix(const IpAddress& address, int length);
  /// `192.168.0.0/16`, `2001:db8::/32`, or a lone address (then /32 or /128).
  static std::optional<IpPrefix> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& address) const {
    const auto ours = address_.words(), theirs = address.words(), counts = mask_.words();
    return ((ours[0] ^ theirs[0]) & counts[0]) == 0 && ((ours[1] ^ theirs[1]) & counts[1]) == 0 &&
           address.is_v4() == address_.is_v4();  // ::/0 has no IPv4 address in it
  }
  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] int length() const { return length_; }
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const IpPrefix&) const = default;

 private:
  static constexpr std::array<std::uint8_t, 16> all_ones = [] {
    std::array<std::uint8_t, 16> octets{};
    octets.fill(0xff);
    return octets;
  }();
  IpAddress address_;
  IpAddress mask_ = IpAddress::from_octets(all_ones);  // the bits that count
  int length_ = 128;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  /// `1.2.3.4`, `1.2.3.4:53`, `2620:fe::fe`, `[2620:fe::fe]:53`; `default_port` where none is named.
  static std::optional<Endpoint> parse(std::string_view text, std::uint16_t default_port);
  /// `1.2.3.4:53`, `[2620:fe::fe]:53`.
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Endpoint&) const = default;
};

/// A socket address of one of the two families with its length, as system calls want it.
struct SocketAddress {
  sockaddr_in6 storage{};
  socklen_t length = sizeof(sockaddr_in6);

  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// `scope`: the interface index that a link-local IPv6 address needs; else 0.
[[nodiscard]] SocketAddress to_socket_address(const Endpoint& endpoint, std::uint32_t scope = 0);
/// AF_INET or AF_INET6; any other family yields [::]:0.
[[nodiscard]] inline Endpoint to_endpoint(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    return {IpAddress::from_v4(v4.sin_addr), ntohs(v4.sin_port)};
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    return {IpAddress::from_octets(v6.sin6_addr.s6_addr), ntohs(v6.sin6_port)};
  }
  return {};
}

}  // namespace doline

template <>
struct std::hash<doline::IpAddress> {
  std::size_t operator()(const doline::IpAddress& address) const noexcept {
    std::uint64_t high, low;
    std::memcpy(&high, address.mapped().data(), 8);
    std::memcpy(&low, address.mapped().data() + 8, 8);
    std::uint64_t mixed = (high * 0x9e3779b97f4a7c15ULL) ^ low;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8feb86659fd93ULL;
    return static_cast<std::size_t>(mixed ^ mixed >> 32);  // hosts differ in high bits, tables count by low ones
  }
};

#include "policy/rebinding.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace doline::policy {

namespace {

using namespace std::string_view_literals;

// In wire form.
constexpr std::array house_suffixes{"\4home\4arpa\0"sv, "\x8internal\0"sv, "\5local\0"sv, "\x9localhost\0"sv,
                                    "\3lan\0"sv,        "\4home\0"sv,      "\4corp\0"sv};

bool is_inward_v4(std::span<const std::uint8_t> octets) {
  return octets[0] == 0 || IpAddress::from_octets(octets).is_private();
}

bool starts_with(const IpAddress& address, std::span<const std::uint8_t> octets) {
  return std::equal(octets.begin(), octets.end(), address.mapped().begin());
}

}  // namespace

bool is_inward(const IpAddress& address) {
  if (address.is_v4()) return is_inward_v4(address.octets());
  if (address.is_private() || address.is_unspecified()) return true;
  const std::span<const std::uint8_t> octets = address.mapped();
  constexpr std::array<std::uint8_t, 12> compatible{};
  constexpr std::array<std::uint8_t, 12> nat64{0, 0x64, 0xff, 0x9b};             // RFC 6052 §2.1
  constexpr std::array<std::uint8_t, 6> local_nat64{0, 0x64, 0xff, 0x9b, 0, 1};  // RFC 8215
  constexpr std::array<std::uint8_t, 2> six_to_four{0x20, 0x02};                 // RFC 3056 §2
  if (starts_with(address, compatible) || starts_with(address, nat64)) return is_inward_v4(octets.subspan(12));
  // Where in a prefix of 48 bits the address stands is RFC 6052's table; in a longer one of that house, at the end.
  if (starts_with(address, local_nat64)) {
    const std::array<std::uint8_t, 4> after_48{octets[6], octets[7], octets[9], octets[10]};
    return is_inward_v4(octets.subspan(12)) || is_inward_v4(after_48);
  }
  return starts_with(address, six_to_four) && is_inward_v4(octets.subspan(2, 4));
}

bool is_name_of_a_house(const dns::Name& lowered) {
  if (lowered.label_count() <= 1) return true;
  const auto wire = lowered.wire();
  for (std::size_t at = 0; wire[at] != 0; at += wire[at] + std::size_t{1}) {
    const std::string_view rest(reinterpret_cast<const char*>(wire.data()) + at, wire.size() - at);
    if (std::find(house_suffixes.begin(), house_suffixes.end(), rest) != house_suffixes.end()) return true;
  }
  return false;
}

bool is_rebinding(const RebindingSettings& settings, const dns::Name& lowered_qname,
                  std::span<const IpAddress> addresses) {
  if (!settings.protect || std::none_of(addresses.begin(), addresses.end(), is_inward)) return false;
  return !is_name_of_a_house(lowered_qname) &&
         std::none_of(settings.allow.begin(), settings.allow.end(),
                      [&](const dns::Name& name) { return lowered_qname.is_within(name); });
}

}  // namespace doline::policy

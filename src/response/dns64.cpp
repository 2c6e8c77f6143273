#include "response/dns64.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"

namespace doline::response {

namespace {

using dns::Name;

constexpr std::array<int, 6> lengths{32, 40, 48, 56, 64, 96};
constexpr std::size_t octet_of_zeros = 8;  // bits 64 to 71
constexpr std::size_t reverse_labels = 32, ip6_arpa_octets = 10;

const IpPrefix& well_known() {
  static const IpPrefix prefix = *IpPrefix::parse("64:ff9b::/96");
  return prefix;
}

/// RFC 6052 §3.1 names RFC 5735 §3, which became RFC 6890 §2.2.2; with the multicast and reserved ones behind them.
bool is_global(const IpAddress& ipv4) {
  static const std::vector<IpPrefix> others = [] {
    std::vector<IpPrefix> made;
    for (const char* text : {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                             "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
                             "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"})
      made.push_back(*IpPrefix::parse(text));
    return made;
  }();
  return std::none_of(others.begin(), others.end(), [&](const IpPrefix& other) { return other.contains(ipv4); });
}

/// Where octet `number` of the IPv4 address stands behind a prefix of this length.
std::size_t place_of(std::size_t number, int prefix_bits) {
  const std::size_t plain = static_cast<std::size_t>(prefix_bits) / 8 + number;
  return prefix_bits <= 64 && plain >= octet_of_zeros ? plain + 1 : plain;
}

IpAddress embed_any(const IpPrefix& prefix, const IpAddress& ipv4) {
  std::array<std::uint8_t, 16> octets = prefix.address().mapped();
  for (std::size_t number = 0; number < 4; ++number) octets[place_of(number, prefix.length())] = ipv4.octets()[number];
  return IpAddress::from_octets(octets);
}

/// The address whose name below ip6.arpa this is: 32 labels of one half octet each, the last one first.
std::optional<IpAddress> read_reverse(const Name& lowered) {
  const auto wire = lowered.wire();
  if (wire.size() != reverse_labels * 2 + ip6_arpa_octets) return std::nullopt;
  constexpr std::array<std::uint8_t, ip6_arpa_octets> ending{3, 'i', 'p', '6', 4, 'a', 'r', 'p', 'a', 0};
  if (!std::equal(ending.begin(), ending.end(), wire.end() - ip6_arpa_octets)) return std::nullopt;
  std::array<std::uint8_t, 16> octets{};
  for (std::size_t label = 0; label < reverse_labels; ++label) {
    const std::uint8_t digit = wire[label * 2 + 1];
    const bool is_number = digit >= '0' && digit <= '9', is_letter = digit >= 'a' && digit <= 'f';
    if (wire[label * 2] != 1 || (!is_number && !is_letter)) return std::nullopt;
    const auto half = static_cast<std::uint8_t>(is_number ? digit - '0' : digit - 'a' + 10);
    octets[15 - label / 2] |= static_cast<std::uint8_t>(label % 2 == 0 ? half : half << 4);
  }
  return IpAddress::from_octets(octets);
}

}  // namespace

bool Dns64::serves(const IpAddress& client) const {
  return clients.empty() ||
         std::any_of(clients.begin(), clients.end(), [&](const IpPrefix& network) { return network.contains(client); });
}

bool Dns64::is_excluded(const IpAddress& address) const {
  return address.is_v4() || std::any_of(exclude.begin(), exclude.end(),
                                        [&](const IpPrefix& network) { return network.contains(address); });
}

std::optional<Name> Dns64::find_ipv4_reverse(const Name& lowered) const {
  const auto ipv6 = read_reverse(lowered);
  if (!ipv6) return std::nullopt;
  for (const IpPrefix& prefix : prefixes)
    if (const auto ipv4 = extract(prefix, *ipv6)) return reverse_name(*ipv4);
  const auto ipv4 = extract(well_known(), *ipv6);
  return ipv4 ? std::optional(reverse_name(*ipv4)) : std::nullopt;
}

bool is_dns64_prefix(const IpPrefix& prefix) {
  return prefix.address().is_v6() && std::find(lengths.begin(), lengths.end(), prefix.length()) != lengths.end() &&
         prefix.address().mapped()[octet_of_zeros] == 0;
}

std::optional<IpAddress> embed(const IpPrefix& prefix, const IpAddress& ipv4) {
  check(ipv4.is_v4());
  if (prefix == well_known() && !is_global(ipv4)) return std::nullopt;
  return embed_any(prefix, ipv4);
}

std::optional<IpAddress> extract(const IpPrefix& prefix, const IpAddress& ipv6) {
  if (!prefix.contains(ipv6)) return std::nullopt;
  std::array<std::uint8_t, 4> octets;
  for (std::size_t number = 0; number < 4; ++number) octets[number] = ipv6.mapped()[place_of(number, prefix.length())];
  return IpAddress::from_octets(octets);
}

std::shared_ptr<const LocalRecords> make_own(const std::vector<IpPrefix>& prefixes) {
  LocalName name{*Name::parse("ipv4only.arpa"), false, {}};
  for (const IpAddress& ipv4 : {IpAddress::v4(192, 0, 0, 170), IpAddress::v4(192, 0, 0, 171)}) {
    name.records.push_back(address_record(ipv4));
    for (const IpPrefix& prefix : prefixes) name.records.push_back(address_record(embed_any(prefix, ipv4)));
  }
  LocalRecords::Builder builder;
  builder.add_source({&name, 1});
  return builder.build();
}

}  // namespace doline::response

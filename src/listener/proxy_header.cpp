#include "listener/proxy_header.h"

#include <algorithm>

#include "dns/read_octets.h"

namespace doline::listener {

namespace {

constexpr std::size_t fixed_octets = 16;
constexpr std::uint8_t version_2 = 0x2;
enum class Command : std::uint8_t { local = 0, proxy = 1 };
enum class Family : std::uint8_t { unspecified = 0, v4 = 1, v6 = 2, unix = 3 };
constexpr std::uint8_t stream = 1, datagram = 2;

/// Both addresses, then both ports.
ProxyHeader::Ends read_ends(dns::Octets octets, std::size_t address_octets) {
  const std::size_t ports = 2 * address_octets;
  return {{IpAddress::from_octets(octets.first(address_octets)), dns::read16(octets, ports)},
          {IpAddress::from_octets(octets.subspan(address_octets, address_octets)), dns::read16(octets, ports + 2)}};
}

}  // namespace

Result<ProxyHeader, ProxyFault> parse_proxy_header(dns::Octets octets) {
  const std::size_t compared = std::min(octets.size(), proxy_signature.size());
  if (!std::equal(proxy_signature.begin(), proxy_signature.begin() + static_cast<std::ptrdiff_t>(compared),
                  octets.begin()))
    return fail(ProxyFault::absent);
  if (octets.size() < fixed_octets) return fail(ProxyFault::incomplete);
  const std::uint8_t version = octets[12] >> 4;
  const auto command = static_cast<Command>(octets[12] & 0x0f);
  const auto family = static_cast<Family>(octets[13] >> 4);
  const std::uint8_t transport = octets[13] & 0x0f;
  const std::size_t length = dns::read16(octets, 14);
  if (version != version_2 || command > Command::proxy || fixed_octets + length > proxy_header_octets_max)
    return fail(ProxyFault::malformed);
  if (octets.size() < fixed_octets + length) return fail(ProxyFault::incomplete);

  ProxyHeader header{.octets = fixed_octets + length, .ends = {}};
  if (command == Command::local || octets[13] == 0) return header;
  const std::size_t address_octets = family == Family::v4 ? 4 : 16;
  if ((family != Family::v4 && family != Family::v6) || (transport != stream && transport != datagram) ||
      length < 2 * address_octets + 4)
    return fail(ProxyFault::malformed);
  header.ends = read_ends(octets.subspan(fixed_octets), address_octets);
  if (!header.ends->client.address.is_unicast()) return fail(ProxyFault::malformed);
  return header;
}

void pass_on(const ProxyHeader::Ends& ends, std::span<const IpPrefix> routers, IpAddress& behind,
             device::Destination& destination) {
  behind = ends.client.address;
  if (!contains(routers, ends.destination.address)) destination = {ends.destination, device::DestinationSource::proxy};
}

bool contains(std::span<const IpPrefix> networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const IpPrefix& network) { return network.contains(address); });
}

}  // namespace doline::listener

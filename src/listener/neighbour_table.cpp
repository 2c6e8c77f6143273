#include "listener/neighbour_table.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace doline::listener {

namespace {

/// Netlink attributes behind a family header, bounds-checked: calls `each(type, octets)`.
template <class Each>
void each_attribute(std::span<const std::uint8_t> octets, Each each) {
  while (octets.size() >= sizeof(rtattr)) {
    rtattr attribute;
    std::memcpy(&attribute, octets.data(), sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > octets.size()) return;
    each(attribute.rta_type, octets.subspan(sizeof attribute, attribute.rta_len - sizeof attribute));
    octets = octets.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), octets.size()));
  }
}

std::optional<Neighbour> parse_neighbour(std::span<const std::uint8_t> body) {
  ndmsg neighbour;
  if (body.size() < sizeof neighbour) return std::nullopt;
  std::memcpy(&neighbour, body.data(), sizeof neighbour);
  if (neighbour.ndm_family != AF_INET && neighbour.ndm_family != AF_INET6) return std::nullopt;
  if ((neighbour.ndm_state & (NUD_NOARP | NUD_FAILED | NUD_INCOMPLETE)) != 0) return std::nullopt;
  const std::size_t address_octets = neighbour.ndm_family == AF_INET ? 4 : 16;
  std::optional<IpAddress> address;
  device::MacAddress mac;
  each_attribute(body.subspan(NLMSG_ALIGN(sizeof neighbour)), [&](int type, std::span<const std::uint8_t> value) {
    if (type == NDA_DST && value.size() == address_octets) address = IpAddress::from_octets(value);
    if (type == NDA_LLADDR && value.size() == 6) std::memcpy(mac.octets.data(), value.data(), 6);
  });
  if (!address || address->is_multicast() || mac.is_zero() || (mac.octets[0] & 1) != 0) return std::nullopt;
  return Neighbour{{*address, mac, {}}, static_cast<unsigned>(neighbour.ndm_ifindex)};
}

}  // namespace

std::vector<Neighbour> parse_neighbours(std::span<const std::uint8_t> datagram) {
  std::vector<Neighbour> neighbours;
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) break;
    if (header.nlmsg_type == RTM_NEWNEIGH)
      if (auto neighbour = parse_neighbour(datagram.subspan(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN)))
        neighbours.push_back(std::move(*neighbour));
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
  }
  return neighbours;
}

bool request_neighbours(int netlink, unsigned char family) {
  struct {
    nlmsghdr header;
    ndmsg neighbour;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.neighbour.ndm_family = family;
  return send(netlink, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

NeighbourTable::NeighbourTable()
    : netlink_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {}

NeighbourTable::~NeighbourTable() {
  if (netlink_ >= 0) close(netlink_);
}

std::optional<device::MacAddress> NeighbourTable::find(const IpAddress& client) {
  if (netlink_ < 0 || !request_neighbours(netlink_, client.is_v4() ? AF_INET : AF_INET6)) return std::nullopt;
  std::optional<device::MacAddress> found;
  alignas(8) std::array<std::uint8_t, 32'768> buffer;
  // The kernel makes each datagram as the one before is received; to the end, so that no row is left for the next time.
  for (ssize_t size; (size = recv(netlink_, buffer.data(), buffer.size(), 0)) > 0;)
    for (const auto& [sighting, interface] : parse_neighbours({buffer.data(), static_cast<std::size_t>(size)}))
      if (sighting.address == client) found = sighting.mac;
  return found;
}

}  // namespace doline::listener

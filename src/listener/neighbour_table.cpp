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

struct Row {
  IpAddress address;
  std::uint16_t state = 0;  // NUD_*
  device::MacAddress mac;   // zero: none is known
  unsigned interface = 0;
};

std::optional<Row> parse_row(std::span<const std::uint8_t> body) {
  ndmsg neighbour;
  if (body.size() < sizeof neighbour) return std::nullopt;
  std::memcpy(&neighbour, body.data(), sizeof neighbour);
  if (neighbour.ndm_family != AF_INET && neighbour.ndm_family != AF_INET6) return std::nullopt;
  const std::size_t address_octets = neighbour.ndm_family == AF_INET ? 4 : 16;
  std::optional<IpAddress> address;
  Row row{.address = {},
          .state = neighbour.ndm_state,
          .mac = {},
          .interface = static_cast<unsigned>(neighbour.ndm_ifindex)};
  each_attribute(body.subspan(NLMSG_ALIGN(sizeof neighbour)), [&](int type, std::span<const std::uint8_t> value) {
    if (type == NDA_DST && value.size() == address_octets) address = IpAddress::from_octets(value);
    if (type == NDA_LLADDR && value.size() == 6) std::memcpy(row.mac.octets.data(), value.data(), 6);
  });
  if (!address || address->is_multicast()) return std::nullopt;
  row.address = *address;
  return row;
}

/// Calls `each(const Row&)`.
template <class Each>
void each_row(std::span<const std::uint8_t> datagram, Each each) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) break;
    if (header.nlmsg_type == RTM_NEWNEIGH)
      if (const auto row = parse_row(datagram.subspan(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN))) each(*row);
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
  }
}

bool has_mac(const Row& row) {
  return (row.state & (NUD_NOARP | NUD_FAILED | NUD_INCOMPLETE)) == 0 && !row.mac.is_zero() &&
         (row.mac.octets[0] & 1) == 0;
}

/// Calls `each(const Row&)` for all of the client's family, for the kernel tells none by its address alone. The kernel
/// makes each datagram as the one before is received; to the end, so that no row is left for the next time.
template <class Each>
void each_row_like(int netlink, const IpAddress& client, Each each) {
  if (netlink < 0 || !request_neighbours(netlink, client.is_v4() ? AF_INET : AF_INET6)) return;
  alignas(8) std::array<std::uint8_t, 32'768> buffer;
  for (ssize_t size; (size = recv(netlink, buffer.data(), buffer.size(), 0)) > 0;)
    each_row({buffer.data(), static_cast<std::size_t>(size)}, each);
}

constexpr std::uint16_t discard_port = 9;

/// Whose datagrams go to neighbours only.
int open_knocking(int family) {
  const int made = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  if (family == AF_INET)
    (void)setsockopt(made, SOL_SOCKET, SO_DONTROUTE, &one, sizeof one);
  else
    (void)setsockopt(made, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &one, sizeof one);
  return made;
}

}  // namespace

std::vector<Neighbour> parse_neighbours(std::span<const std::uint8_t> datagram) {
  std::vector<Neighbour> neighbours;
  each_row(datagram, [&](const Row& row) {
    if (has_mac(row)) neighbours.push_back({{row.address, row.mac, {}}, row.interface});
  });
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
  for (const int descriptor : {netlink_, knocking_v4_, knocking_v6_})
    if (descriptor >= 0) close(descriptor);
}

std::optional<device::MacAddress> NeighbourTable::find(const IpAddress& client) {
  std::optional<device::MacAddress> found;
  each_row_like(netlink_, client, [&](const Row& row) {
    if (row.address == client && has_mac(row)) found = row.mac;
  });
  return found;
}

bool NeighbourTable::meet(const IpAddress& client) {
  int& knocking = client.is_v4() ? knocking_v4_ : knocking_v6_;
  if (knocking < 0) knocking = open_knocking(client.is_v4() ? AF_INET : AF_INET6);
  const SocketAddress to = to_socket_address({client, discard_port});
  if (sendto(knocking, nullptr, 0, MSG_NOSIGNAL, to.get(), to.length) < 0) return false;
  bool is_met = false;
  each_row_like(netlink_, client, [&](const Row& row) {
    is_met = is_met || (row.address == client && ((row.state & NUD_INCOMPLETE) != 0 || has_mac(row)));
  });
  return is_met;
}

}  // namespace doline::listener

#include "control/neighbours.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace doline::control {

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

std::optional<device::Sighting> parse_neighbour(std::span<const std::uint8_t> body) {
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
  return device::Sighting{*address, mac, {}};
}

}  // namespace

std::vector<device::Sighting> parse_neighbours(std::span<const std::uint8_t> datagram) {
  std::vector<device::Sighting> sightings;
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) break;
    if (header.nlmsg_type == RTM_NEWNEIGH)
      if (auto sighting = parse_neighbour(datagram.subspan(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN)))
        sightings.push_back(std::move(*sighting));
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
  }
  return sightings;
}

Result<std::unique_ptr<Neighbours>, std::string> Neighbours::follow(Loop& loop,
                                                                    std::function<void(const device::Sighting&)> seen) {
  const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (descriptor < 0) return fail("the neighbour table cannot be read: " + std::string(std::strerror(errno)));
  std::unique_ptr<Neighbours> neighbours(new Neighbours(descriptor, std::move(seen)));
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_groups = RTMGRP_NEIGH;
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 || !neighbours->ask_for_all())
    return fail("the neighbour table cannot be followed: " + std::string(std::strerror(errno)));
  neighbours->watch_ = loop.on_events(descriptor, UV_READABLE, [raw = neighbours.get()](int) { raw->read(); });
  return neighbours;
}

Neighbours::~Neighbours() {
  watch_ = Watch();
  close(descriptor_);
}

bool Neighbours::ask_for_all() {
  struct {
    nlmsghdr header;
    ndmsg neighbour;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.neighbour.ndm_family = AF_UNSPEC;
  return send(descriptor_, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

void Neighbours::read() {
  alignas(8) std::array<std::uint8_t, 32'768> buffer;
  for (int turn = 0; turn < 64; ++turn) {
    const ssize_t size = recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == ENOBUFS) {  // notifications were lost: read the whole table again
      ask_for_all();
      continue;
    }
    if (size <= 0) return;
    for (const auto& sighting : parse_neighbours({buffer.data(), static_cast<std::size_t>(size)})) seen_(sighting);
  }
}

}  // namespace doline::control

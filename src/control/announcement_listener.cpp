#include "control/announcement_listener.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

namespace doline::control {

namespace {

constexpr milliseconds look_at_interfaces_every{60'000};
constexpr int datagrams_a_turn = 64;

bool is_private(const IpAddress& address) {
  static const std::array networks{*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("172.16.0.0/12"),
                                   *IpPrefix::parse("192.168.0.0/16"), *IpPrefix::parse("fc00::/7")};
  return std::any_of(networks.begin(), networks.end(),
                     [&](const IpPrefix& network) { return network.contains(address); });
}

std::optional<IpAddress> address_of(const sockaddr* address) {
  if (address != nullptr && address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &in.sin_addr, octets.size());
    return IpAddress::from_octets(octets);
  }
  if (address != nullptr && address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 16> octets;
    std::memcpy(octets.data(), &in.sin6_addr, octets.size());
    return IpAddress::from_octets(octets);
  }
  return std::nullopt;
}

/// Indices of interfaces on which devices of this house may be.
std::set<unsigned> find_interfaces(const std::vector<std::string>& names) {
  std::set<unsigned> found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return found;
  for (const ifaddrs* one = all; one != nullptr && found.size() < heard_interfaces_max; one = one->ifa_next) {
    constexpr unsigned wanted = IFF_UP | IFF_MULTICAST;
    if ((one->ifa_flags & wanted) != wanted || (one->ifa_flags & IFF_LOOPBACK) != 0) continue;
    const auto address = address_of(one->ifa_addr);
    const bool is_ours = names.empty() ? address && is_private(*address)
                                       : std::find(names.begin(), names.end(), one->ifa_name) != names.end();
    if (is_ours)
      if (const unsigned index = ::if_nametoindex(one->ifa_name); index != 0) found.insert(index);
  }
  ::freeifaddrs(all);
  return found;
}

/// Bound to the group on one interface, so that nothing else comes by it and other listeners on this machine go on.
int open_group(int family, unsigned interface) {
  const int descriptor = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  const int on = 1, off = 0;
  bool is_open = ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(mdns_port);
    address.sin_addr.s_addr = htonl(0xe00000fb);  // 224.0.0.251
    ip_mreqn group{};
    group.imr_multiaddr = address.sin_addr;
    group.imr_ifindex = static_cast<int>(interface);
    is_open = is_open && ::setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) == 0 &&
              ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
              ::setsockopt(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0;
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(mdns_port);
    address.sin6_addr.s6_addr[0] = 0xff;  // ff02::fb
    address.sin6_addr.s6_addr[1] = 0x02;
    address.sin6_addr.s6_addr[15] = 0xfb;
    address.sin6_scope_id = interface;
    ipv6_mreq group{};
    group.ipv6mr_multiaddr = address.sin6_addr;
    group.ipv6mr_interface = interface;
    is_open = is_open && ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0 &&
              ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
              ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group) == 0;
  }
  if (is_open) return descriptor;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return -1;
}

}  // namespace

struct AnnouncementListener::Impl {
  struct Group {
    int descriptor = -1;
    Watch watch;

    Group() = default;
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;
    ~Group() {
      watch = Watch();
      if (descriptor >= 0) ::close(descriptor);
    }
  };

  Impl(Loop& loop_in, const Clock& clock_in, std::vector<std::string> interfaces_in, Heard heard_in)
      : loop(loop_in), clock(clock_in), interfaces(std::move(interfaces_in)), heard(std::move(heard_in)) {
    join();
    looking = loop.every(look_at_interfaces_every, [this] { join(); });
  }

  void join() {
    const std::set<unsigned> wanted = find_interfaces(interfaces);
    std::erase_if(groups, [&](const auto& group) { return !wanted.contains(group.first.second); });
    failure.clear();
    for (const unsigned interface : wanted)
      for (const int family : {AF_INET, AF_INET6}) {
        if (groups.contains({family, interface})) continue;
        const int descriptor = open_group(family, interface);
        if (descriptor < 0) {
          failure = "Names that devices announce are not heard (port 5353): " + std::string(std::strerror(errno)) + '.';
          continue;
        }
        Group& group = groups[{family, interface}];
        group.descriptor = descriptor;
        group.watch = loop.on_events(descriptor, UV_READABLE, [this, descriptor](int) { read(descriptor); });
      }
    if (!groups.empty()) failure.clear();  // an interface without IPv6 has one family
  }

  void read(int descriptor) {
    for (int turn = 0; turn < datagrams_a_turn; ++turn) {
      sockaddr_storage from{};
      socklen_t from_size = sizeof from;
      const ssize_t size = ::recvfrom(descriptor, buffer.data(), buffer.size(), MSG_TRUNC,
                                      reinterpret_cast<sockaddr*>(&from), &from_size);
      if (size < 0) return;
      const MonotonicTime now = clock.now().monotonic;
      if (now - second >= seconds(1)) {
        second = now;
        looked_at = 0;
      }
      if (static_cast<std::size_t>(size) > buffer.size() || looked_at == announcements_a_second_max) continue;
      ++looked_at;
      // A response comes from the port itself (RFC 6762 §6); what does not is nobody's announcement.
      const auto source = address_of(reinterpret_cast<const sockaddr*>(&from));
      if (!source || port_of(from) != mdns_port) continue;
      if (const auto read = dns::read_announcement({buffer.data(), static_cast<std::size_t>(size)}))
        heard(*source, *read);
    }
  }

  static std::uint16_t port_of(const sockaddr_storage& from) {
    in_port_t port = 0;  // at one place in both families
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    std::memcpy(&port, reinterpret_cast<const char*>(&from) + offsetof(sockaddr_in, sin_port), sizeof port);
    return ntohs(port);
  }

  Loop& loop;
  const Clock& clock;
  const std::vector<std::string> interfaces;
  const Heard heard;
  std::map<std::pair<int, unsigned>, Group> groups;  // by family and interface
  Watch looking;
  std::string failure;
  MonotonicTime second{};
  int looked_at = 0;
  std::array<std::uint8_t, announcement_octets_max> buffer{};
};

AnnouncementListener::AnnouncementListener(Loop& loop, const Clock& clock, std::vector<std::string> interfaces,
                                           Heard heard)
    : impl_(std::make_unique<Impl>(loop, clock, std::move(interfaces), std::move(heard))) {}
AnnouncementListener::~AnnouncementListener() = default;

std::size_t AnnouncementListener::joined() const {
  return impl_->groups.size();
}

const std::string& AnnouncementListener::failure() const {
  return impl_->failure;
}

}  // namespace doline::control

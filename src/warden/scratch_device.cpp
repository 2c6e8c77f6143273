#include "warden/scratch_device.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "warden/netlink.h"

namespace doline::warden {

namespace {

constexpr const char* inside = "eth0";
/// A bridge takes the lowest MAC of its ports where it was given none: never this one's, while there are others.
constexpr device::MacAddress port_mac{{0xfe, 0xff, 0xff, 0xff, 0xff, 0xfe}};

IpAddress documentation_v6(std::uint8_t last) {
  const std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
  return IpAddress::from_octets(octets);
}

std::uint8_t family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

std::uint8_t bits_of(const IpAddress& address) {
  return address.is_v4() ? 32 : 128;
}

NetlinkMessage change(std::uint16_t type) {
  const bool is_new = type == RTM_NEWADDR || type == RTM_NEWROUTE || type == RTM_NEWNEIGH;
  return {type, static_cast<std::uint16_t>(NLM_F_ACK | (is_new ? NLM_F_CREATE | NLM_F_REPLACE : 0))};
}

/// Nothing where it is no bridge.
std::optional<device::MacAddress> mac_of_bridge(Netlink& netlink, std::uint32_t interface) {
  NetlinkMessage message(RTM_GETLINK, 0);
  message.header<ifinfomsg>().ifi_index = static_cast<int>(interface);
  bool is_bridge = false;
  device::MacAddress mac;
  const auto asked = netlink.ask(message, [&](const nlmsghdr& reply) {
    each_attribute(reply, sizeof(ifinfomsg), [&](const nlattr& attribute) {
      const auto octets = octets_of(attribute);
      if (mnl_attr_get_type(&attribute) == IFLA_ADDRESS && octets.size() == mac.octets.size())
        std::copy(octets.begin(), octets.end(), mac.octets.begin());
      if (mnl_attr_get_type(&attribute) != IFLA_LINKINFO) return;
      each_attribute(attribute, [&](const nlattr& field) {
        if (mnl_attr_get_type(&field) == IFLA_INFO_KIND) is_bridge = std::string(mnl_attr_get_str(&field)) == "bridge";
      });
    });
  });
  return asked && is_bridge ? std::optional(mac) : std::nullopt;
}

Result<void, NetlinkFault> add_veth(Netlink& netlink, const std::string& port, std::uint32_t bridge, int there) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto& header = message.header<ifinfomsg>();
  header.ifi_flags = header.ifi_change = IFF_UP;
  message.text(IFLA_IFNAME, port.c_str());
  message.attribute(IFLA_ADDRESS, port_mac.octets);
  message.integer(IFLA_MASTER, bridge);
  message.nest(IFLA_LINKINFO, [&] {
    message.text(IFLA_INFO_KIND, "veth");
    message.nest(IFLA_INFO_DATA, [&] {
      message.nest(VETH_INFO_PEER, [&] {
        message.header<ifinfomsg>();
        message.text(IFLA_IFNAME, inside);
        message.attribute(IFLA_ADDRESS, scratch_mac.octets);
        message.integer(IFLA_NET_NS_FD, static_cast<std::uint32_t>(there));
      });
    });
  });
  return netlink.ask(message);
}

Result<void, NetlinkFault> set_up(Netlink& netlink, std::uint32_t interface) {
  auto message = change(RTM_NEWLINK);
  auto& header = message.header<ifinfomsg>();
  header.ifi_index = static_cast<int>(interface);
  header.ifi_flags = header.ifi_change = IFF_UP;
  return netlink.ask(message);
}

Result<void, NetlinkFault> add_address(Netlink& netlink, std::uint32_t interface, const IpAddress& address) {
  auto message = change(RTM_NEWADDR);
  auto& header = message.header<ifaddrmsg>();
  header.ifa_family = family_of(address);
  header.ifa_prefixlen = bits_of(address);
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = interface;
  message.attribute(IFA_LOCAL, address.octets());
  message.attribute(IFA_ADDRESS, address.octets());
  return netlink.ask(message);
}

/// To one address, or to all of its family where `is_default`; by this interface, with nobody between.
Result<void, NetlinkFault> change_route(Netlink& netlink, std::uint16_t type, std::uint32_t interface,
                                        const IpAddress& address, bool is_default) {
  auto message = change(type);
  auto& header = message.header<rtmsg>();
  header.rtm_family = family_of(address);
  header.rtm_dst_len = is_default ? std::uint8_t{0} : bits_of(address);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = address.is_v4() ? std::uint8_t{RT_SCOPE_LINK} : std::uint8_t{RT_SCOPE_UNIVERSE};
  header.rtm_type = RTN_UNICAST;
  if (!is_default) message.attribute(RTA_DST, address.octets());
  message.integer(RTA_OIF, interface);
  return netlink.ask(message);
}

Result<void, NetlinkFault> change_neighbour(Netlink& netlink, std::uint16_t type, std::uint32_t interface,
                                            const IpAddress& address, const device::MacAddress& mac) {
  auto message = change(type);
  auto& header = message.header<ndmsg>();
  header.ndm_family = family_of(address);
  header.ndm_ifindex = static_cast<int>(interface);
  header.ndm_state = NUD_PERMANENT;
  message.attribute(NDA_DST, address.octets());
  message.attribute(NDA_LLADDR, mac.octets);
  return netlink.ask(message);
}

/// Everything that is foreign is sent to the bridge's own MAC, as by a device that has it for its gateway.
Result<void, NetlinkFault> furnish(const device::MacAddress& gateway) {
  Netlink netlink(NETLINK_ROUTE);
  const std::uint32_t interface = if_nametoindex(inside);
  if (const auto up = set_up(netlink, interface); !up) return up;
  for (const auto& [own, resolver] :
       {std::pair(scratch_v4, scratch_resolver_v4), std::pair(scratch_v6(), scratch_resolver_v6())}) {
    if (const auto added = add_address(netlink, interface, own); !added) return added;
    if (const auto added = change_route(netlink, RTM_NEWROUTE, interface, own, true); !added) return added;
    if (const auto added = change_neighbour(netlink, RTM_NEWNEIGH, interface, resolver, gateway); !added) return added;
  }
  return {};
}

/// Of the network that this process is in.
void write_setting(const char* name, const char* value) {
  std::ofstream(std::string("/proc/sys/net/ipv6/conf/default/") + name) << value;
}

std::string why(const char* what, int error) {
  return std::string(what) + ": " + std::strerror(error);
}

}  // namespace

IpAddress scratch_v6() {
  return documentation_v6(0x54);
}
IpAddress scratch_resolver_v6() {
  return documentation_v6(0x53);
}

Result<ScratchDevice, std::string> ScratchDevice::attach(const std::string& bridge) {
  Netlink netlink(NETLINK_ROUTE);
  const std::uint32_t index = if_nametoindex(bridge.c_str());
  if (index == 0) return fail("there is no interface " + bridge);
  if (!mac_of_bridge(netlink, index))
    return fail(bridge + " is no bridge, so that no other device can be put behind it");

  auto network = ScratchNetwork::make();
  if (!network) return fail(network.error());
  ScratchDevice device(std::move(*network));
  device.network_.inside([] {
    write_setting("disable_ipv6", "0");
    write_setting("accept_dad", "0");
  });
  const std::string port = "doline-" + std::to_string(getpid() % 1'000'000);
  if (const auto added = add_veth(netlink, port, index, device.network_.descriptor()); !added)
    return fail(why("no port can be added to the bridge", added.error().error));
  device.port_ = port;
  device.bridge_ = index;
  const auto mac = mac_of_bridge(netlink, index);  // now: the first port may have given it another
  if (const auto furnished = device.network_.inside([&] { return furnish(mac.value_or(port_mac)); }); !furnished)
    return fail(why("the device has no addresses", furnished.error().error));
  for (const IpAddress& address : {scratch_v4, scratch_v6()}) {
    if (const auto added = change_route(netlink, RTM_NEWROUTE, index, address, false); !added)
      return fail(why("there is no route to the device", added.error().error));
    if (const auto added = change_neighbour(netlink, RTM_NEWNEIGH, index, address, scratch_mac); !added)
      return fail(why("the device cannot be made known", added.error().error));
  }
  return device;
}

ScratchDevice::ScratchDevice(ScratchDevice&& other) noexcept
    : network_(std::move(other.network_)), port_(std::exchange(other.port_, {})), bridge_(other.bridge_) {}

ScratchDevice::~ScratchDevice() {
  if (!port_.empty()) {
    Netlink netlink(NETLINK_ROUTE);
    for (const IpAddress& address : {scratch_v4, scratch_v6()}) {
      static_cast<void>(change_neighbour(netlink, RTM_DELNEIGH, bridge_, address, scratch_mac));
      static_cast<void>(change_route(netlink, RTM_DELROUTE, bridge_, address, false));
    }
    auto message = change(RTM_DELLINK);
    message.header<ifinfomsg>().ifi_index = static_cast<int>(if_nametoindex(port_.c_str()));
    static_cast<void>(netlink.ask(message));
  }
}

int ScratchDevice::socket(int family, int type) const {
  return network_.inside([&] { return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
}

}  // namespace doline::warden

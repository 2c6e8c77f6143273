// router_text(): what the operator's own router must be told so that stray DNS comes to a box beside it: commands or
// steps with the box's addresses filled in, how to undo them, and how they fail. Pure: facts in, text out; nothing is
// carried out.
//
// Where a router can route by next hop, it leads queries to the box untouched (`mode: remote`). Where there is a
// `port_map`, it rewrites them instead, and each known resolver has a port of the box; but for OPNsense and pfSense,
// where each of those would be a rule made by hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "device/destination.h"
#include "device/mac_address.h"
#include "redirect/host_facts.h"
#include "redirect/options.h"

namespace doline::redirect {

enum class Platform : std::uint8_t {
  openwrt,
  routeros,
  opnsense,
  pfsense,
  edgeos,
  unifi,
  merlin,
  iptables,
  nftables,
};

struct RouterFacts {
  Options options;                      ///< ports, exemptions, encrypted
  std::vector<std::string> interfaces;  ///< the router's, on the devices' side; the box is behind the first
  std::optional<IpAddress> box_v4, box_v6;
  device::MacAddress box_mac;
  std::vector<IpPrefix> networks;  ///< of the LAN, as far as the box knows them
  std::optional<IpAddress> router;
  std::vector<device::MappedPort> port_map;
  std::vector<IpPrefix> doh_networks;  ///< as in Restrictions; refused where Options::encrypted is `reject`
};

/// Of this machine, as far as it knows itself: its first interface of `options`, else the one by which it reaches the
/// world. The router's interfaces are what `platform` usually calls them; nothing where that differs from home to home.
[[nodiscard]] RouterFacts gather_router_facts(Platform platform, const Options& options, const HostFacts& machine);

/// Why no text can be written, a sentence each.
[[nodiscard]] std::vector<std::string> find_problems(Platform platform, const RouterFacts& facts);
/// `facts` have no problems.
[[nodiscard]] std::string router_text(Platform platform, const RouterFacts& facts);

[[nodiscard]] std::string_view to_string(Platform platform);
[[nodiscard]] std::optional<Platform> parse_platform(std::string_view word);
[[nodiscard]] std::string platform_words();  ///< all of them, for a sentence

}  // namespace doline::redirect

#include "redirect/suggest.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace doline::redirect {

namespace {

/// Of containers and virtual machines: devices of the LAN are not behind these.
constexpr std::array<std::string_view, 7> inner_interfaces{"docker", "veth",   "virbr",  "lxc",
                                                           "cni",    "podman", "flannel"};

bool is_lan(const InterfaceFacts& interface) {
  const auto is_private = [](const IpPrefix& network) {
    return network.address().is_v4() && network.address().is_private() && !network.address().is_loopback();
  };
  const auto begins_so = [&](std::string_view prefix) { return interface.name.starts_with(prefix); };
  return !interface.leads_out && std::any_of(interface.networks.begin(), interface.networks.end(), is_private) &&
         std::none_of(inner_interfaces.begin(), inner_interfaces.end(), begins_so);
}

}  // namespace

std::optional<Options> suggest(const HostFacts& facts) {
  if (!facts.forwards_v4 && !facts.forwards_v6) return std::nullopt;
  Options options;
  options.mode = Mode::tproxy;
  for (const InterfaceFacts& interface : facts.interfaces)
    if (is_lan(interface)) options.interfaces.push_back(interface.name);
  if (options.interfaces.empty()) return std::nullopt;
  if (options.interfaces.size() > interfaces_max) options.interfaces.resize(interfaces_max);
  return options;
}

}  // namespace doline::redirect

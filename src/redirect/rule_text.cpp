#include "redirect/rule_text.h"

namespace doline::redirect {

std::string interfaces_of(const Options& options) {
  return braces(options.interfaces, [](const std::string& name) { return '"' + name + '"'; });
}

std::string port_set_of(const Options& options) {
  return braces(options.ports, [](std::uint16_t port) { return std::to_string(port); });
}

std::string hexadecimal(std::uint16_t number) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 12; shift >= 0; shift -= 4) text += digits[(number >> shift) & 15];
  return text;
}

/// `auto-merge` and overlapping prefixes do not go together in an anonymous set, so each prefix has its own line.
std::string return_for(std::string_view field, const std::vector<IpPrefix>& prefixes) {
  std::string lines;
  for (const IpPrefix& prefix : prefixes)
    lines += "    " + std::string(prefix.address().is_v4() ? "ip " : "ip6 ") + std::string(field) + " " +
             prefix.to_string() + " return\n";
  return lines;
}

std::string return_for(const std::vector<device::MacAddress>& macs) {
  if (macs.empty()) return {};
  return "    ether saddr " + braces(macs, [](const device::MacAddress& mac) { return mac.to_string(); }) + " return\n";
}

std::string return_for_lan(const Options& options, std::string_view way_out, const std::vector<IpPrefix>& lan) {
  if (options.mode == Mode::remote) return return_for("daddr", lan);
  return "    " + std::string(way_out) + " " + interfaces_of(options) + " return\n";
}

std::string return_for_exempt(const Options& options) {
  return return_for(options.exempt.macs) + return_for("saddr", options.exempt.clients) +
         return_for("daddr", options.exempt.destinations);
}

std::string doh_sets(const std::vector<IpPrefix>& networks) {
  std::string sets;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto known = of_family(networks, family);
    if (known.empty()) continue;
    const std::string number = family == Family::v4 ? "4" : "6";
    sets += "  set doh_servers" + number + " {\n    type ipv" + number + "_addr\n    flags interval\n    elements = " +
            braces(known, [](const IpPrefix& network) { return network.to_string(); }) + "\n  }\n";
  }
  return sets;
}

}  // namespace doline::redirect

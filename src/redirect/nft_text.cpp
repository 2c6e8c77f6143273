#include "redirect/nft_text.h"

namespace doline::redirect {

std::string interfaces_of(const Options& options) {
  return braces(options.interfaces, [](const std::string& name) { return '"' + name + '"'; });
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

std::string return_for_exempt(const Options& options) {
  return return_for(options.exempt.macs) + return_for("saddr", options.exempt.clients) +
         return_for("daddr", options.exempt.destinations);
}

}  // namespace doline::redirect

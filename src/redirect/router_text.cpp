#include "redirect/router_text.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "redirect/fill_in.h"
#include "redirect/router_templates.h"

namespace doline::redirect {

namespace {

// Of EdgeOS, whose rules have numbers; beyond the last they would rewrite sources.
constexpr std::size_t rule_number_first = 1'001, rule_number_last = 4'999;

struct Word {
  Platform platform;
  std::string_view text;
  std::string_view lan;  ///< what the interface on the devices' side is usually called; empty: whatever its owner likes
};
constexpr std::array<Word, 9> words{{{Platform::openwrt, "openwrt", "br-lan"},
                                     {Platform::routeros, "routeros", "LAN"},
                                     {Platform::opnsense, "opnsense", "LAN"},
                                     {Platform::pfsense, "pfsense", "LAN"},
                                     {Platform::edgeos, "edgeos", ""},
                                     {Platform::unifi, "unifi", "Default"},
                                     {Platform::merlin, "merlin", "br0"},
                                     {Platform::iptables, "iptables", ""},
                                     {Platform::nftables, "nftables", ""}}};

const Word& word_of(Platform platform) {
  const auto found =
      std::find_if(words.begin(), words.end(), [&](const Word& word) { return word.platform == platform; });
  check(found != words.end());
  return *found;
}

IpPrefix prefix_of(std::string_view text) {
  const auto prefix = IpPrefix::parse(text);
  check(prefix.has_value());
  return *prefix;
}

/// What DNS is not led away from, where a router tells only by address: all that is private, and the LAN's own
/// networks.
std::vector<IpPrefix> home_of(const RouterFacts& facts) {
  std::vector<IpPrefix> home;
  for (const std::string_view text :
       {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"})
    home.push_back(prefix_of(text));
  for (const IpPrefix& network : facts.networks)
    if (std::none_of(home.begin(), home.end(),
                     [&](const IpPrefix& known) { return known.contains(network.address()); }))
      home.push_back(network);
  return home;
}

bool is_v4(const IpPrefix& prefix) {
  return prefix.address().is_v4();
}
bool is_v4(const device::MappedPort& mapped) {
  return mapped.resolver.is_v4();
}

template <class Value, class Text>
std::vector<std::string> texts_of_family(const std::vector<Value>& values, bool v4, Text text) {
  std::vector<std::string> texts;
  for (const Value& value : values)
    if (is_v4(value) == v4) texts.push_back(text(value));
  return texts;
}

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? std::string() : std::string(between)) + text;
  return all;
}

/// A gap that only chooses whether its line is there.
std::vector<std::string> only_if(bool condition) {
  return condition ? std::vector<std::string>{""} : std::vector<std::string>{};
}

Values values_of(const RouterFacts& facts) {
  const auto prefix_text = [](const IpPrefix& prefix) { return prefix.to_string(); };
  const auto resolver_text = [](const device::MappedPort& mapped) { return mapped.resolver.to_string(); };
  const auto port_text = [](const device::MappedPort& mapped) { return std::to_string(mapped.port); };
  const Exempt& exempt = facts.options.exempt;
  const std::vector<IpPrefix> home = home_of(facts);
  const bool refuses = facts.options.encrypted == Encrypted::reject;
  const auto doh = [&](bool v4) {
    return refuses ? texts_of_family(facts.doh_networks, v4, prefix_text) : std::vector<std::string>{};
  };
  const auto as_set = [](const std::vector<std::string>& texts) {
    return texts.empty() ? texts : std::vector{joined(texts, ", ")};
  };
  std::vector<std::string> ports, quoted, macs;
  for (const std::uint16_t port : facts.options.ports) ports.push_back(std::to_string(port));
  for (const std::string& interface : facts.interfaces) quoted.push_back('"' + interface + '"');
  for (const device::MacAddress& mac : exempt.macs) macs.push_back(mac.to_string());
  const auto one = [](const std::optional<IpAddress>& address) {
    return address ? std::vector<std::string>{address->to_string()} : std::vector<std::string>{};
  };
  const auto maps = [&](bool v4) { return !texts_of_family(facts.port_map, v4, port_text).empty(); };
  std::vector<std::string> numbers, numbered_lans, numbered_resolvers, numbered_ports;
  for (const std::string& interface : facts.interfaces)
    for (const device::MappedPort& mapped : facts.port_map)
      if (mapped.resolver.is_v4()) {
        numbers.push_back(std::to_string(rule_number_first + numbers.size()));
        numbered_lans.push_back(interface);
        numbered_resolvers.push_back(resolver_text(mapped));
        numbered_ports.push_back(port_text(mapped));
      }
  return {{"box4", one(facts.box_v4)},
          {"box6", one(facts.box_v6)},
          {"mac", {facts.box_mac.to_string()}},
          {"router", {facts.router ? facts.router->to_string() : "whose address this machine does not know"}},
          {"lan", {facts.interfaces.front()}},
          {"eachlan", facts.interfaces},
          {"lans", {joined(facts.interfaces, ", ")}},
          {"lanset", {joined(quoted, ", ")}},
          {"lanwords", {joined(facts.interfaces, " ")}},
          {"portset", {joined(ports, ", ")}},
          {"portlist", {joined(ports, ",")}},
          {"home4", texts_of_family(home, true, prefix_text)},
          {"home6", texts_of_family(home, false, prefix_text)},
          {"exemptmac", macs},
          {"exemptfrom4", texts_of_family(exempt.clients, true, prefix_text)},
          {"exemptfrom6", texts_of_family(exempt.clients, false, prefix_text)},
          {"exemptto4", texts_of_family(exempt.destinations, true, prefix_text)},
          {"exemptto6", texts_of_family(exempt.destinations, false, prefix_text)},
          {"mapped4", texts_of_family(facts.port_map, true, resolver_text)},
          {"mapped4port", texts_of_family(facts.port_map, true, port_text)},
          {"mapped6", texts_of_family(facts.port_map, false, resolver_text)},
          {"mapped6port", texts_of_family(facts.port_map, false, port_text)},
          {"v6", only_if(facts.box_v6.has_value())},
          {"encrypted", only_if(refuses)},
          {"doh4", doh(true)},
          {"doh6", doh(false)},
          {"anydoh4", only_if(!doh(true).empty())},
          {"anydoh6", only_if(!doh(false).empty())},
          {"doh4set", as_set(doh(true))},
          {"doh6set", as_set(doh(false))},
          {"hop", only_if(facts.port_map.empty())},
          {"rewrites", only_if(!facts.port_map.empty())},
          {"anymap4", only_if(maps(true))},
          {"anymap6", only_if(facts.box_v6 && maps(false))},
          {"numbered", numbers},
          {"numberedlan", numbered_lans},
          {"numbered4", numbered_resolvers},
          {"numbered4port", numbered_ports}};
}

/// The box's interface: the first that the redirect is for, else the one by which the world is reached.
const InterfaceFacts* interface_of(const Options& options, const HostFacts& machine) {
  if (!options.interfaces.empty()) return machine.find(options.interfaces.front());
  const auto found = std::find_if(machine.interfaces.begin(), machine.interfaces.end(),
                                  [](const InterfaceFacts& interface) { return interface.leads_out; });
  return found == machine.interfaces.end() ? nullptr : &*found;
}

}  // namespace

RouterFacts gather_router_facts(Platform platform, const Options& options, const HostFacts& machine) {
  RouterFacts facts;
  facts.options = options;
  facts.router = machine.router;
  if (const std::string_view usual = word_of(platform).lan; !usual.empty()) facts.interfaces.emplace_back(usual);
  const InterfaceFacts* interface = interface_of(options, machine);
  if (interface == nullptr) return facts;
  facts.box_mac = interface->mac;
  facts.networks = interface->networks;
  // An address of the house's own outlives the provider's prefix.
  for (const IpAddress& address : interface->addresses) {
    std::optional<IpAddress>& chosen = address.is_v4() ? facts.box_v4 : facts.box_v6;
    if (!chosen || (address.is_v6() && address.is_private() && !chosen->is_private())) chosen = address;
  }
  return facts;
}

std::vector<std::string> find_problems(Platform platform, const RouterFacts& facts) {
  std::vector<std::string> problems;
  if (!facts.box_v4)
    problems.emplace_back("this machine's IPv4 address towards the router is not known: name it with --box-address");
  if (facts.box_v4 && (facts.box_v4->is_v6() || !facts.box_v4->is_unicast() || facts.box_v4->is_loopback()))
    problems.emplace_back("--box-address: the router needs an address that it can reach");
  // Routers tell devices of a link-local next hop in spite of everything, and then all their traffic comes to the box.
  if (facts.box_v6 && (facts.box_v6->is_v4() || !facts.box_v6->is_unicast() || facts.box_v6->is_loopback() ||
                       facts.box_v6->is_link_local()))
    problems.emplace_back("--box-address: of IPv6 the router needs a global or unique local address of the box");
  if (facts.box_mac.is_zero())
    problems.emplace_back("this machine's MAC address towards the router is not known: name it with --box-mac");
  if (facts.interfaces.empty())
    problems.push_back("how the router calls its interface on the devices' side cannot be guessed for " +
                       std::string(to_string(platform)) + ": name it with --lan");
  if (facts.interfaces.size() > interfaces_max)
    problems.push_back("more than " + std::to_string(interfaces_max) + " interfaces");
  for (const std::string& interface : facts.interfaces)
    if (!is_plain_interface(interface))
      problems.push_back("--lan: an interface has a name of 1 to " + std::to_string(interface_name_max) +
                         " letters, digits, and any of _ - . @ :");
  const auto mapped_v4 = static_cast<std::size_t>(std::count_if(
      facts.port_map.begin(), facts.port_map.end(), [](const auto& mapped) { return mapped.resolver.is_v4(); }));
  if (platform == Platform::edgeos && facts.interfaces.size() * mapped_v4 > rule_number_last - rule_number_first + 1)
    problems.emplace_back("EdgeOS has no numbers for so many rules: name fewer interfaces with --lan, or fewer ports");
  if (facts.options.ports.empty()) problems.emplace_back("no port is named");
  return problems;
}

std::string router_text(Platform platform, const RouterFacts& facts) {
  check(find_problems(platform, facts).empty());
  const Values values = values_of(facts);
  return fill_in(head_template(platform), values) + fill_in(body_template(platform), values) +
         fill_in(end_template(platform), values);
}

std::string_view to_string(Platform platform) {
  return word_of(platform).text;
}

std::optional<Platform> parse_platform(std::string_view text) {
  const auto found = std::find_if(words.begin(), words.end(), [&](const Word& word) { return word.text == text; });
  return found == words.end() ? std::nullopt : std::optional(found->platform);
}

std::string platform_words() {
  std::string all;
  for (const Word& word : words) all += (all.empty() ? "" : ", ") + std::string(word.text);
  return all;
}

}  // namespace doline::redirect

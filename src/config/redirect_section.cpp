#include <algorithm>

#include "config/sections.h"

namespace doline::config {

namespace {

using redirect::Encrypted;
using redirect::Mode;
using redirect::OnFailure;

constexpr seconds flow_warm_up_max = std::chrono::hours(24 * 7);

/// A device of `devices`, a MAC address, an address or a network.
void read_exempt_from(Reading& reading, const Node& node, const std::vector<device::DeviceSettings>& devices,
                      redirect::Exempt& exempt) {
  const auto text = read_text(reading, node, "a device, MAC address, address or network");
  if (!text) return;
  if (const auto* found = find_named(devices, *text)) {
    exempt.macs.insert(exempt.macs.end(), found->macs.begin(), found->macs.end());
    exempt.clients.insert(exempt.clients.end(), found->addresses.begin(), found->addresses.end());
    if (found->macs.empty() && found->addresses.empty())
      reading.add(node, "the device " + quote(*text) + " has neither 'mac' nor 'address' to be let through by");
  } else if (const auto mac = device::MacAddress::parse(*text)) {
    exempt.macs.push_back(*mac);
  } else if (text->find_first_of(".:/") != std::string::npos) {
    if (const auto prefix = read_prefix(reading, node)) exempt.clients.push_back(*prefix);
  } else {
    reading.add_unknown(node, "an entry of 'devices', a MAC address, an address or a network", *text,
                        names_of(devices));
  }
}

void read_exempt(Reading& reading, const Node& node, const std::vector<device::DeviceSettings>& devices,
                 redirect::Exempt& exempt) {
  const Keys keys(reading, node, "redirect.exempt");
  if (const Node* from = keys.find("from"))
    for (const Node* value : to_list(reading, *from, redirect::exempt_max, "values"))
      read_exempt_from(reading, *value, devices, exempt);
  if (const Node* to = keys.find("to"))
    for (const Node* value : to_list(reading, *to, redirect::exempt_max, "values"))
      if (const auto prefix = read_prefix(reading, *value)) exempt.destinations.push_back(*prefix);
}

/// `20001: 8.8.8.8`: what comes to that port was meant for that resolver. `listed`: as `resolver_list` says.
void read_port_map(Reading& reading, const Node& node, const std::filesystem::path& resolver_list, Fixed& fixed) {
  if (node.kind == Node::Kind::scalar) {
    fixed.maps_listed = read_word<bool>(reading, node, "a source of ports", {{"listed", true}}).value_or(false);
    if (fixed.maps_listed && resolver_list.empty())
      reading.add(node, "which resolvers are listed is not said",
                  "write 'resolver_list: blocklists/resolvers.csv', or ports here: {20001: 8.8.8.8}");
    return;
  }
  if (expect_map(reading, node, "ports of this machine") == nullptr) return;
  if (node.entries.size() > device::mapped_ports_max) {
    reading.add(node, "at most " + std::to_string(device::mapped_ports_max) + " ports");
    return;
  }
  for (const auto& [key, value] : node.entries) {
    const auto port = read_number(reading, key, "a port", 1, 65'535);
    const auto resolver = read_address(reading, value);
    if (!port || !resolver) continue;
    if (is_own_port(fixed, static_cast<std::uint16_t>(*port)))
      reading.add(key, "port " + key.text + " is Doline's own already; 20001 and above are seldom taken");
    if (!resolver->is_unicast() || resolver->is_loopback())
      reading.add(value, quote(value.text) + " is nobody's whom a device could ask");
    fixed.port_map.push_back({static_cast<std::uint16_t>(*port), *resolver});
  }
}

void read_kernel(Reading& reading, const Node& node, redirect::Kernel& kernel) {
  const Keys keys(reading, node, "redirect.kernel");
  if (const Node* mark = keys.find("mark"))
    if (const auto number = read_number(reading, *mark, "a mark", 1, 0xffff))
      kernel.mark = static_cast<std::uint16_t>(*number);
  if (const Node* table = keys.find("table"))
    if (const auto number = read_number(reading, *table, "a routing table", 1, 32'765))
      kernel.table = static_cast<std::uint32_t>(*number);
  if (const Node* group = keys.find("nflog_group"))
    if (const auto number = read_number(reading, *group, "an NFLOG group", 0, 0xffff))
      kernel.nflog_group = static_cast<std::uint16_t>(*number);
}

/// True where connections are to be watched.
bool read_flows(Reading& reading, const Keys& top, Settings& settings) {
  const Node* node = top.find("flows");
  if (node == nullptr || says_off(*node)) return false;
  const Keys keys(reading, *node, "flows");
  if (const Node* warm_up = keys.find("warm_up"))
    if (const auto duration = read_seconds(reading, *warm_up, seconds(0), flow_warm_up_max))
      settings.fixed.flow_warm_up = *duration;
  const Node* watch = keys.find("watch");
  if (watch == nullptr || says_off(*watch) || !read_bool(reading, *watch).value_or(false)) return false;
  if (!settings.fixed.query_log)
    reading.add(*watch, "connections are recorded in the query log, which is off",
                "write a 'querylog' section, or take 'flows' away");
  else if (!settings.fixed.query_log->answers)
    reading.add(*watch, "connections are set against answers, which the query log does not keep",
                "take 'answers: false' out of 'querylog'");
  if (top.find("redirect") == nullptr)
    reading.add(*watch, "which interfaces lead to the LAN is not said",
                "write 'redirect: {mode: off, interfaces: [br-lan]}' to watch and redirect nothing");
  return true;
}

bool intercepts(const Settings& settings) {
  return settings.fixed.redirect && redirect::intercepts(settings.fixed.redirect->mode);
}

/// Who is to be restricted, without the interception that does it, would not be.
void check_restrictions(Reading& reading, const Keys& top, const Settings& settings) {
  const Node* groups = top.find("groups");
  if (groups == nullptr || intercepts(settings)) return;
  for (const auto& [name, group] : groups->entries)
    for (const auto& [key, value] : group.entries)
      if ((key.text == "flows" && value.text != "any") || (key.text == "encrypted" && value.text != "leave"))
        reading.add(value, quote(key.text + ": " + value.text) + " of the group " + quote(name.text) +
                               " needs interception: `redirect:` with `interfaces`, in the mode tproxy, nat or remote");
}

}  // namespace

std::optional<Encrypted> read_encrypted(Reading& reading, const Node& node) {
  return read_word<Encrypted>(reading, node, "what becomes of encrypted DNS",
                              {{"reject", Encrypted::reject}, {"log", Encrypted::log}, {"leave", Encrypted::leave}});
}

void read_redirect(Reading& reading, const Keys& top, Settings& settings) {
  const bool watches = read_flows(reading, top, settings);
  const Node* node = top.find("redirect");
  if (node == nullptr) return check_restrictions(reading, top, settings);
  redirect::Options& options = settings.fixed.redirect.emplace();
  options.watch = watches;
  if (says_off(*node)) {
    if (watches) reading.add(*node, "'redirect' names no interfaces to watch", "write 'mode: off' and 'interfaces'");
    return check_restrictions(reading, top, settings);
  }
  const std::size_t problems_before = reading.problem_count();
  const Keys keys(reading, *node, "redirect");
  // As the shared words say: with the section there, the helper picks what it can unless told.
  options.mode = Mode::tproxy;
  if (const Node* mode = keys.find("mode"))
    if (const auto word = read_word<Mode>(reading, *mode, "a mode of interception",
                                          {{"tproxy", Mode::tproxy},
                                           {"nat", Mode::nat},
                                           {"remote", Mode::remote},
                                           {"audit", Mode::audit},
                                           {"off", Mode::off}}))
      options.mode = *word;
  if (const Node* interfaces = keys.find("interfaces"))
    for (const Node* value : to_list(reading, *interfaces, redirect::interfaces_max, "interfaces"))
      if (const auto name = read_text(reading, *value, "an interface's name")) options.interfaces.push_back(*name);
  if (const Node* ports = keys.find("ports")) {
    options.ports.clear();
    for (const Node* value : to_list(reading, *ports, redirect::ports_max, "ports"))
      if (const auto port = read_number(reading, *value, "a port", 1, 65'535))
        options.ports.push_back(static_cast<std::uint16_t>(*port));
  }
  if (const Node* exempt = keys.find("exempt")) read_exempt(reading, *exempt, settings.live.devices, options.exempt);
  if (const Node* encrypted = keys.find("encrypted"))
    options.encrypted = read_encrypted(reading, *encrypted).value_or(options.encrypted);
  if (const Node* on_failure = keys.find("on_failure"))
    if (const auto word = read_word<OnFailure>(reading, *on_failure, "what happens when Doline is gone",
                                               {{"open", OnFailure::open}, {"closed", OnFailure::closed}}))
      options.on_failure = *word;
  if (const Node* routers = keys.find("trusted_routers"))
    for (const Node* value : to_list(reading, *routers, redirect::exempt_max, "routers"))
      if (const auto prefix = read_prefix(reading, *value)) settings.live.trusted_routers.push_back(*prefix);
  if (const Node* map = keys.find("port_map"))
    read_port_map(reading, *map, settings.live.resolver_list, settings.fixed);
  if (const Node* kernel = keys.find("kernel")) read_kernel(reading, *kernel, options.kernel);

  // Together they must make sense too; said once each value makes sense alone.
  if (reading.problem_count() == problems_before)
    for (const std::string& problem : redirect::find_problems(options)) reading.add(*node, "redirect: " + problem);
  if (!settings.fixed.query_log && (options.mode == Mode::audit || options.encrypted == Encrypted::log))
    reading.add(*node, "what 'mode: audit' and 'encrypted: log' see is recorded in the query log, which is off");
  check_restrictions(reading, top, settings);
}

}  // namespace doline::config

#include <algorithm>
#include <array>

#include "config/sections.h"

namespace doline::config {

namespace {

using Strategy = upstream::Route::Strategy;

constexpr std::size_t dns64_networks_max = 1'024;  // of `clients`, and of `exclude`

/// What a server's scheme stands for; empty where it has none that we know.
std::string_view encrypted_transport(std::string_view text) {
  if (text.starts_with("tls://")) return "DNS over TLS to upstreams";
  if (text.starts_with("https://")) return "DNS over HTTPS to upstreams";
  if (text.starts_with("quic://")) return "DNS over QUIC to upstreams";
  return {};
}

/// Is the server one of the sockets that Doline itself listens on? Then every question would go round for ever.
bool is_ourselves(const Endpoint& server, const std::vector<Endpoint>& listen) {
  return std::any_of(listen.begin(), listen.end(), [&](const Endpoint& own) {
    if (own.port != server.port) return false;
    if (own.address == server.address) return true;
    return own.address.is_unspecified() && own.address.is_v4() == server.address.is_v4() &&
           server.address.is_loopback();
  });
}

void read_servers(Reading& reading, const Node& node, const std::vector<Endpoint>& listen,
                  std::vector<Endpoint>& servers) {
  for (const Node* value : to_list(reading, node, upstream::servers_max, "servers of one route")) {
    const std::string& text = value->text;
    if (const auto transport = encrypted_transport(text); !transport.empty()) {
      if (text.size() == text.find("://") + 3) reading.add(*value, quote(text) + " names no server");
      reading.add_not_yet(*value, std::string(transport));
      continue;
    }
    if (const auto scheme = text.find("://"); scheme != std::string::npos) {
      reading.add(*value, quote(text.substr(0, scheme)) + " is no transport of DNS",
                  "an address alone is asked over UDP, then TCP");
      continue;
    }
    const auto server = read_endpoint(reading, *value, 53);
    if (!server) continue;
    if (server->address.is_unspecified() || server->address.is_multicast())
      reading.add(*value, quote(text) + " is no server's address");
    else if (server->address.is_link_local() && server->address.is_v6())
      reading.add(*value, quote(text) + " is of one link only, and a server cannot name its interface");
    else if (is_ourselves(*server, listen))
      reading.add(*value, quote(text) + " is where Doline itself listens");
    if (std::find(servers.begin(), servers.end(), *server) != servers.end())
      reading.add(*value, quote(text) + " stands here twice");
    servers.push_back(*server);
  }
}

upstream::Route read_route(Reading& reading, const Node& name, const Node& node, const std::vector<Endpoint>& listen) {
  upstream::Route route;
  route.name = name.text;
  const std::size_t problems_before = reading.problem_count();
  const Keys keys(reading, node, "upstreams.*");
  if (const Node* servers = keys.find("servers")) read_servers(reading, *servers, listen, route.servers);
  if (route.servers.empty() && reading.problem_count() == problems_before)
    reading.add(name, "the route " + quote(name.text) + " has no servers", "{servers: [9.9.9.9]} would do");
  if (const Node* strategy = keys.find("strategy"))
    if (const auto word = read_word<Strategy>(reading, *strategy, "a strategy",
                                              {{"fastest", Strategy::fastest},
                                               {"in-order", Strategy::in_order},
                                               {"parallel", Strategy::parallel},
                                               {"balance", Strategy::balance}}))
      route.strategy = *word;
  if (const Node* timeout = keys.find("timeout"))
    if (const auto duration = read_duration(reading, *timeout, milliseconds(100), seconds(30)))
      route.timeout = *duration;
  return route;
}

void read_forward(Reading& reading, const Node& node, Settings& settings) {
  if (expect_map(reading, node, "domain names") == nullptr) return;
  const auto& routes = settings.live.upstream.routes;
  auto& zones = settings.live.forward_zones;
  if (node.entries.size() > forward_zones_max) {
    reading.add(node, "more than " + std::to_string(forward_zones_max) + " names that go elsewhere");
    return;
  }
  for (const auto& [key, value] : node.entries) {
    const auto suffix = read_name(reading, key);
    const auto text = read_text(reading, value, "the name of an entry of 'upstreams'");
    if (!suffix || !text) continue;
    const upstream::Route* route = find_named(routes, *text);
    if (route == nullptr) {
      reading.add_unknown(value, "an entry of 'upstreams'", *text, names_of(routes));
      continue;
    }
    if (std::any_of(zones.begin(), zones.end(), [&](const auto& zone) { return zone.suffix == *suffix; }))
      reading.add(key, "the name " + quote(key.text) + " stands here twice");
    zones.push_back({*suffix, policy::RouteId{static_cast<std::uint16_t>(route - routes.data())}});
  }
  std::stable_sort(zones.begin(), zones.end(), [](const auto& left, const auto& right) {
    return left.suffix.label_count() > right.suffix.label_count();
  });
}

void read_special_use(Reading& reading, const Keys& top, response::SpecialUse& special_use) {
  const auto read = [&](const Node* node, bool& is_ours) {
    if (node == nullptr) return;
    is_ours = read_word<bool>(reading, *node, "a way with such names", {{"answer", true}, {"forward", false}})
                  .value_or(is_ours);
  };
  read(top.find("special_use"), special_use.names);
  read(top.find("bare_names"), special_use.bare_names);
  const Node* node = top.find("canaries");
  if (node == nullptr) return;
  const Keys keys(reading, *node, "canaries");
  read(keys.find("firefox"), special_use.firefox_canary);
  read(keys.find("icloud"), special_use.icloud_canaries);
}

void read_dns64(Reading& reading, const Node& node, Settings& settings) {
  if (says_off(node)) return;
  constexpr std::string_view ipv4_mapped = "::ffff:0:0/96";
  const Keys keys(reading, node, "dns64");
  auto dns64 = std::make_shared<response::Dns64>();
  const Node* prefix = keys.find("prefix");
  if (prefix == nullptr) reading.add(node, "'dns64' has no 'prefix'", "64:ff9b::/96 is what most NAT64 gateways use");
  if (prefix != nullptr)
    for (const Node* value : to_list(reading, *prefix, response::dns64_prefixes_max, "prefixes")) {
      const auto network = read_prefix(reading, *value);
      if (network && !response::is_dns64_prefix(*network))
        reading.add(*value, quote(value->text) + " is no prefix of a NAT64",
                    "an IPv6 network of 32, 40, 48, 56, 64 or 96 bits whose bits 64 to 71 are zero (RFC 6052)");
      else if (network)
        dns64->prefixes.push_back(*network);
    }
  const auto read_networks = [&](const Node* networks, std::vector<IpPrefix>& into) {
    if (networks == nullptr) return;
    for (const Node* value : to_list(reading, *networks, dns64_networks_max, "networks"))
      if (value->text != ipv4_mapped)  // always excluded
        if (const auto network = read_prefix(reading, *value)) into.push_back(*network);
  };
  read_networks(keys.find("clients"), dns64->clients);
  read_networks(keys.find("exclude"), dns64->exclude);
  if (dns64->prefixes.empty()) return;
  dns64->own = response::make_own(dns64->prefixes);
  settings.live.dns64 = std::move(dns64);
}

}  // namespace

void read_upstreams(Reading& reading, const Keys& top, Settings& settings) {
  auto& routes = settings.live.upstream.routes;
  const Node* node = top.find("upstreams");
  if (node == nullptr) {
    reading.add_without_place("'upstreams' is missing: whom to ask",
                              "upstreams: {default: {servers: [9.9.9.9, 149.112.112.112]}} would do");
  } else if (expect_map(reading, *node, "names of routes") != nullptr) {
    if (node->entries.size() > routes_max) {
      reading.add(*node, "more than " + std::to_string(routes_max) + " routes");
      return;
    }
    for (const auto& [key, value] : node->entries)
      if (is_given_name(reading, key, "a route"))
        routes.push_back(read_route(reading, key, value, settings.fixed.listen));
    const auto is_default = [](const upstream::Route& route) { return route.name == "default"; };
    if (const auto found = std::find_if(routes.begin(), routes.end(), is_default); found != routes.end())
      std::rotate(routes.begin(), found, found + 1);
    else
      reading.add(*node, "'upstreams' has no entry 'default'");
  }
  if (const Node* forward = top.find("forward")) read_forward(reading, *forward, settings);
  read_special_use(reading, top, settings.live.special_use);
  if (const Node* dns64 = top.find("dns64")) read_dns64(reading, *dns64, settings);
}

}  // namespace doline::config

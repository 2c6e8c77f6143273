#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <set>

#include "config/sections.h"

namespace doline::config {

namespace {

constexpr std::size_t user_octets_max = 32;
constexpr std::size_t zone_octets_max = 64;
constexpr std::string_view zone_folder = "/usr/share/zoneinfo";
constexpr std::size_t socket_path_octets_max = 107;  // sun_path without its zero
constexpr std::size_t allow_clients_max = 1'024;

/// What IpAddress::is_private() says, as networks.
std::vector<IpPrefix> private_networks() {
  std::vector<IpPrefix> networks;
  for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7",
                           "fe80::/10", "::1/128"})
    networks.push_back(*IpPrefix::parse(text));
  return networks;
}

void read_listen(Reading& reading, const Node* node, std::vector<Endpoint>& listen) {
  if (node == nullptr) {
    listen = {{IpAddress::v4(0, 0, 0, 0), 53}, {IpAddress(), 53}};
    return;
  }
  const auto values = to_list(reading, *node, listen_max, "addresses to listen on");
  if (values.empty()) reading.add(*node, "no address to listen on");
  for (const Node* value : values) {
    if (value->text.starts_with("tls://") || value->text.starts_with("https://")) {
      reading.add_not_yet(
          *value, value->text.starts_with("tls://") ? "DNS over TLS for clients" : "DNS over HTTPS for clients");
      continue;
    }
    const auto endpoint = read_endpoint(reading, *value, 53);
    if (!endpoint) continue;
    if (endpoint->address.is_multicast()) reading.add(*value, quote(value->text) + " is a multicast address");
    if (std::find(listen.begin(), listen.end(), *endpoint) != listen.end())
      reading.add(*value, quote(value->text) + " stands here twice");
    listen.push_back(*endpoint);
  }
}

void read_workers(Reading& reading, const Node& node, std::optional<int>& workers) {
  if (node.kind == Node::Kind::scalar && node.text == "auto") return;
  if (const auto count = read_number(reading, node, "'auto' or a number of threads", 1, workers_max))
    workers = static_cast<int>(*count);
}

void read_user(Reading& reading, const Node& node, std::string& user) {
  const auto text = read_text(reading, node, "a user's name");
  if (!text) return;
  const bool is_name =
      text->size() <= user_octets_max && (*text)[0] != '-' && std::all_of(text->begin(), text->end(), [](char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' || letter == '.';
      });
  if (!is_name) reading.add(node, quote(*text) + " is no user's name");
  user = *text;
}

void read_time_zone(Reading& reading, const Node& node, std::string& zone) {
  const auto text = read_text(reading, node, "a time zone");
  if (!text) return;
  const bool is_name =
      text->size() <= zone_octets_max && text->front() != '/' && text->find("..") == std::string::npos &&
      std::all_of(text->begin(), text->end(), [](unsigned char letter) {
        return std::isalnum(letter) != 0 || letter == '/' || letter == '_' || letter == '-' || letter == '+';
      });
  std::array<char, 4> head{};
  if (!is_name ||
      !std::ifstream(std::filesystem::path(zone_folder) / *text, std::ios::binary).read(head.data(), head.size()) ||
      std::string_view(head.data(), head.size()) != "TZif")
    reading.add(node, quote(*text) + " is not a time zone of this machine",
                "names as Europe/Berlin or America/New_York, from the package tzdata");
  zone = *text;
}

void read_allow_clients(Reading& reading, const Node* node, std::vector<IpPrefix>& allowed) {
  if (node == nullptr) {
    allowed = private_networks();
    return;
  }
  for (const Node* value : to_list(reading, *node, allow_clients_max, "networks")) {
    if (value->text == "private") {
      for (const IpPrefix& network : private_networks()) allowed.push_back(network);
    } else if (value->text == "any") {
      allowed.emplace_back(IpAddress::v4(0, 0, 0, 0), 0);
      allowed.emplace_back(IpAddress(), 0);
    } else if (value->kind == Node::Kind::scalar && value->text.find_first_of(".:/") == std::string::npos) {
      reading.add_unknown(*value, "a network", value->text, {"private", "any"});
    } else if (const auto prefix = read_prefix(reading, *value)) {
      allowed.push_back(*prefix);
    }
  }
}

}  // namespace

void read_server(Reading& reading, const Keys& top, Settings& settings) {
  Fixed& fixed = settings.fixed;
  read_listen(reading, top.find("listen"), fixed.listen);
  if (const Node* node = top.find("workers")) read_workers(reading, *node, fixed.workers);
  if (const Node* node = top.find("time_zone")) read_time_zone(reading, *node, fixed.time_zone);
  if (const Node* node = top.find("user")) read_user(reading, *node, fixed.user);
  read_allow_clients(reading, top.find("allow_clients"), settings.live.allow_clients);

  fixed.state = usual_state;
  const Node* state = top.find("state");
  fixed.names_state = state != nullptr;
  if (state != nullptr)
    if (const auto path = read_output_path(reading, *state)) fixed.state = *path;
  fixed.control_socket = fixed.state / control_socket_name;
  if (const Node* node = top.find("control_socket"))
    if (const auto path = read_output_path(reading, *node)) {
      fixed.control_socket = *path;
      if (path->string().size() > socket_path_octets_max)
        reading.add(*node, "a socket's path has at most " + std::to_string(socket_path_octets_max) + " octets");
    }
}

bool is_given_name(Reading& reading, const Node& node, std::string_view what) {
  const std::string& name = node.text;
  const std::string problem = name.empty()                                ? "is empty"
                              : name.size() > 63                          ? "has more than 63 octets"
                              : printable_line(name) != name              ? "has letters that cannot be shown"
                              : name.front() == ' ' || name.back() == ' ' ? "begins or ends with a blank"
                                                                          : "";
  if (!problem.empty()) reading.add(node, std::string(what) + "'s name " + problem);
  return problem.empty();
}

}  // namespace doline::config

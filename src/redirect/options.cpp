#include "redirect/options.h"

#include <algorithm>
#include <array>
#include <set>

#include "redirect/watch_rules.h"

namespace doline::redirect {

namespace {

template <class T>
bool has_twice(const std::vector<T>& values) {
  return std::set<T>(values.begin(), values.end()).size() != values.size();
}

/// The kernel's own tables: unspec, compat, default, main, local.
constexpr std::array<std::uint32_t, 5> reserved_tables{0, 252, 253, 254, 255};

struct KnownPort {
  std::uint16_t port;
  std::string_view whose, what_breaks;
};
constexpr std::string_view web = "web pages, apps and updates of devices would fail";
constexpr std::string_view encrypted_dns =
    "its clients would wait in vain, where `redirect: {encrypted: reject}` has them fall back to plain DNS at once";
constexpr KnownPort known_ports[] = {
    {22, "SSH", "nobody could log in to a machine outside"},
    {25, "mail", "devices could not send any"},
    {80, "HTTP", web},
    {123, "NTP", "devices would not know the time"},
    {443, "HTTPS", web},
    {465, "mail", "devices could not send any"},
    {500, "IPsec", "VPNs of devices would fail"},
    {587, "mail", "devices could not send any"},
    {853, "encrypted DNS", encrypted_dns},
    {993, "mail", "devices could not fetch any"},
    {1194, "OpenVPN", "VPNs of devices would fail"},
    {1883, "MQTT", "devices would lose their cloud"},
    {3478, "STUN", "calls and games of devices would fail"},
    {4500, "IPsec", "VPNs of devices would fail"},
    {5060, "SIP", "telephones would fail"},
    {8080, "HTTP", web},
    {8443, "HTTPS", web},
    {8853, "encrypted DNS", encrypted_dns},
    {8883, "MQTT", "devices would lose their cloud"},
    {51820, "WireGuard", "VPNs of devices would fail"},
};

}  // namespace

bool is_plain_interface(std::string_view name) {
  if (name.empty() || name.size() > interface_name_max || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '_' || letter == '-' || letter == '.' || letter == '@' || letter == ':';
  });
}

IpAddress transparent_v6() {
  static constexpr std::array<std::uint8_t, 16> loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return IpAddress::from_octets(loopback);
}

std::vector<std::string> find_problems(const Options& options) {
  std::vector<std::string> problems;
  if (options.mode == Mode::off && !asks_to_watch(options)) return problems;

  if (options.interfaces.empty()) problems.emplace_back("no interface of the LAN is named");
  if (options.interfaces.size() > interfaces_max)
    problems.push_back("more than " + std::to_string(interfaces_max) + " interfaces");
  for (const std::string& interface : options.interfaces) {
    if (!is_plain_interface(interface))
      problems.emplace_back("an interface's name is empty, too long or has odd letters");
    if (interface == "lo") problems.emplace_back("lo is no interface of the LAN");
  }
  if (has_twice(options.interfaces)) problems.emplace_back("an interface is named twice");

  if (options.ports.empty()) problems.emplace_back("no port is named");
  if (options.ports.size() > ports_max) problems.push_back("more than " + std::to_string(ports_max) + " ports");
  if (has_twice(options.ports)) problems.emplace_back("a port is named twice");
  if (std::find(options.ports.begin(), options.ports.end(), 0) != options.ports.end())
    problems.emplace_back("port 0 cannot be intercepted");
  if (options.mode == Mode::nat && options.nat_port == 0) problems.emplace_back("nat needs a private port");
  if (options.mode == Mode::nat &&
      std::find(options.ports.begin(), options.ports.end(), options.nat_port) != options.ports.end())
    problems.push_back("port " + std::to_string(options.nat_port) + " is both intercepted and the private port of nat");

  for (const std::size_t count :
       {options.exempt.macs.size(), options.exempt.clients.size(), options.exempt.destinations.size()})
    if (count > exempt_max) problems.push_back("more than " + std::to_string(exempt_max) + " exemptions of one kind");

  if (options.kernel.mark == 0) problems.emplace_back("the mark must not be 0");
  if (std::find(reserved_tables.begin(), reserved_tables.end(), options.kernel.table) != reserved_tables.end())
    problems.push_back("routing table " + std::to_string(options.kernel.table) + " is the kernel's own");
  // The preference of main is 32766: what stands behind it is never reached.
  if (options.kernel.table >= 32'766)
    problems.emplace_back("the routing table's number is also its rule's preference and must be below 32766");
  return problems;
}

std::vector<std::string> find_ports_of_others(const Options& options) {
  std::vector<std::string> found;
  if (!intercepts(options.mode)) return found;
  for (const auto& [port, whose, what_breaks] : known_ports)
    if (std::find(options.ports.begin(), options.ports.end(), port) != options.ports.end())
      found.push_back("Port " + std::to_string(port) + " of `redirect.ports` is known as that of " +
                      std::string(whose) + ": led to Doline, which speaks plain DNS alone, " +
                      std::string(what_breaks) + ". Cure: take it out.");
  return found;
}

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::off:
      return "off";
    case Mode::tproxy:
      return "tproxy";
    case Mode::nat:
      return "nat";
    case Mode::remote:
      return "remote";
    case Mode::audit:
      return "audit";
  }
  return "?";
}

std::string_view to_string(Encrypted encrypted) {
  switch (encrypted) {
    case Encrypted::leave:
      return "leave";
    case Encrypted::reject:
      return "reject";
    case Encrypted::log:
      return "log";
  }
  return "?";
}

std::string_view to_string(OnFailure on_failure) {
  return on_failure == OnFailure::open ? "open" : "closed";
}

}  // namespace doline::redirect

#include "doline/foreign_rules.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

#include "listener/port_holder.h"
#include "redirect/interference.h"
#include "warden/program.h"

namespace doline {

namespace {

struct Legacy {
  const char* program;
  const char* tables;  ///< where the kernel names those that are in use
};
constexpr std::array<Legacy, 2> legacy{
    {{"iptables-legacy", "/proc/net/ip_tables_names"}, {"ip6tables-legacy", "/proc/net/ip6_tables_names"}}};
constexpr std::array<const char*, 4> program_folders{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"};

std::string path_of(const char* program) {
  for (const char* folder : program_folders)
    if (const std::string path = std::string(folder) + program; ::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

/// Has a Doline its transparent sockets on this port? Nobody else listens at its address of IPv4.
bool are_ours(const std::vector<listener::PortHolder>& holders) {
  const auto holder_of = [&](const IpAddress& address) {
    return std::find_if(holders.begin(), holders.end(),
                        [&](const listener::PortHolder& holder) { return holder.address == address; });
  };
  const auto v4 = holder_of(redirect::transparent_v4);
  return v4 != holders.end() && std::any_of(v4, holders.end(), [&](const listener::PortHolder& holder) {
           return holder.address == redirect::transparent_v6() && holder.process == v4->process;
         });
}

}  // namespace

std::vector<std::string> find_foreign_rules(const redirect::Options& options) {
  std::vector<std::string> found;
  for (const auto& [program, names] : legacy) {
    const std::string path = path_of(program);
    std::ifstream file(names);
    for (std::string table; std::getline(file, table);) {
      if (path.empty() || (table != "nat" && table != "mangle")) continue;
      const warden::ProgramEnd end = warden::run_to_end({path, "-w", "5", "-t", table, "-S"}, {});
      for (std::string& sentence : redirect::find_legacy_interference(table, end.output, options))
        found.push_back(std::move(sentence));
    }
  }
  return found;
}

std::vector<std::string> find_port_holders(const redirect::Options& options) {
  std::vector<std::string> found;
  if (!redirect::is_transparent(options.mode)) return found;
  for (const std::uint16_t port : options.ports) {
    std::set<std::string> told;
    const auto holders = listener::holders_of_port(port);
    if (are_ours(holders)) continue;
    for (const listener::PortHolder& holder : holders) {
      if (!holder.address.is_unspecified() || holder.process == 0 || holder.name == "doline") continue;
      const std::string who = listener::to_string(holder);
      if (told.insert(who).second)
        found.push_back(
            who + " holds port " + std::to_string(port) +
            " on all addresses, so that Doline cannot listen there for what it catches. Cure: let it listen "
            "on its own addresses (dnsmasq: bind-dynamic; systemd-resolved: DNSStubListener=no), then start "
            "Doline again.");
    }
  }
  return found;
}

}  // namespace doline

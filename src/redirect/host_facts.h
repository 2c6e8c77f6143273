// HostFacts: what this machine is, as far as a plan depends on it. Read from /proc and the interface list; needs no
// privilege, runs nothing and changes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "device/mac_address.h"

namespace doline::redirect {

struct InterfaceFacts {
  std::string name;
  std::vector<IpPrefix> networks;      ///< of its addresses, link-local ones left out
  bool leads_out = false;              ///< a default route of IPv4 leaves by it
  bool sends_redirects = false;        ///< net.ipv4.conf.NAME.send_redirects, or all's: tells senders of a shorter way
  int router_advertisements = 0;       ///< net.ipv6.conf.NAME.accept_ra: 1 is taken as 0 by a machine that routes IPv6
  std::vector<IpAddress> addresses{};  ///< link-local and temporary ones left out
  device::MacAddress mac{};            ///< zero: it has none
  bool is_bridge = false;
};

struct HostFacts {
  int kernel_major = 0, kernel_minor = 0;
  std::string nft, iptables,
      ip6tables;  ///< where the programs are; empty: absent. *tables: their -restore is beside them
  bool has_ipv6 = false;
  bool forwards_v4 = false, forwards_v6 = false;
  bool bridges_call_firewall = false;  ///< bridged packets pass it, of IPv4 or IPv6 (Docker switches that on)
  /// Legacy iptables has a nat table, whose rules nft does not show; not where it is known to hold none, which takes
  /// CAP_NET_ADMIN.
  bool has_legacy_nat = false;
  std::vector<InterfaceFacts> interfaces;
  std::optional<IpAddress> router;  ///< where the first default route of IPv4 leads to

  [[nodiscard]] const InterfaceFacts* find(const std::string& interface) const;
  /// A table that lives as long as the process that made it: since Linux 5.12.
  [[nodiscard]] bool has_owner_tables() const { return kernel_major > 5 || (kernel_major == 5 && kernel_minor >= 12); }
  /// An element of a set that is added again has its timeout renewed: since Linux 6.12.
  [[nodiscard]] bool renews_elements() const { return kernel_major > 6 || (kernel_major == 6 && kernel_minor >= 12); }
};

/// `proc`: where tests have a /proc of their own. Files that cannot be read count as "no".
[[nodiscard]] HostFacts gather_host_facts(const std::filesystem::path& proc = "/proc");

/// These facts alone.
[[nodiscard]] bool do_bridges_call_firewall(const std::filesystem::path& proc = "/proc");
[[nodiscard]] bool is_bridge(const std::string& interface);

/// Does a default route, of IPv4 or IPv6, leave by this interface now?
[[nodiscard]] bool leads_out(const std::string& interface);

/// Every address of this machine, so that its own flows can be told from those of the LAN.
[[nodiscard]] std::vector<IpAddress> local_addresses();

}  // namespace doline::redirect

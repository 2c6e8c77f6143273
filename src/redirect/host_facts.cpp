#include "redirect/host_facts.h"

#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

namespace doline::redirect {

namespace {

/// Where Debian and its kin keep programs for root. Not $PATH: the warden runs what it finds.
constexpr std::array<const char*, 4> program_folders{"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

std::string find_program(const std::string& name, const std::string& companion = {}) {
  for (const char* folder : program_folders) {
    const std::string path = std::string(folder) + "/" + name;
    if (access(path.c_str(), X_OK) == 0 &&
        (companion.empty() || access((std::string(folder) + "/" + companion).c_str(), X_OK) == 0))
      return path;
  }
  return {};
}

std::string first_line(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

int number_in(const std::filesystem::path& file) {
  const std::string line = first_line(file);
  int value = 0;
  std::from_chars(line.data(), line.data() + line.size(), value);
  return value;
}

/// `6.18.44-fc` → 6, 18.
void read_kernel_version(const std::string& release, HostFacts& facts) {
  const char* const end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(release.data(), end, facts.kernel_major);
  if (error == std::errc{} && dot != end) std::from_chars(dot + 1, end, facts.kernel_minor);
}

int length_of_mask(const sockaddr* mask) {
  const IpAddress address = to_endpoint(mask).address;
  int length = 0;
  for (const std::uint8_t octet : address.octets()) length += std::popcount(octet);
  return length;
}

class InterfaceList {
 public:
  InterfaceList() {
    if (getifaddrs(&first_) != 0) first_ = nullptr;
  }
  InterfaceList(const InterfaceList&) = delete;
  InterfaceList& operator=(const InterfaceList&) = delete;
  ~InterfaceList() {
    if (first_ != nullptr) freeifaddrs(first_);
  }
  template <class See>
  void each(See see) const {
    for (const ifaddrs* entry = first_; entry != nullptr; entry = entry->ifa_next) see(*entry);
  }

 private:
  ifaddrs* first_ = nullptr;
};

bool has_address(const ifaddrs& entry) {
  return entry.ifa_addr != nullptr && (entry.ifa_addr->sa_family == AF_INET || entry.ifa_addr->sa_family == AF_INET6);
}

/// A netmask's family may be left 0 by the C library: the address's is the true one.
std::optional<IpPrefix> network_of(const ifaddrs& entry) {
  const IpAddress address = to_endpoint(entry.ifa_addr).address;
  if (entry.ifa_netmask == nullptr || address.is_link_local()) return std::nullopt;
  SocketAddress mask;
  const std::size_t size = address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::memcpy(&mask.storage, entry.ifa_netmask, size);
  mask.get()->sa_family = entry.ifa_addr->sa_family;
  // A mask reads as an address; an IPv6 one must not be taken for an IPv4-mapped one, and cannot be: it begins with
  // ones.
  const int length = length_of_mask(mask.get());
  return IpPrefix(address, address.is_v4() ? std::min(length, 32) : length);
}

struct DefaultRoute {
  std::string interface;
  IpAddress router;  ///< unspecified: a link without one
};

/// Of the main table: `Iface Destination Gateway Flags ... Mask`, addresses as hexadecimal digits.
std::vector<DefaultRoute> default_routes_in(const std::filesystem::path& routes) {
  std::vector<DefaultRoute> found;
  std::ifstream stream(routes);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    std::string name, destination, gateway, rest, mask;
    fields >> name >> destination >> gateway >> rest >> rest >> rest >> rest >> mask;
    if (destination != "00000000" || mask != "00000000") continue;
    in_addr router{};
    std::from_chars(gateway.data(), gateway.data() + gateway.size(), router.s_addr, 16);
    found.push_back({name, IpAddress::from_v4(router)});
  }
  return found;
}

/// IPv6 addresses that devices make up anew each day (RFC 8981), from `ADDRESS INDEX LENGTH SCOPE FLAGS NAME`.
std::vector<IpAddress> temporary_addresses_in(const std::filesystem::path& addresses) {
  constexpr unsigned temporary = 0x01;  // IFA_F_TEMPORARY
  std::vector<IpAddress> found;
  std::ifstream stream(addresses);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream fields(line);
    std::string digits, rest, flags;
    fields >> digits >> rest >> rest >> rest >> flags;
    unsigned value = 0;
    std::from_chars(flags.data(), flags.data() + flags.size(), value, 16);
    if (digits.size() != 32 || (value & temporary) == 0) continue;
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t at = 0; at < octets.size(); ++at)
      std::from_chars(digits.data() + 2 * at, digits.data() + 2 * at + 2, octets[at], 16);
    found.push_back(IpAddress::from_octets(octets));
  }
  return found;
}

/// Is there nothing in legacy iptables' nat table? No, where we may not ask.
bool is_known_to_be_empty(std::string_view table) {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ipt_getinfo info{};
  socklen_t size = sizeof info;
  table.copy(info.name, sizeof info.name - 1);
  const bool is_told = getsockopt(any, SOL_IP, IPT_SO_GET_INFO, &info, &size) == 0;
  if (any >= 0) close(any);
  // An empty one has each chain's policy, and its end.
  return is_told && info.num_entries <= static_cast<unsigned>(std::popcount(info.valid_hooks)) + 1;
}

device::MacAddress mac_of(const sockaddr* address) {
  sockaddr_ll link;
  std::memcpy(&link, address, sizeof link);
  device::MacAddress mac;
  if (link.sll_halen == mac.octets.size()) std::copy_n(link.sll_addr, mac.octets.size(), mac.octets.begin());
  return mac;
}

}  // namespace

const InterfaceFacts* HostFacts::find(const std::string& interface) const {
  const auto found = std::find_if(interfaces.begin(), interfaces.end(),
                                  [&](const InterfaceFacts& facts) { return facts.name == interface; });
  return found == interfaces.end() ? nullptr : &*found;
}

HostFacts gather_host_facts(const std::filesystem::path& proc) {
  HostFacts facts;
  const std::filesystem::path net = proc / "sys/net";
  read_kernel_version(first_line(proc / "sys/kernel/osrelease"), facts);
  facts.nft = find_program("nft");
  facts.iptables = find_program("iptables", "iptables-restore");
  facts.ip6tables = find_program("ip6tables", "ip6tables-restore");
  facts.has_ipv6 = std::filesystem::exists(proc / "net/if_inet6");
  facts.forwards_v4 = number_in(net / "ipv4/ip_forward") != 0;
  facts.forwards_v6 = number_in(net / "ipv6/conf/all/forwarding") != 0;
  facts.bridges_call_firewall = do_bridges_call_firewall(proc);
  {
    std::ifstream tables(proc / "net/ip_tables_names");
    for (std::string table; std::getline(tables, table);) facts.has_legacy_nat |= table == "nat";
    if (facts.has_legacy_nat && proc == "/proc") facts.has_legacy_nat = !is_known_to_be_empty("nat");
  }

  const std::vector<DefaultRoute> ways_out = default_routes_in(proc / "net/route");
  if (!ways_out.empty() && !ways_out.front().router.is_unspecified()) facts.router = ways_out.front().router;
  const std::vector<IpAddress> temporary = temporary_addresses_in(proc / "net/if_inet6");
  const InterfaceList list;
  const bool redirects_of_all = number_in(net / "ipv4/conf/all/send_redirects") != 0;
  list.each([&](const ifaddrs& entry) {
    if (facts.find(entry.ifa_name) == nullptr) {
      const std::filesystem::path sysctls = net / "ipv4/conf" / entry.ifa_name;
      facts.interfaces.push_back(
          {.name = entry.ifa_name,
           .networks = {},
           .leads_out = std::any_of(ways_out.begin(), ways_out.end(),
                                    [&](const DefaultRoute& route) { return route.interface == entry.ifa_name; }),
           .sends_redirects = redirects_of_all || number_in(sysctls / "send_redirects") != 0,
           .router_advertisements = number_in(net / "ipv6/conf" / entry.ifa_name / "accept_ra"),
           .addresses = {},
           .mac = {},
           .is_bridge = is_bridge(entry.ifa_name)});
    }
    InterfaceFacts& interface = *std::find_if(facts.interfaces.begin(), facts.interfaces.end(),
                                              [&](const InterfaceFacts& one) { return one.name == entry.ifa_name; });
    if (entry.ifa_addr != nullptr && entry.ifa_addr->sa_family == AF_PACKET) interface.mac = mac_of(entry.ifa_addr);
    if (!has_address(entry)) return;
    const auto network = network_of(entry);
    if (!network) return;
    if (std::find(interface.networks.begin(), interface.networks.end(), *network) == interface.networks.end())
      interface.networks.push_back(*network);
    const IpAddress address = to_endpoint(entry.ifa_addr).address;
    if (std::find(temporary.begin(), temporary.end(), address) == temporary.end())
      interface.addresses.push_back(address);
  });
  return facts;
}

bool do_bridges_call_firewall(const std::filesystem::path& proc) {
  const std::filesystem::path switches = proc / "sys/net/bridge";
  return number_in(switches / "bridge-nf-call-iptables") != 0 || number_in(switches / "bridge-nf-call-ip6tables") != 0;
}

bool is_bridge(const std::string& interface) {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  ifreq asked{};
  interface.copy(asked.ifr_name, sizeof asked.ifr_name - 1);
  asked.ifr_data = reinterpret_cast<char*>(&driver);
  const bool is_told = ioctl(any, SIOCETHTOOL, &asked) == 0;
  if (any >= 0) close(any);
  return is_told && std::string_view(driver.driver) == "bridge";
}

bool leads_out(const std::string& interface) {
  for (const DefaultRoute& route : default_routes_in("/proc/net/route"))
    if (route.interface == interface) return true;
  // `Destination Length Source Length NextHop Metric References Use Flags Interface`
  std::ifstream routes("/proc/net/ipv6_route");
  for (std::string line; std::getline(routes, line);) {
    std::istringstream fields(line);
    std::string destination, length, rest, name;
    fields >> destination >> length;
    for (int passed = 0; passed < 7; ++passed) fields >> rest;
    fields >> name;
    if (length == "00" && name == interface) return true;
  }
  return false;
}

std::vector<IpAddress> local_addresses() {
  std::vector<IpAddress> addresses;
  const InterfaceList list;
  list.each([&](const ifaddrs& entry) {
    if (has_address(entry)) addresses.push_back(to_endpoint(entry.ifa_addr).address);
  });
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

}  // namespace doline::redirect

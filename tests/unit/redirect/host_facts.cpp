#include "redirect/host_facts.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "temporary_folder.h"

using namespace doline;
using namespace doline::redirect;

namespace {

/// A /proc of our own; removed with it.
class Proc {
 public:
  void put(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text << '\n';
  }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }

 private:
  doline::tests::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("A machine's facts are read from /proc") {
  const Proc proc;
  proc.put("sys/kernel/osrelease", "6.1.0-18-amd64");
  proc.put("sys/net/ipv4/ip_forward", "1");
  proc.put("sys/net/ipv6/conf/all/forwarding", "1");
  proc.put("sys/net/bridge/bridge-nf-call-iptables", "1");
  proc.put("net/if_inet6", "");
  proc.put("net/ip_tables_names", "filter\nnat");
  proc.put("net/route",
           "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
           "lo 00000000 0100007F 0003 0 0 0 00000000 0 0 0\n"
           "eth9 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0");
  proc.put("sys/net/ipv4/conf/lo/send_redirects", "1");
  proc.put("sys/net/ipv6/conf/lo/accept_ra", "1");

  const HostFacts facts = gather_host_facts(proc.path());
  CHECK(facts.kernel_major == 6);
  CHECK(facts.kernel_minor == 1);
  CHECK(facts.has_owner_tables());
  CHECK(facts.has_ipv6);
  CHECK(facts.forwards_v4);
  CHECK(facts.forwards_v6);
  CHECK(facts.bridges_call_firewall);
  CHECK(facts.has_legacy_nat);
  REQUIRE(facts.find("lo"));
  CHECK(facts.find("lo")->leads_out);
  const InterfaceFacts* loopback = facts.find("lo");
  REQUIRE(loopback != nullptr);
  CHECK(loopback->sends_redirects);
  CHECK(loopback->router_advertisements == 1);
  CHECK(facts.router == IpAddress::v4(127, 0, 0, 1));
  CHECK(facts.find("no-such-link") == nullptr);
}

TEST_CASE("Addresses that a machine makes up anew each day are not among those it is known by") {
  const HostFacts all = gather_host_facts();
  const InterfaceFacts* loopback = all.find("lo");
  if (loopback == nullptr || loopback->addresses.size() < 2) {
    MESSAGE("skipped: this machine's loopback has no IPv6");
    return;
  }
  const Proc proc;
  proc.put("net/if_inet6", "00000000000000000000000000000001 01 80 10 01 lo");
  const HostFacts lasting = gather_host_facts(proc.path());
  CHECK(lasting.find("lo")->addresses.size() == loopback->addresses.size() - 1);
}

TEST_CASE("Bridged packets pass the firewall where either family's do") {
  const Proc proc;
  CHECK_FALSE(do_bridges_call_firewall(proc.path()));
  proc.put("sys/net/bridge/bridge-nf-call-iptables", "0");
  proc.put("sys/net/bridge/bridge-nf-call-ip6tables", "1");
  CHECK(do_bridges_call_firewall(proc.path()));
  proc.put("sys/net/bridge/bridge-nf-call-ip6tables", "0");
  CHECK_FALSE(do_bridges_call_firewall(proc.path()));
}

TEST_CASE("What cannot be read is a no") {
  const Proc proc;
  const HostFacts facts = gather_host_facts(proc.path());
  CHECK(facts.kernel_major == 0);
  CHECK_FALSE(facts.has_owner_tables());
  CHECK_FALSE(facts.has_ipv6);
  CHECK_FALSE(facts.forwards_v4);
  CHECK_FALSE(facts.has_legacy_nat);
}

TEST_CASE("Tables with an owner begin with Linux 5.12") {
  HostFacts facts;
  facts.kernel_major = 5;
  facts.kernel_minor = 11;
  CHECK_FALSE(facts.has_owner_tables());
  facts.kernel_minor = 12;
  CHECK(facts.has_owner_tables());
  facts.kernel_major = 6;
  facts.kernel_minor = 0;
  CHECK(facts.has_owner_tables());
}

TEST_CASE("The real machine has a kernel and a loopback, whose address is local") {
  const HostFacts facts = gather_host_facts();
  CHECK(facts.kernel_major >= 4);
  CHECK(facts.find("lo") != nullptr);
  const auto addresses = local_addresses();
  CHECK(std::is_sorted(addresses.begin(), addresses.end()));
  const InterfaceFacts* loopback = facts.find("lo");
  // A new network namespace has its loopback down, without addresses.
  if (loopback != nullptr && !loopback->networks.empty())
    CHECK(std::binary_search(addresses.begin(), addresses.end(), IpAddress::v4(127, 0, 0, 1)));
}

#include "redirect/iptables_rules.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "home.h"

using namespace doline::redirect;
using doline::tests::home_facts;
using doline::tests::home_options;
using When = ProgramStep::When;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// The whole texts are golden: tests/golden/redirect.

TEST_CASE("Chains are made anew, and led to once, whether it is the first time or not") {
  const auto steps = iptables_apply(home_options(Mode::tproxy), home_facts());
  REQUIRE(steps.size() == 10);
  CHECK(steps[0].arguments == std::vector<std::string>{"/usr/sbin/iptables-restore", "-w", "5", "--noflush"});
  CHECK(steps[1].arguments.at(5) == "-C");
  CHECK(steps[1].may_fail);
  CHECK(steps[2].arguments.at(5) == "-I");
  CHECK(steps[2].when == When::if_the_one_before_failed);
  CHECK_FALSE(steps[2].may_fail);
  CHECK(steps[5].arguments[0] == "/usr/sbin/ip6tables-restore");
}

TEST_CASE("nat first removes what a tproxy that was killed has left") {
  const auto steps = iptables_apply(home_options(Mode::nat), home_facts());
  REQUIRE(steps.size() == 16);
  CHECK(steps[0].arguments ==
        std::vector<std::string>{"/usr/sbin/iptables", "-w", "5", "-t", "mangle", "-D", "PREROUTING", "-j", "DOLINE"});
  CHECK(steps[0].may_fail);
  CHECK(steps[5].arguments[0] == "/usr/sbin/iptables-restore");
}

TEST_CASE("Each family has its own networks, exemptions and target") {
  const auto steps = iptables_apply(home_options(Mode::tproxy), home_facts());
  const std::string& v4 = steps.at(0).input;
  const std::string& v6 = steps.at(5).input;
  CHECK(has(v4, "-d 192.168.60.0/24 -j RETURN"));
  CHECK(has(v4, "-s 192.168.50.5/32 -j RETURN"));
  CHECK(has(v4, "--on-ip 127.0.0.153"));
  CHECK_FALSE(has(v4, "2001:db8"));
  CHECK(has(v6, "-d 2001:db8:60::/64 -j RETURN"));
  CHECK(has(v6, "--on-ip ::1"));
  CHECK_FALSE(has(v6, "192.168"));
  // By hardware address: both families.
  CHECK(has(v4, "--mac-source b8:27:eb:00:50:53"));
  CHECK(has(v6, "--mac-source b8:27:eb:00:50:53"));
  // The network of an interface that is not the LAN's is none to return for.
  CHECK_FALSE(has(v4, "203.0.113"));
}

TEST_CASE("Undoing names every chain of either mode, and may find nothing") {
  const auto undo = iptables_undo(home_facts());
  CHECK(undo.size() == 20);
  for (const ProgramStep& step : undo) CHECK(step.may_fail);
}

TEST_CASE("A machine without IPv6, or without ip6tables, has IPv4 rules alone") {
  HostFacts facts = home_facts();
  facts.has_ipv6 = false;
  CHECK(iptables_apply(home_options(Mode::tproxy), facts).size() == 5);
  facts.has_ipv6 = true;
  facts.ip6tables.clear();
  CHECK(iptables_apply(home_options(Mode::tproxy), facts).size() == 5);
}

TEST_CASE("Of what iptables-save prints only our own chains and the jump to them are ours") {
  const std::string ours =
      "*mangle\n:DOLINE - [0:0]\n:DOLINE_LAN - [0:0]\n-A PREROUTING -j DOLINE\n-A DOLINE -i br-lan -j DOLINE_LAN\n"
      "-A DOLINE_LAN -m pkttype ! --pkt-type unicast -j RETURN\n";
  const std::string others =
      "*filter\n:INPUT ACCEPT [0:0]\n:DOLINE_OF_MINE - [0:0]\n-A INPUT -m comment --comment \"-A DOLINE \" -j ACCEPT\n"
      "-A PREROUTING -p udp -j DOLINE\nCOMMIT\n";
  CHECK(our_lines(others + ours + "-A OUTPUT -j ACCEPT\nCOMMIT\n# Completed\n" + others) == ours);
  CHECK(our_lines(others).empty());
  CHECK(our_lines("").empty());
  CHECK(our_lines(":DOLINE - [0:0]") == ":DOLINE - [0:0]\n");
  CHECK(iptables_list(home_facts()).at(1).arguments == std::vector<std::string>{"/usr/sbin/ip6tables-save"});
}

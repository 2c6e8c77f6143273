#include "redirect/interference.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "home.h"
#include "redirect/request.h"

using namespace doline::redirect;
using doline::tests::home_options;

namespace {

/// As nft 1.0.6 prints a machine that Docker, a filter, another interceptor and iptables share with us.
std::string others() {
  std::ifstream file(DOLINE_SOURCE_DIR "/tests/fuzz/corpus/ruleset/others");
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("Others that touch DNS are found, quoted and given a cure, our own tables passed over") {
  const std::vector<std::string> expected{
      "table ip docker, chain PREROUTING, also redirects DNS: iifname \"br0\" udp dport 53 counter packets 0 bytes "
      "0 redirect to :5353 comment \"pi hole\".",
      "table ip docker, chain PREROUTING, also redirects DNS: iifname \"br0\" udp dport { 53, 853 } dnat to "
      "192.168.1.2:53.",
      "table ip docker, chain PREROUTING, also redirects DNS: tcp dport 40-60 redirect to :53.",
      "chain input of table inet filter drops what nobody accepts on its way to this machine: it has to accept DNS "
      "from the LAN.",
      "table inet clash, chain pre, also takes DNS by tproxy: udp dport 53 tproxy to :1053.",
      "table ip nat, chain PREROUTING, also redirects DNS: udp dport 53  counter packets 0 bytes 0 redirect to :5300.",
      "table ip mangle, chain PREROUTING, also takes DNS by tproxy: udp dport 53 counter packets 0 bytes 0 xt target "
      "TPROXY."};
  const auto found = find_interference(others(), home_options(Mode::tproxy));
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].substr(0, expected[i].size()) == expected[i]);
    CHECK(found[i].find(" Cure") == expected[i].size());
  }
}

TEST_CASE("What a machine with one arm may not pass on is found where that is its mode") {
  const std::string ruleset =
      "table inet filter {\n chain forward {\n  type filter hook forward priority filter; policy drop;\n }\n}\n";
  const auto found = find_interference(ruleset, home_options(Mode::remote));
  REQUIRE(found.size() == 1);
  CHECK(found[0].find("nft insert rule inet filter forward iifname home0 oifname home0 accept") != std::string::npos);
  CHECK(find_interference(ruleset, home_options(Mode::tproxy)).empty());
}

TEST_CASE("Who uses our mark or our NFLOG group is found") {
  const std::string ruleset =
      "table inet vpn {\n chain out {\n  ip daddr 10.0.0.1 meta mark set 0x00015353 accept\n  meta mark set "
      "0x00000001\n"
      "  udp dport 99 log group 53 snaplen 64\n  log prefix \"53\" group 5\n }\n}\n";
  const auto found = find_interference(ruleset, home_options(Mode::tproxy));
  REQUIRE(found.size() == 2);
  CHECK(found[0].find("table inet vpn, chain out, sets Doline's mark: ip daddr 10.0.0.1") == 0);
  CHECK(found[1].find("table inet vpn, chain out, logs to Doline's NFLOG group: udp dport 99") == 0);
  for (const std::string& sentence : found)
    CHECK(sentence.find("Cure: another `redirect: {kernel: {") < sentence.size());
}

TEST_CASE("None of our own tables interferes, though one logs to our NFLOG group") {
  for (const char* table : {"doline", "doline_gate", "doline_seen", "doline_watch", "other"}) {
    CAPTURE(table);
    const std::string ruleset = "table inet " + std::string(table) +
                                " {\n\tchain connections {\n\t\tlog prefix \"doline connection\" group 53\n\t}\n}\n";
    CHECK(find_interference(ruleset, home_options(Mode::tproxy)).empty() == (std::string(table) != "other"));
  }
}

TEST_CASE("Rules of legacy iptables are read as it prints them") {
  const std::string rules =
      "-P PREROUTING ACCEPT\n-N DOLINE\n-A PREROUTING -j DOLINE\n-A DOLINE -p udp -m udp --dport 53 -j REDIRECT\n"
      "-A PREROUTING -i br0 -p udp -m udp --dport 53 -j DNAT --to-destination 192.168.1.2\n"
      "-A PREROUTING -p tcp -m multiport --dports 853,5300:5400 -j REDIRECT --to-ports 53\n"
      "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128\n"
      "-A PREROUTING -p udp -m udp --dport 53 -j TPROXY --on-port 1053 --on-ip 0.0.0.0 --tproxy-mark 0x1/0xffffffff\n";
  const auto found = find_legacy_interference("nat", rules, home_options(Mode::tproxy));
  REQUIRE(found.size() == 3);
  CHECK(found[0].find("legacy iptables, table nat, also redirects DNS: -A PREROUTING -i br0 -p udp") == 0);
  CHECK(found[1].find("--dports 853,5300:5400") < found[1].size());
  CHECK(found[2].find("legacy iptables, table nat, also takes DNS by tproxy: ") == 0);
}

TEST_CASE("Settings of the machine that stand in the way are told with their cure") {
  HostFacts facts = doline::tests::home_facts();
  const Options options = home_options(Mode::tproxy);
  CHECK(find_hindrances(options, facts).empty());
  facts.bridges_call_firewall = facts.has_legacy_nat = true;
  const auto found = find_hindrances(options, facts);
  REQUIRE(found.size() == 2);
  CHECK(found[0].find("sysctl -w net.bridge.bridge-nf-call-iptables=0") < found[0].size());
  CHECK(found[1].find("iptables-legacy -t nat -S") < found[1].size());
  Options elsewhere = home_options(Mode::nat);
  elsewhere.interfaces = {"br-nowhere"};
  CHECK(find_hindrances(elsewhere, facts)[0].find("There is no interface br-nowhere now") == 0);
}

TEST_CASE("A bridge whose packets pass the firewall twice is a trap for tproxy alone") {
  HostFacts facts = doline::tests::home_facts();
  facts.bridges_call_firewall = true;
  CHECK_FALSE(find_trap(home_options(Mode::tproxy), facts));
  facts.interfaces[1].is_bridge = true;
  const auto trap = find_trap(home_options(Mode::tproxy), facts);
  REQUIRE(trap);
  CHECK(trap->find("the bridge iot0 ") < trap->size());
  CHECK(trap->find("Cure: sysctl -w net.bridge.bridge-nf-call-iptables=0") < trap->size());
  CHECK(trap->ends_with("mode: nat}`"));
  CHECK(find_trap(home_options(Mode::remote), facts)->ends_with("ip6tables=0"));  // nat is no cure for that one
  CHECK_FALSE(find_trap(home_options(Mode::nat), facts));
  CHECK_FALSE(find_trap(home_options(Mode::audit), facts));
  CHECK(find_hindrances(home_options(Mode::tproxy), facts) == std::vector<std::string>{*trap});
  facts.bridges_call_firewall = false;
  CHECK_FALSE(find_trap(home_options(Mode::tproxy), facts));
}

TEST_CASE("In nat mode a dropping input chain has to let the private port in too") {
  const auto found = find_interference(others(), home_options(Mode::nat));
  REQUIRE(found.size() == 7);
  CHECK(found[3].find("DNS from the LAN and port 5399.") != std::string::npos);
}

TEST_CASE("Names that nft prints for ports are ports") {
  const std::string ruleset = "table ip a {\n chain b {\n udp dport domain redirect\n tcp dport mdns redirect\n }\n}\n";
  CHECK(find_interference(ruleset, home_options(Mode::tproxy)).size() == 2);
  Options options = home_options(Mode::tproxy);
  options.ports = {8053};
  CHECK(find_interference(ruleset, options).empty());
}

TEST_CASE("A port behind another match is none of the rule's") {
  const std::string ruleset = "table ip a {\n chain b {\n udp dport 80 ip id 53 redirect\n }\n}\n";
  CHECK(find_interference(ruleset, home_options(Mode::tproxy)).empty());
}

TEST_CASE("However much there is, the sentences stay few, short and printable") {
  std::string ruleset = "table ip " + std::string(100'000, 'x') + " {\n";
  for (int line = 0; line < 1'000; ++line)
    ruleset += "udp dport 53 redirect comment \"\x1b[2J" + std::string(2'000, 'y') + "\"\n";
  const auto found = find_interference(ruleset, home_options(Mode::tproxy));
  REQUIRE(found.size() == sentences_max);
  CHECK(found[0].size() < 600);
  CHECK(found[0].find('\x1b') == std::string::npos);
}

TEST_CASE("An empty ruleset interferes with nothing") {
  CHECK(find_interference("", home_options(Mode::tproxy)).empty());
}

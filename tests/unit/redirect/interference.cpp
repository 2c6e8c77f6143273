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

TEST_CASE("Others that touch DNS are found and quoted, our own tables passed over") {
  CHECK(
      find_interference(others(), home_options(Mode::tproxy)) ==
      std::vector<std::string>{
          "table ip docker, chain PREROUTING, also redirects DNS: iifname \"br0\" udp dport 53 counter packets 0 bytes "
          "0 redirect to :5353 comment \"pi hole\"",
          "table ip docker, chain PREROUTING, also redirects DNS: iifname \"br0\" udp dport { 53, 853 } dnat to "
          "192.168.1.2:53",
          "table ip docker, chain PREROUTING, also redirects DNS: tcp dport 40-60 redirect to :53",
          "chain input of table inet filter drops what nobody accepts on its way to this machine: it has to accept DNS "
          "from the LAN.",
          "table inet clash, chain pre, also takes DNS by tproxy: udp dport 53 tproxy to :1053",
          "table ip nat, chain PREROUTING, also redirects DNS: udp dport 53  counter packets 0 bytes 0 redirect to "
          ":5300",
          "table ip mangle, chain PREROUTING, also takes DNS by tproxy: udp dport 53 counter packets 0 bytes 0 xt "
          "target "
          "TPROXY",
      });
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
  CHECK(found[0].size() < 500);
  CHECK(found[0].find('\x1b') == std::string::npos);
}

TEST_CASE("An empty ruleset interferes with nothing") {
  CHECK(find_interference("", home_options(Mode::tproxy)).empty());
}

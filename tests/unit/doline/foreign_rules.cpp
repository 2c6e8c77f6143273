#include "doline/foreign_rules.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "own_network.h"
#include "redirect/host_facts.h"

using namespace doline;
using namespace doline::tests;

namespace {

bool tells(const std::vector<std::string>& found, const std::string& what) {
  return std::any_of(found.begin(), found.end(), [&](const std::string& sentence) {
    return sentence.find(what) != std::string::npos && sentence.find("Cure: ") != std::string::npos;
  });
}

redirect::Options options_of_home() {
  redirect::Options options;
  options.mode = redirect::Mode::tproxy;
  options.interfaces = {"home0"};
  return options;
}

}  // namespace

TEST_CASE("Legacy iptables' rules about DNS are found, which nft does not show") {
  if (!own_network()) return;
  CHECK(find_foreign_rules(options_of_home()).empty());
  if (!is_installed("iptables-legacy") ||
      shell("PATH=$PATH:/usr/sbin iptables-legacy -t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5300")
              .status != 0) {
    MESSAGE("skipped: no legacy iptables here");
    return;
  }
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft list ruleset").output.find("5300") == std::string::npos);
  CHECK(tells(find_foreign_rules(options_of_home()), "legacy iptables, table nat, also redirects DNS: -A PREROUTING"));
  CHECK(redirect::gather_host_facts().has_legacy_nat);
  REQUIRE(shell("PATH=$PATH:/usr/sbin iptables-legacy -t nat -F PREROUTING").status == 0);
  CHECK(find_foreign_rules(options_of_home()).empty());
  CHECK_FALSE(redirect::gather_host_facts().has_legacy_nat);
}

TEST_CASE("Who holds port 53 on all addresses is told by name") {
  if (!own_network()) return;
  if (!is_installed("dnsmasq")) {
    MESSAGE("skipped: no dnsmasq here");
    return;
  }
  REQUIRE(shell("PATH=$PATH:/usr/sbin; ip link set lo up").status == 0);
  REQUIRE(shell("PATH=$PATH:/usr/sbin; dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts "
                "--pid-file= --user= >/dev/null 2>&1 & echo $! >/tmp/doline-test-holder.$$; sleep 0.5")
              .status == 0);
  const auto found = find_port_holders(options_of_home());
  redirect::Options others = options_of_home();
  others.ports = {5300};
  CHECK(find_port_holders(others).empty());
  shell("PATH=$PATH:/usr/sbin; for file in /tmp/doline-test-holder.*; do kill $(cat $file); rm $file; done");
  CHECK(tells(found, "(dnsmasq) holds port 53 on all addresses"));
}

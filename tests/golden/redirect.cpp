// The rulesets that Doline makes, as texts that are read and promised, and judged by the programs that will load them.
#include <doctest/doctest.h>

#include <string>

#include "golden/golden.h"
#include "own_network.h"
#include "redirect/gate_rules.h"
#include "redirect/iptables_rules.h"
#include "redirect/nft_rules.h"
#include "redirect/plan.h"
#include "redirect/router_text.h"
#include "unit/redirect/home.h"

using namespace doline::redirect;
using namespace doline::tests;

namespace {

const std::string folder = DOLINE_SOURCE_DIR "/tests/golden/redirect/";

Options home(Mode mode, OnFailure on_failure) {
  Options options = home_options(mode);
  options.on_failure = on_failure;
  return options;
}

const std::vector<doline::IpPrefix> lan{prefix("192.168.50.0/24"), prefix("2001:db8:50::/64")};

/// Of one family: iptables has one program for each.
std::string iptables_text(Mode mode, Family family) {
  HostFacts facts = home_facts();
  facts.nft.clear();
  (family == Family::v4 ? facts.ip6tables : facts.iptables).clear();
  for (const ProgramStep& step : iptables_apply(home_options(mode), facts))
    if (!step.input.empty()) return step.input;
  return {};
}

}  // namespace

TEST_CASE("Rules for nft are the golden ones") {
  CHECK(is_golden("redirect/tproxy.nft", nft_rules(home(Mode::tproxy, OnFailure::open), TableLife::until_removed)));
  CHECK(is_golden("redirect/tproxy-owner.nft",
                  nft_rules(home(Mode::tproxy, OnFailure::open), TableLife::as_long_as_its_maker)));
  CHECK(is_golden("redirect/tproxy-closed.nft",
                  nft_rules(home(Mode::tproxy, OnFailure::closed), TableLife::until_removed)));
  CHECK(is_golden("redirect/nat.nft", nft_rules(home(Mode::nat, OnFailure::open), TableLife::until_removed)));
  CHECK(is_golden("redirect/seen.nft", nft_seen(home_options(Mode::tproxy))));
  CHECK(is_golden("redirect/gate.nft", nft_gate(home(Mode::tproxy, OnFailure::open), home_restrictions())));
  Options leaving = home(Mode::tproxy, OnFailure::closed);
  leaving.encrypted = Encrypted::leave;
  CHECK(is_golden("redirect/gate-closed.nft", nft_gate(leaving, home_restrictions())));
  CHECK(is_golden("redirect/remote.nft",
                  nft_rules(home(Mode::remote, OnFailure::open), TableLife::as_long_as_its_maker, lan)));
  CHECK(is_golden("redirect/remote-seen.nft", nft_seen(home_options(Mode::remote), lan)));
}

TEST_CASE("Rules for iptables are the golden ones") {
  CHECK(is_golden("redirect/tproxy-v4.iptables", iptables_text(Mode::tproxy, Family::v4)));
  CHECK(is_golden("redirect/tproxy-v6.iptables", iptables_text(Mode::tproxy, Family::v6)));
  CHECK(is_golden("redirect/nat-v4.iptables", iptables_text(Mode::nat, Family::v4)));
  CHECK(is_golden("redirect/nat-v6.iptables", iptables_text(Mode::nat, Family::v6)));
}

TEST_CASE("The plan that people read is the golden one") {
  CHECK(is_golden("redirect/tproxy.plan",
                  describe(plan(home(Mode::tproxy, OnFailure::open), home_facts(), home_restrictions()))));
  CHECK(is_golden("redirect/nat.plan", describe(plan(home(Mode::nat, OnFailure::open), home_facts()))));
  CHECK(is_golden("redirect/remote.plan", describe(plan(home(Mode::remote, OnFailure::open), home_facts()))));
  HostFacts facts = home_facts();
  facts.nft.clear();
  CHECK(is_golden("redirect/iptables.plan", describe(plan(home(Mode::tproxy, OnFailure::open), facts))));
}

TEST_CASE("What routers are told is the golden text") {
  for (const char* word :
       {"openwrt", "routeros", "opnsense", "pfsense", "edgeos", "unifi", "merlin", "iptables", "nftables"}) {
    const Platform platform = *parse_platform(word);
    CHECK(is_golden("redirect/router." + std::string(word), router_text(platform, router_facts())));
    if (platform != Platform::opnsense && platform != Platform::pfsense)
      CHECK(is_golden("redirect/router-ports." + std::string(word), router_text(platform, mapped_router_facts())));
  }
}

TEST_CASE("nft takes the golden rules, as files and as the lines that the warden sends") {
  if (!is_installed("nft")) {
    MESSAGE("skipped: nft is not installed");
    return;
  }
  if (!own_network()) return;
  for (const char* file : {"tproxy.nft", "tproxy-owner.nft", "tproxy-closed.nft", "nat.nft", "seen.nft", "remote.nft",
                           "remote-seen.nft", "gate.nft", "gate-closed.nft"}) {
    CAPTURE(file);
    const ShellEnd checked = shell("PATH=$PATH:/usr/sbin nft --check -f " + folder + file);
    CAPTURE(checked.output);
    CHECK(checked.status == 0);
    std::ifstream stream(folder + file);
    const std::string line = on_one_line({std::istreambuf_iterator<char>(stream), {}});
    const ShellEnd on_a_line = shell("printf %s '" + line + "' | PATH=$PATH:/usr/sbin nft --check -f -");
    CAPTURE(on_a_line.output);
    CHECK(on_a_line.status == 0);
  }
}

TEST_CASE("iptables-restore takes the golden rules, with every backend that is installed") {
  if (!own_network()) return;
  bool is_tried = false;
  for (const std::string backend : {"", "-nft", "-legacy"})
    for (const std::string family : {"v4", "v6"}) {
      const std::string program = (family == "v4" ? "iptables" : "ip6tables") + backend + "-restore";
      if (!is_installed(program.c_str())) continue;
      // Legacy needs the lock in /run, which is the machine's; a namespace of one's own cannot have it.
      if (backend == "-legacy" && access("/run", W_OK) != 0) continue;
      is_tried = true;
      for (const std::string mode : {"tproxy", "nat"}) {
        const ShellEnd checked = shell("PATH=$PATH:/usr/sbin " + program + " --noflush --test <" + folder + mode + "-" +
                                       family + ".iptables");
        CAPTURE(program);
        CAPTURE(mode);
        CAPTURE(checked.output);
        CHECK(checked.status == 0);
      }
    }
  if (!is_tried) MESSAGE("skipped: iptables is not installed");
}

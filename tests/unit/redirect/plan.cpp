#include "redirect/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "home.h"

using namespace doline::redirect;
using doline::tests::home_facts;
using doline::tests::home_options;
using doline::tests::prefix;

namespace {

bool is_warned(const Plan& plan, const std::string& words) {
  return std::any_of(plan.warnings.begin(), plan.warnings.end(),
                     [&](const std::string& warning) { return warning.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("Redirect that is off plans nothing and says so") {
  const Plan nothing = plan(Options{}, home_facts());
  CHECK(nothing.is_possible());
  CHECK(nothing.tool == Tool::none);
  CHECK(nothing.rule_steps.empty());
  CHECK(describe(nothing).find("nothing would be changed") != std::string::npos);
}

TEST_CASE("nft is taken where there is one, else iptables, else nothing is possible") {
  HostFacts facts = home_facts();
  CHECK(plan(home_options(Mode::tproxy), facts).tool == Tool::nft);
  facts.nft.clear();
  const Plan by_iptables = plan(home_options(Mode::tproxy), facts);
  CHECK(by_iptables.tool == Tool::iptables);
  CHECK_FALSE(by_iptables.owns_table);
  CHECK(is_warned(by_iptables, "cannot tie rules to a process"));
  facts.iptables.clear();
  const Plan impossible = plan(home_options(Mode::tproxy), facts);
  CHECK_FALSE(impossible.is_possible());
  CHECK(describe(impossible).find("install nftables") != std::string::npos);
}

TEST_CASE("Problems of the options are problems of the plan, and nothing is rendered from such options") {
  Options options = home_options(Mode::tproxy);
  options.interfaces = {"a\" ; flush ruleset ; \""};
  const Plan impossible = plan(options, home_facts());
  CHECK_FALSE(impossible.is_possible());
  CHECK(impossible.rules.empty());
  CHECK(impossible.rule_steps.empty());
  CHECK(describe(impossible).find("flush") == std::string::npos);
}

TEST_CASE(
    "Who watches alters nothing: no rules that intercept, no routes, and audit keeps the memory of who asked whom") {
  Options options = home_options(Mode::off);
  options.watch = true;
  const Plan watching = plan(options, home_facts());
  CHECK(watching.is_possible());
  CHECK(watching.tool == Tool::nft);
  CHECK(watching.rules.empty());
  CHECK(watching.seen.empty());
  CHECK(watching.rule_steps.empty());
  CHECK(describe(watching).find("are recorded, set against what the device looked up") != std::string::npos);
  CHECK(describe(watching).find("conntrack entries") == std::string::npos);
  CHECK(describe(watching).find("sets net.netfilter.nf_conntrack_acct to 1") != std::string::npos);
  CHECK(describe(plan(home_options(Mode::audit), home_facts())).find("nf_conntrack_acct") == std::string::npos);
  const Plan audit = plan(home_options(Mode::audit), home_facts());
  CHECK(audit.rules.empty());
  CHECK_FALSE(audit.seen.empty());
  CHECK(describe(audit).find("go their way unaltered") != std::string::npos);
  CHECK(replace_watch(audit, TableState::owned).find("delete table inet doline_watch\ntable inet doline_watch {") !=
        std::string::npos);

  HostFacts without_nft = home_facts();
  without_nft.nft.clear();
  CHECK_FALSE(plan(options, without_nft).is_possible());
}

TEST_CASE("Rules die with their maker where they are to and the kernel can") {
  Options options = home_options(Mode::tproxy);
  HostFacts facts = home_facts();
  CHECK(plan(options, facts).owns_table);
  facts.kernel_major = 4;
  CHECK_FALSE(plan(options, facts).owns_table);
  CHECK(is_warned(plan(options, facts), "the rules stay"));
  options.on_failure = OnFailure::closed;
  CHECK_FALSE(plan(options, home_facts()).owns_table);
  CHECK_FALSE(is_warned(plan(options, home_facts()), "the rules stay"));
}

TEST_CASE("Rules on trial vanish with their maker, also where they fail closed") {
  Options options = home_options(Mode::tproxy);
  options.on_failure = OnFailure::closed;
  const Plan made = plan(options, home_facts(), {}, Standing::on_trial);
  CHECK(made.owns_table);
  CHECK(made.rules.find("flags owner") != std::string::npos);
  CHECK(made.rules.find("reject with tcp reset") != std::string::npos);
  CHECK_FALSE(plan(options, home_facts(), {}, Standing::for_good).owns_table);
}

TEST_CASE("tproxy routes marked packets of each interface to this machine, and nat routes nothing") {
  const Plan made = plan(home_options(Mode::tproxy), home_facts());
  CHECK(made.rule_steps == std::vector<RuleStep>{{Family::v4, "home0", 0x5353, 5353},
                                                 {Family::v4, "iot0", 0x5353, 5353},
                                                 {Family::v6, "home0", 0x5353, 5353},
                                                 {Family::v6, "iot0", 0x5353, 5353}});
  CHECK(made.route_steps == std::vector<RouteStep>{{Family::v4, 5353}, {Family::v6, 5353}});
  CHECK(plan(home_options(Mode::nat), home_facts()).route_steps.empty());
  CHECK(plan(home_options(Mode::nat), home_facts()).rule_steps.empty());
}

TEST_CASE("What the operator should know of the machine is said") {
  HostFacts facts = home_facts();
  CHECK(plan(home_options(Mode::tproxy), facts).warnings.empty());
  facts.forwards_v4 = facts.forwards_v6 = false;
  facts.bridges_call_firewall = facts.has_legacy_nat = true;
  facts.interfaces.clear();
  const Plan warned = plan(home_options(Mode::tproxy), facts);
  CHECK(is_warned(warned, "no interface home0"));
  CHECK(is_warned(warned, "does not route IPv4"));
  CHECK(is_warned(warned, "does not route IPv6"));
  CHECK(is_warned(warned, "bridge-nf-call-iptables"));
  CHECK(is_warned(warned, "Legacy iptables"));
  Options everything = home_options(Mode::tproxy);
  everything.ports.push_back(443);
  CHECK(is_warned(plan(everything, home_facts()), "Port 443"));
  CHECK(is_warned(plan(home_options(Mode::nat), home_facts()), "flows that are under way are refused"));
}

TEST_CASE("Rules that would be a trap are not planned") {
  HostFacts facts = home_facts();
  facts.bridges_call_firewall = facts.interfaces[0].is_bridge = true;
  const Plan trap = plan(home_options(Mode::tproxy), facts);
  CHECK_FALSE(trap.is_possible());
  REQUIRE(trap.problems.size() == 1);
  CHECK(trap.problems[0].find("home0") < trap.problems[0].size());
  CHECK(plan(home_options(Mode::nat), facts).is_possible());
}

TEST_CASE("A machine with one arm is told what each of its two ways needs") {
  HostFacts facts = home_facts();
  facts.interfaces[0].leads_out = true;
  CHECK(is_warned(plan(home_options(Mode::tproxy), facts), "home0 is also the way out"));
  Options options = home_options(Mode::remote);
  options.exempt.macs.clear();
  options.encrypted = Encrypted::leave;
  CHECK(plan(options, facts).warnings.empty());
  CHECK(plan(options, facts).route_steps == plan(home_options(Mode::tproxy), facts).route_steps);
  CHECK(describe(plan(options, facts)).find("the router leads them here") != std::string::npos);

  facts.interfaces[0].sends_redirects = true;
  facts.interfaces[0].router_advertisements = 1;
  CHECK(is_warned(plan(options, facts), "net.ipv4.conf.home0.send_redirects=0"));
  CHECK(is_warned(plan(options, facts), "net.ipv6.conf.home0.accept_ra=2"));
  CHECK(is_warned(plan(home_options(Mode::remote), facts), "exempt there"));
  Restrictions cameras;
  CHECK_FALSE(is_warned(plan(home_options(Mode::remote), facts, cameras), "Devices are held"));
  cameras.only_resolved = {*doline::device::MacAddress::parse("94:51:3d:13:9a:35")};
  CHECK(is_warned(plan(home_options(Mode::remote), facts, cameras), "Devices are held to what they look up only"));
  CHECK(is_warned(plan(home_options(Mode::remote), facts), "Encrypted DNS is refused here only"));
  facts.forwards_v4 = facts.forwards_v6 = false;
  const Plan led = plan(options, facts);
  CHECK(is_warned(led, "ends here"));
  CHECK_FALSE(is_warned(led, "send_redirects"));
  CHECK_FALSE(is_warned(led, "nobody's stray queries pass here"));
  facts.nft.clear();
  facts.forwards_v6 = true;
  CHECK(is_warned(plan(options, facts), "IPv6 has no switch for redirects"));
}

TEST_CASE("The kernel's kind of table decides how it is replaced and removed") {
  const Plan made = plan(home_options(Mode::tproxy), home_facts());
  CHECK(replace_rules(made, TableState::absent) == made.rules);
  CHECK(replace_rules(made, TableState::plain) == "delete table inet doline\n" + made.rules);
  CHECK(replace_rules(made, TableState::owned) ==
        "table inet doline {\n  flags owner\n}\ndelete table inet doline\n" + made.rules);
  CHECK(remove_table(seen_table, TableState::absent).empty());
  CHECK(remove_table(seen_table, TableState::plain) == "delete table inet doline_seen\n");
}

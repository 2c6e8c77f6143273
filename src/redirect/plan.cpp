#include "redirect/plan.h"

#include <utility>

#include "base/check.h"
#include "redirect/gate_rules.h"
#include "redirect/interference.h"
#include "redirect/iptables_rules.h"
#include "redirect/nft_rules.h"
#include "redirect/rule_text.h"
#include "redirect/watch_rules.h"

namespace doline::redirect {

namespace {

void add_routing(Plan& plan, const HostFacts& facts) {
  const std::uint32_t table = plan.options.kernel.table;
  for (const Family family : {Family::v4, Family::v6}) {
    if (family == Family::v6 && !facts.has_ipv6) continue;
    for (const std::string& interface : plan.options.interfaces)
      plan.rule_steps.push_back(
          {.family = family, .interface = interface, .mark = plan.options.kernel.mark, .table = table});
    plan.route_steps.push_back({.family = family, .table = table});
  }
}

/// A machine with one arm stands in either of two ways: the router leads stray DNS to it, or it is the devices'
/// gateway.
void warn_of_one_arm(Plan& plan, const HostFacts& facts) {
  auto& warnings = plan.warnings;
  if (!facts.forwards_v4)
    warnings.emplace_back(
        "This machine does not route IPv4. Where the router leads DNS here that is enough, but what comes while Doline "
        "is away ends here; `sysctl net.ipv4.ip_forward=1` sends it on. As the devices' gateway it must route.");
  if (facts.has_ipv6 && !facts.forwards_v6)
    warnings.emplace_back(
        "This machine does not route IPv6; the same holds, and the switch is net.ipv6.conf.all.forwarding.");
  for (const std::string& name : plan.options.interfaces) {
    const InterfaceFacts* interface = facts.find(name);
    if (interface == nullptr) continue;
    if (facts.forwards_v4 && interface->sends_redirects)
      warnings.push_back("This machine tells devices of a shorter way past it (ICMP redirects); " +
                         std::string(plan.tool == Tool::nft
                                         ? "the rules hold those back while Doline runs, and for good "
                                         : "what stops that for IPv4 is ") +
                         "`sysctl net.ipv4.conf.all.send_redirects=0 net.ipv4.conf." + name + ".send_redirects=0`.");
    if (facts.forwards_v6 && plan.tool == Tool::iptables)
      warnings.push_back(
          "IPv6 has no switch for redirects: `ip6tables -A OUTPUT -p icmpv6 --icmpv6-type redirect -j DROP`.");
    if (facts.forwards_v6 && interface->router_advertisements == 1)
      warnings.push_back("net.ipv6.conf." + name +
                         ".accept_ra is 1, which a machine that routes IPv6 takes as 0: its own way out ends when the "
                         "last advertisement does; `sysctl net.ipv6.conf." +
                         name + ".accept_ra=2` keeps it.");
  }
  if (!plan.options.exempt.macs.empty())
    warnings.emplace_back(
        "What the router leads here carries the router's MAC: devices that are exempt by theirs must be exempt there "
        "(`doline redirect render` writes that), or here by address.");
  if (plan.restrictions.hold_flows())
    warnings.emplace_back(
        "Devices are held to what they look up only where they have this machine as their gateway: of those whose "
        "router leads DNS here, nothing else passes.");
  if (plan.options.encrypted == Encrypted::reject)
    warnings.emplace_back(
        "Encrypted DNS is refused here only to devices whose gateway this machine is; the others' the router refuses "
        "by "
        "what `doline redirect render` prints.");
}

void warn_of_no_routing(Plan& plan, const HostFacts& facts) {
  if (!facts.forwards_v4)
    plan.warnings.emplace_back(
        "This machine does not route IPv4 (net.ipv4.ip_forward is 0): nobody's stray queries pass here.");
  if (facts.has_ipv6 && !facts.forwards_v6)
    plan.warnings.emplace_back("This machine does not route IPv6 (net.ipv6.conf.all.forwarding is 0).");
  for (const std::string& interface : plan.options.interfaces)
    if (const InterfaceFacts* found = facts.find(interface); found != nullptr && found->leads_out)
      plan.warnings.push_back(interface +
                              " is also the way out: what goes to the world by it counts as LAN to LAN and is not "
                              "caught. A machine with one arm wants `mode: remote`.");
}

void warn(Plan& plan, const HostFacts& facts) {
  auto& warnings = plan.warnings;
  if (plan.options.mode == Mode::remote)
    warn_of_one_arm(plan, facts);
  else
    warn_of_no_routing(plan, facts);
  for (std::string& sentence : find_ports_of_others(plan.options)) warnings.push_back(std::move(sentence));
  for (std::string& sentence : find_hindrances(plan.options, facts)) warnings.push_back(std::move(sentence));
  if (plan.tool == Tool::iptables)
    warnings.emplace_back(
        "There is no nft, so iptables stands in: it cannot tie rules to a process (if all of Doline's are killed at "
        "once, stray DNS fails until Doline is back), restricts nobody, does not refuse encrypted DNS, and keeps no "
        "memory of who asked whom.");
  else if (plan.tool == Tool::nft && plan.options.on_failure == OnFailure::open && !plan.owns_table)
    warnings.emplace_back(
        "This kernel has no tables that vanish with their maker (Linux 5.12): if all of Doline's processes are killed "
        "at once, the rules stay until Doline is back.");
  if (plan.options.mode == Mode::nat && plan.options.on_failure == OnFailure::open)
    warnings.emplace_back(
        "nat: if Doline dies, flows that are under way are refused until they expire or the warden has flushed them.");
}

std::string list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string watch_summary(const Plan& plan) {
  const Options& options = plan.options;
  const std::string whose = "of devices on " + list(options.interfaces);
  std::string text;
  if (options.mode == Mode::audit)
    text += "Queries " + whose +
            " to foreign resolvers go their way unaltered, and each is recorded in the query log (audit).\n";
  if (options.watch)
    text += "New connections " + whose +
            " to the outside are recorded, set against what the device looked up: `doline flows`.\n";
  else if (options.encrypted == Encrypted::log)
    text += "Connections " + whose + " to servers of encrypted DNS are recorded, and left alone: `doline flows`.\n";
  if (logs_encrypted(options))
    text +=
        "The kernel counts what connections carry from then on (it sets net.netfilter.nf_conntrack_acct to 1), until a "
        "restart of\nthe machine or `sysctl net.netfilter.nf_conntrack_acct=0`; removing the rules leaves it so.\n";
  return text;
}

std::string summary_of_gate(const Plan& plan) {
  const Restrictions& restrictions = plan.restrictions;
  const auto macs = [](const auto& some) {
    return std::to_string(some.size()) + (some.size() == 1 ? " MAC address" : " MAC addresses");
  };
  std::string text;
  if (restrictions.hold_encrypted(plan.options.encrypted)) {
    text += "DoT and DoQ (port 853) and DoH to " + std::to_string(restrictions.doh_networks.size()) +
            " known addresses and networks are refused ";
    if (plan.options.encrypted == Encrypted::leave)
      text += "to " + macs(restrictions.must_not_encrypt) + " ";
    else if (!restrictions.may_encrypt.empty())
      text += "to all but " + macs(restrictions.may_encrypt) + " ";
    text += "at once, so that clients fall back to plain DNS.\n";
  }
  if (plan.gate_logs)
    text += "Connections of " + macs(restrictions.log_encrypted) +
            " to servers of encrypted DNS are let through and recorded: `doline flows`.\n";
  if (!restrictions.only_resolved.empty())
    text += macs(restrictions.only_resolved) + " may connect only to what an answer of Doline gave.\n";
  if (!restrictions.observed.empty())
    text += "Of " + macs(restrictions.observed) + ", connections that no answer explains are counted.\n";
  return text;
}

std::string summary(const Plan& plan) {
  const Options& options = plan.options;
  std::vector<std::string> ports;
  for (const std::uint16_t port : options.ports) ports.push_back(std::to_string(port));
  std::string text;
  if (!plan.watch.empty()) text += watch_summary(plan);
  if (!intercepts(options.mode)) return text;
  text += "Queries that devices on " + list(options.interfaces) + " send to foreign resolvers (UDP and TCP port " +
          list(ports) + ", IPv4 and IPv6) come to Doline instead, ";
  text += is_transparent(options.mode) ? "untouched (tproxy)"
                                       : "redirected to port " + std::to_string(options.nat_port) + " (nat)";
  text += "; answers come from the very address that was asked.\n";
  if (options.mode == Mode::remote)
    text +=
        "They pass this machine where the router leads them here (`doline redirect render` prints how), or where "
        "devices\nhave it as their gateway (then everything else is passed on to the router).\n";
  text += "Left alone: queries to this machine, between devices of the LAN, and this machine's own.\n";
  if (!options.exempt.macs.empty() || !options.exempt.clients.empty() || !options.exempt.destinations.empty()) {
    std::vector<std::string> from, to;
    for (const auto& mac : options.exempt.macs) from.push_back(mac.to_string());
    for (const auto& prefix : options.exempt.clients) from.push_back(prefix.to_string());
    for (const auto& prefix : options.exempt.destinations) to.push_back(prefix.to_string());
    if (!from.empty()) text += "Exempt: queries from " + list(from) + ".\n";
    if (!to.empty()) text += "Exempt: queries to " + list(to) + ".\n";
  }
  if (!plan.gate.empty()) text += summary_of_gate(plan);
  if (options.on_failure == OnFailure::closed)
    text += "If Doline dies, stray DNS is refused until it is back (on_failure: closed).\n";
  else if (plan.tool == Tool::iptables)
    text += "If Doline dies, its second process removes the rules (on_failure: open).\n";
  else
    text += "If Doline dies, the rules are gone and the house keeps its DNS (on_failure: open).\n";
  return text;
}

}  // namespace

bool names_networks(const Plan& plan) {
  return plan.tool == Tool::iptables || plan.options.mode == Mode::remote;
}

std::vector<IpPrefix> lan_networks(const Options& options, const HostFacts& facts) {
  std::vector<IpPrefix> networks;
  for (const std::string& interface : options.interfaces)
    if (const InterfaceFacts* found = facts.find(interface))
      networks.insert(networks.end(), found->networks.begin(), found->networks.end());
  return networks;
}

void restrict(Plan& plan, const Restrictions& restrictions) {
  plan.restrictions = restrictions;
  const bool has_gate = plan.tool == Tool::nft && intercepts(plan.options.mode);
  plan.gate = has_gate ? nft_gate(plan.options, restrictions, plan.lan) : std::string();
  plan.gate_logs = has_gate && gate_logs(plan.options, restrictions);
  if (plan.tool == Tool::nft)
    plan.watch = nft_watch(plan.options, plan.watch_life, restrictions.doh_networks, plan.lan);
}

Plan plan(const Options& options, const HostFacts& facts, const Restrictions& restrictions, Standing standing) {
  Plan result;
  result.options = options;
  result.problems = find_problems(options);
  const auto more = find_problems(restrictions);
  result.problems.insert(result.problems.end(), more.begin(), more.end());
  const bool watches = asks_to_watch(options);
  if (!result.problems.empty() || (options.mode == Mode::off && !watches)) return result;
  if (watches && facts.nft.empty()) {
    result.problems.emplace_back("watching connections needs nft: install nftables");
    return result;
  }
  if (auto trap = find_trap(options, facts)) {
    result.problems.push_back(std::move(*trap));
    return result;
  }

  if (!facts.nft.empty()) {
    result.tool = Tool::nft;
    result.owns_table =
        (options.on_failure == OnFailure::open || standing == Standing::on_trial) && facts.has_owner_tables();
    const TableLife life = result.owns_table ? TableLife::as_long_as_its_maker : TableLife::until_removed;
    if (names_networks(result)) result.lan = lan_networks(options, facts);
    if (intercepts(options.mode)) result.rules = nft_rules(options, life, result.lan);
    if (options.mode != Mode::off) result.seen = nft_seen(options, result.lan);
    result.watch_life = facts.has_owner_tables() ? TableLife::as_long_as_its_maker : TableLife::until_removed;
    restrict(result, restrictions);
  } else if (!facts.iptables.empty()) {
    result.tool = Tool::iptables;
    result.lan = lan_networks(options, facts);
    result.programs = iptables_apply(options, facts);
    result.programs_undo = iptables_undo(facts);
    result.programs_list = iptables_list(facts);
  } else {
    result.problems.emplace_back("there is neither nft nor iptables on this machine: install nftables");
    return result;
  }
  if (is_transparent(options.mode)) add_routing(result, facts);
  warn(result, facts);
  return result;
}

std::string remove_table(const char* table, TableState present) {
  const std::string name = std::string("table inet ") + table;
  switch (present) {
    case TableState::absent:
      return {};
    case TableState::plain:
      return "delete " + name + "\n";
    case TableState::owned:
      // The kernel wants the flag named whenever the table is.
      return name + " {\n  flags owner\n}\ndelete " + name + "\n";
  }
  return {};
}

std::string replace_rules(const Plan& plan, TableState present) {
  check(plan.tool == Tool::nft);
  return remove_table(rules_table, present) + plan.rules;
}

std::string replace_watch(const Plan& plan, TableState present) {
  check(plan.tool == Tool::nft);
  return remove_table(watch_table, present) + plan.watch;
}

std::string to_command(const RuleStep& step) {
  const std::string table = std::to_string(step.table);
  return std::string(step.family == Family::v4 ? "ip" : "ip -6") + " rule add " +
         (step.interface.empty() ? "" : "iif " + step.interface + " ") + "fwmark " + hexadecimal(step.mark) +
         "/0xffff lookup " + table + " pref " + table;
}

std::string to_command(const RouteStep& step) {
  return std::string(step.family == Family::v4 ? "ip" : "ip -6") + " route replace local default dev lo table " +
         std::to_string(step.table);
}

std::string describe(const Plan& plan) {
  if (plan.options.mode == Mode::off && plan.problems.empty() && plan.watch.empty())
    return "The configuration asks for no redirect (`redirect:` is absent, or its mode is off): nothing would be "
           "changed.\n";
  std::string text;
  for (const std::string& problem : plan.problems) text += "Impossible: " + problem + ".\n";
  if (!plan.is_possible()) return text;
  text += summary(plan);
  for (const std::string& warning : plan.warnings) text += "Note: " + warning + "\n";
  text += "\n# `doline redirect apply` does this; `doline redirect remove` undoes it\n";
  for (const RuleStep& step : plan.rule_steps) text += to_command(step) + "\n";
  for (const RouteStep& step : plan.route_steps) text += to_command(step) + "\n";
  if (plan.tool == Tool::nft) {
    text += "\n# nft -f, in one transaction";
    text += plan.owns_table ? "; held by Doline's second process and gone with it\n" : "\n";
    text += plan.rules;
    if (!plan.gate.empty()) {
      text += "\n# the gate: who may connect to what";
      text += plan.options.on_failure == OnFailure::open ? "; open ten seconds after Doline's second process has died\n"
                                                         : "\n";
      text += plan.gate;
    }
    if (!plan.seen.empty())
      text += "\n# what outlives Doline: who asked whom, and that flows it answered are soon forgotten\n" + plan.seen;
    if (!plan.watch.empty()) text += "\n# what only logs\n" + plan.watch;
  }
  for (const ProgramStep& step : plan.programs) {
    if (step.when == ProgramStep::When::if_the_one_before_failed) text += "  || ";
    for (const std::string& argument : step.arguments)
      text += (&argument == &step.arguments.front() ? "" : " ") + argument;
    text += "\n";
    if (!step.input.empty()) text += step.input;
  }
  if (intercepts(plan.options.mode))
    text +=
        "\n# and conntrack entries of these ports, but for this machine's own, are deleted, after applying and after "
        "removing\n";
  return text;
}

}  // namespace doline::redirect

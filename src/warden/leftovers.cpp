#include "warden/leftovers.h"

#include <cap-ng.h>
#include <linux/capability.h>

#include <cstring>
#include <sstream>
#include <utility>

#include "redirect/host_facts.h"
#include "redirect/iptables_rules.h"
#include "warden/conntrack.h"
#include "warden/nf_tables.h"
#include "warden/program.h"
#include "warden/routing.h"

namespace doline::warden {

namespace {

using redirect::TableState;

/// Of what iptables-save prints, which other than iptables itself makes no table and loads no module by being asked.
std::vector<std::string> tables_with_our_chain(const std::string& saved) {
  std::vector<std::string> tables;
  std::istringstream lines(redirect::our_lines(saved));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with('*')) tables.push_back(line.substr(1));
  return tables;
}

std::string_view name_of(redirect::Family family) {
  return family == redirect::Family::v4 ? "IPv4" : "IPv6";
}

}  // namespace

bool Leftovers::is_nothing() const {
  return !intercept() && gate == TableState::absent && seen == TableState::absent && watch == TableState::absent &&
         rule_steps.empty() && route_steps.empty();
}

bool Leftovers::intercept() const {
  return rules != TableState::absent || !iptables_chains.empty();
}

std::vector<std::string> Leftovers::describe() const {
  std::vector<std::string> sentences;
  if (rules == TableState::owned) sentences.emplace_back("Table inet doline is there, held by a process that lives.");
  if (rules == TableState::plain)
    sentences.emplace_back("Table inet doline is there: stray DNS of the LAN is led to a Doline that does not run.");
  for (const std::string& chain : iptables_chains)
    sentences.push_back("Chain DOLINE is there in " + chain + ": stray DNS of the LAN is dropped.");
  if (gate != TableState::absent)
    sentences.emplace_back(
        "Table inet doline_gate is there: it restricts whom the configuration says, for ten seconds more or, with "
        "on_failure: closed, until it is removed.");
  if (seen != TableState::absent)
    sentences.emplace_back("Table inet doline_seen keeps on noting who asks whom; it changes no packet.");
  if (watch != TableState::absent)
    sentences.emplace_back("Table inet doline_watch logs connections that nobody reads; it changes no packet.");
  for (const auto& step : rule_steps)
    sentences.push_back("The policy rule " + (step.interface.empty() ? "" : "of " + step.interface + " ") +
                        "to table " + std::to_string(step.table) + " is there (" + std::string(name_of(step.family)) +
                        "); nothing sets its mark.");
  for (const auto& step : route_steps)
    sentences.push_back("Table " + std::to_string(step.table) + " has routes (" + std::string(name_of(step.family)) +
                        "); nothing looks there.");
  return sentences;
}

bool may_change_rules() {
  return capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 1;
}

Leftovers find_leftovers(const redirect::Options& options) {
  const redirect::HostFacts facts = redirect::gather_host_facts();
  Leftovers found;
  NfTables tables;
  Routing routing;
  found.rules = tables.state_of(redirect::rules_table);
  found.gate = tables.state_of(redirect::gate_table);
  found.seen = tables.state_of(redirect::seen_table);
  found.watch = tables.state_of(redirect::watch_table);
  found.rule_steps = routing.rules_of(options.kernel);
  found.route_steps = routing.routes_of(options.kernel);
  for (const std::string& program : {facts.iptables, facts.ip6tables}) {
    if (program.empty()) continue;
    for (const std::string& table : tables_with_our_chain(run_to_end({program + "-save"}, {}).output))
      found.iptables_chains.push_back(table + " of " + program);
  }
  return found;
}

std::vector<std::string> remove_leftovers(const redirect::Options& options, Memory memory) {
  const Leftovers found = find_leftovers(options);
  if (found.rules == TableState::owned)
    return {"Table inet doline is held by a process that lives, and goes with it: see `ps -C doline-warden`."};
  const redirect::HostFacts facts = redirect::gather_host_facts();
  std::vector<std::string> complaints;
  // Fail-closed rules that nobody took away on purpose go on refusing.
  const bool refuses_on = memory == Memory::keep && options.on_failure == redirect::OnFailure::closed;
  std::string script;
  if (!refuses_on) script += redirect::remove_table(redirect::rules_table, found.rules);
  // Held by a process that lives, it goes with it.
  if (found.watch == TableState::plain) script += redirect::remove_table(redirect::watch_table, found.watch);
  if (!refuses_on) script += redirect::remove_table(redirect::gate_table, found.gate);
  if (memory == Memory::forget) script += redirect::remove_table(redirect::seen_table, found.seen);
  if (!script.empty()) {
    const ProgramEnd end = facts.nft.empty()
                               ? ProgramEnd{.succeeded = false, .output = {}, .complaint = "there is no nft"}
                               : run_to_end({facts.nft, "-f", "-"}, script);
    if (!end.succeeded) complaints.push_back("nft: " + end.complaint);
  }
  if (refuses_on) return complaints;
  if (!found.iptables_chains.empty())
    for (const auto& step : redirect::iptables_undo(facts)) static_cast<void>(run_to_end(step.arguments, step.input));
  // Rules without their routes would lose what they catch.
  if (const Leftovers left = find_leftovers(options); left.intercept()) {
    for (const std::string& chain : left.iptables_chains)
      complaints.push_back("Chain DOLINE is still there in " + chain + ".");
    return complaints;
  }
  Routing routing;
  const auto remove_all = [&](const auto& steps, const char* what) {
    for (const auto& step : steps)
      if (const auto removed = routing.remove(step); !removed)
        complaints.push_back(std::string(what) + ": " + std::strerror(removed.error().error));
  };
  remove_all(found.rule_steps, "policy rule");
  remove_all(found.route_steps, "route");
  // Without conntrack there are no flows that remember anything.
  static_cast<void>(Conntrack().forget(options.ports));
  return complaints;
}

}  // namespace doline::warden

#include "warden/inspection.h"

#include <utility>

#include "redirect/host_facts.h"
#include "redirect/interference.h"
#include "redirect/iptables_rules.h"
#include "warden/program.h"

namespace doline::warden {

namespace {

void list_chains(uv_loop_t* loop, std::vector<redirect::ProgramStep> steps, std::string listed,
                 std::function<void(std::string)> done) {
  if (steps.empty()) return done(std::move(listed));
  std::vector<std::string> arguments = std::move(steps.back().arguments);
  steps.pop_back();
  const std::string program = arguments.front();
  run_program(
      loop, std::move(arguments), {}, redirect::ruleset_octets_max,
      [=, steps = std::move(steps), listed = std::move(listed), done = std::move(done)](ProgramEnd end) mutable {
        listed += end.succeeded ? redirect::our_lines(end.output) : program + ": " + end.complaint + '\n';
        list_chains(loop, std::move(steps), std::move(listed), std::move(done));
      });
}

}  // namespace

void list_rules(uv_loop_t* loop, const std::string& nft, const redirect::Plan* plan,
                std::function<void(std::string)> done) {
  if (plan != nullptr && plan->tool == redirect::Tool::iptables)
    return list_chains(loop, plan->programs_list, {}, std::move(done));
  if (plan == nullptr || plan->tool != redirect::Tool::nft || plan->rules.empty()) return done({});
  run_program(
      loop, {nft, "-s", "list", "table", "inet", redirect::rules_table}, {}, redirect::ruleset_octets_max,
      [done = std::move(done)](ProgramEnd end) { done(end.succeeded ? std::move(end.output) : std::string()); });
}

void find_interference(uv_loop_t* loop, const std::string& nft, std::shared_ptr<const redirect::Plan> plan,
                       Routing& routing, std::function<void(std::vector<std::string>)> done) {
  if (plan == nullptr) return done({});
  std::vector<std::string> found = redirect::find_hindrances(plan->options, redirect::gather_host_facts());
  if (redirect::is_transparent(plan->options.mode))
    for (std::string& clash : routing.find_clashes(plan->options.kernel)) found.push_back(std::move(clash));
  if (nft.empty()) return done(std::move(found));
  run_program(loop, {nft, "list", "ruleset"}, {}, redirect::ruleset_octets_max,
              [plan = std::move(plan), found = std::move(found), done = std::move(done)](ProgramEnd end) mutable {
                for (std::string& rule : redirect::find_interference(end.output, plan->options))
                  found.push_back(std::move(rule));
                done(std::move(found));
              });
}

bool is_gone(const std::string& script, const char* table, NfTables& tables) {
  return !script.empty() && tables.state_of(table) == redirect::TableState::absent;
}

std::vector<std::string> find_changes(const redirect::Plan& plan, const std::string& listed_then,
                                      const std::string& listed_now, KernelAccess& kernel) {
  std::vector<std::string> reasons;
  if (plan.tool == redirect::Tool::iptables && listed_now != listed_then)
    reasons.emplace_back("the chains of iptables are not as they were applied: `iptables-save` shows them");
  else if (!plan.rules.empty() && listed_now.empty())
    reasons.emplace_back("table inet doline is gone");
  else if (listed_now != listed_then)
    reasons.emplace_back("table inet doline is not as it was applied: `nft list table inet doline` shows it");
  const std::pair<const std::string&, const char*> others[] = {
      {plan.seen, redirect::seen_table}, {plan.watch, redirect::watch_table}, {plan.gate, redirect::gate_table}};
  for (const auto& [script, table] : others)
    if (is_gone(script, table, kernel.tables)) reasons.push_back("table inet " + std::string(table) + " is gone");
  for (const auto& step : kernel.routing.missing_of(plan.rule_steps))
    reasons.push_back("the policy rule to table " + std::to_string(step.table) + " is gone");
  for (const auto& step : kernel.routing.missing_of(plan.route_steps))
    reasons.push_back("a route of table " + std::to_string(step.table) + " is gone");
  return reasons;
}

}  // namespace doline::warden

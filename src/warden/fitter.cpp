#include "warden/fitter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "redirect/gate_rules.h"
#include "redirect/nft_rules.h"
#include "warden/jobs.h"

namespace doline::warden {

using redirect::Plan;
using redirect::TableState;

namespace {

/// Somebody else owns a table of our name: a warden before us that is on its way out.
constexpr std::uint64_t predecessor_pause_ms = 200;
constexpr int predecessor_attempts = 10;

template <class Step>
bool has(const std::vector<Step>& steps, const Step& step) {
  return std::find(steps.begin(), steps.end(), step) != steps.end();
}

}  // namespace

Fitter::Fitter(uv_loop_t* loop, const std::string& nft, int flows, KernelAccess& kernel, std::function<void()> nft_died)
    : loop_(loop), kernel_(kernel), flow_watch_(loop, flows) {
  if (nft.empty()) return;
  nft_ = std::make_unique<NftShell>(loop, nft, [this, nft_died = std::move(nft_died)] {
    has_put_ = false;
    nft_died();
  });
}

// ── put ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

void Fitter::put(const std::shared_ptr<Plan>& plan, const Plan* former, Judge judge) {
  auto route = [this](auto& steps) -> std::string {
    for (const auto& step : steps)
      if (const auto added = kernel_.routing.add(step); !added)
        return std::string("policy routing: ") + std::strerror(added.error().error);
    return {};
  };
  std::string complaint = route(plan->route_steps);
  if (complaint.empty()) complaint = route(plan->rule_steps);
  // What was there before is untouched: a transaction is all or nothing.
  const bool shares_routes = former != nullptr && former->options.kernel == plan->options.kernel;
  auto judged = [this, plan, shares_routes, judge = std::move(judge)](std::string said) {
    if (said.empty())
      has_put_ = true;
    else if (!shares_routes)
      undo_routing(*plan);
    judge(std::move(said));
  };
  if (!complaint.empty()) return judged(std::move(complaint));
  if (plan->tool == redirect::Tool::iptables) return run_programs(plan->programs, 0, false, std::move(judged));
  put_rules(plan, predecessor_attempts, std::move(judged));
}

void Fitter::put_rules(const std::shared_ptr<Plan>& plan, int attempts_left, Judge judge) {
  const TableState present = kernel_.tables.state_of(redirect::rules_table);
  nft_->run(redirect::on_one_line(redirect::replace_rules(*plan, present)),
            [this, plan, attempts_left, judge = std::move(judge), present](std::string complaint) {
              if (!complaint.empty() && present == TableState::owned && !has_put_ && attempts_left > 0)
                return after(loop_, predecessor_pause_ms,
                             [this, plan, attempts_left, judge] { put_rules(plan, attempts_left - 1, judge); });
              if (!complaint.empty()) return judge(std::move(complaint));
              put_memory(*plan, [this, plan, judge](const std::string& trouble) {
                if (!trouble.empty())
                  plan->warnings.push_back("Who asks whom while Doline is away is not kept: " + trouble);
                put_gate(*plan, [this, plan, judge](const std::string& why) {
                  if (!why.empty()) plan->warnings.push_back("No device is restricted: " + why);
                  put_watch(plan, predecessor_attempts, judge);
                });
              });
            });
}

void Fitter::put_memory(const Plan& plan, Judge judge) {
  nft_->run(redirect::on_one_line(plan.seen), std::move(judge));
}

void Fitter::put_gate(const Plan& plan, Judge judge) {
  const std::string script =
      plan.gate.empty() ? redirect::remove_table(redirect::gate_table, kernel_.tables.state_of(redirect::gate_table))
                        : plan.gate;
  if (script.empty()) return judge({});
  // Listened to before anything is logged.
  if (plan.gate_logs && !flow_watch_.is_listening())
    if (std::string trouble = flow_watch_.begin(plan.options); !trouble.empty()) return judge(std::move(trouble));
  nft_->run(redirect::on_one_line(script), [this, judge = std::move(judge)](std::string complaint) {
    static_cast<void>(kernel_.gate.stay_alive());  // there may be no table now
    judge(std::move(complaint));
  });
}

/// Where there is more to do than to watch, that is done even if nothing can be watched.
void Fitter::put_watch(const std::shared_ptr<Plan>& plan, int attempts_left, Judge judge) {
  auto settle_for = [this, plan, judge](const std::string& trouble) {
    if (!trouble.empty()) flow_watch_.end();
    if (!trouble.empty() && plan->rules.empty()) return judge(trouble);
    if (!trouble.empty()) plan->warnings.push_back("Connections are not watched: " + trouble);
    judge({});
  };
  flow_watch_.end();
  const TableState present = kernel_.tables.state_of(redirect::watch_table);
  const bool listens = !plan->watch.empty() || plan->gate_logs;
  // Listened to before anything is logged.
  const std::string trouble = listens ? flow_watch_.begin(plan->options) : std::string();
  const auto again = [this, plan, attempts_left, judge] {
    after(loop_, predecessor_pause_ms,
          [this, plan, attempts_left, judge] { put_watch(plan, attempts_left - 1, judge); });
  };
  const bool may_try_again = !has_put_ && attempts_left > 0;
  if (!trouble.empty()) return may_try_again ? again() : settle_for(trouble);
  if (plan->watch.empty() && present == TableState::absent) return settle_for({});
  nft_->run(redirect::on_one_line(redirect::replace_watch(*plan, present)),
            [settle_for, again, may_try_again, present](const std::string& complaint) {
              if (!complaint.empty() && present == TableState::owned && may_try_again) return again();
              settle_for(complaint);
            });
}

void Fitter::run_programs(std::vector<redirect::ProgramStep> steps, std::size_t at, bool before_failed, Judge judge) {
  while (at < steps.size() && steps[at].when == redirect::ProgramStep::When::if_the_one_before_failed && !before_failed)
    ++at;
  if (at >= steps.size()) return judge({});
  std::vector<std::string> arguments = steps[at].arguments;
  std::string input = steps[at].input;
  run_program(loop_, std::move(arguments), std::move(input), complaint_octets_max,
              [this, steps = std::move(steps), at, judge = std::move(judge)](ProgramEnd end) mutable {
                if (!end.succeeded && !steps[at].may_fail) return judge(steps[at].arguments[0] + ": " + end.complaint);
                run_programs(std::move(steps), at + 1, !end.succeeded, std::move(judge));
              });
}

// ── take away ────────────────────────────────────────────────────────────────────────────────────────────────────────

void Fitter::take_away(std::shared_ptr<const Plan> plan, Memory memory, Judge judge) {
  has_put_ = false;
  auto judged = [this, plan, judge = std::move(judge)](std::string complaint) {
    if (plan != nullptr) {
      undo_routing(*plan);
      forget_flows(*plan, Conntrack::Which::redirected);
    }
    judge(std::move(complaint));
  };
  if (plan != nullptr && plan->tool == redirect::Tool::iptables)
    return run_programs(plan->programs_undo, 0, false, std::move(judged));
  flow_watch_.end();
  NfTables& tables = kernel_.tables;
  std::string script = redirect::remove_table(redirect::rules_table, tables.state_of(redirect::rules_table));
  script += redirect::remove_table(redirect::watch_table, tables.state_of(redirect::watch_table));
  const TableState gate = tables.state_of(redirect::gate_table);
  if (memory == Memory::forget) {
    script += redirect::remove_table(redirect::gate_table, gate);
    script += redirect::remove_table(redirect::seen_table, tables.state_of(redirect::seen_table));
  } else if (gate != TableState::absent) {
    script += redirect::nft_open_gate();
  }
  // Never inside the call that asked.
  if (script.empty() || nft_ == nullptr) return after(loop_, 0, [judged = std::move(judged)] { judged({}); });
  nft_->run(redirect::on_one_line(script), std::move(judged));
}

void Fitter::undo_routing(const Plan& plan) {
  for (const auto& step : plan.rule_steps) static_cast<void>(kernel_.routing.remove(step));
  for (const auto& step : plan.route_steps) static_cast<void>(kernel_.routing.remove(step));
}

void Fitter::drop_old_routes(const Plan& former, const Plan& plan) {
  for (const auto& step : former.rule_steps)
    if (!has(plan.rule_steps, step)) static_cast<void>(kernel_.routing.remove(step));
  for (const auto& step : former.route_steps)
    if (!has(plan.route_steps, step)) static_cast<void>(kernel_.routing.remove(step));
}

/// In `tproxy` a flow does not show whether it was brought home, and no answer needs it: all are forgotten.
void Fitter::forget_flows(const Plan& plan, Conntrack::Which which) {
  if (!redirect::intercepts(plan.options.mode)) return;
  if (plan.options.mode != redirect::Mode::nat) which = Conntrack::Which::all;
  // Without conntrack there are no flows that remember anything.
  static_cast<void>(kernel_.conntrack.forget(plan.options.ports, which, plan.options.nat_port));
}

void Fitter::end_nft() {
  if (nft_ != nullptr) nft_->end();
}

void Fitter::close() {
  flow_watch_.close();
  nft_.reset();
}

}  // namespace doline::warden

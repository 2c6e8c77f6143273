#include "warden/fitter.h"

#include <cstring>
#include <utility>

#include "redirect/gate_rules.h"
#include "redirect/nft_rules.h"
#include "warden/inspection.h"
#include "warden/jobs.h"

namespace doline::warden {

using redirect::Plan;
using redirect::TableState;

namespace {

/// For a warden before us, or a table whose nft was killed, to be on its way out.
constexpr auto attempt_pause_ms = static_cast<std::uint64_t>(claim_tried_every.count());
constexpr auto attempts_max = static_cast<int>(claim_patience / claim_tried_every);
/// By as many nft at most.
constexpr int removals_max = 2;

}  // namespace

Fitter::Fitter(uv_loop_t* loop, const std::string& nft, int flows, KernelAccess& kernel, Claim& claim,
               std::function<void()> nft_died)
    : loop_(loop), kernel_(kernel), flow_watch_(loop, flows), claim_(claim) {
  if (nft.empty()) return;
  nft_ = std::make_unique<NftShell>(loop, nft, std::move(nft_died));
}

// ── put ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

void Fitter::put(const std::shared_ptr<Plan>& plan, Judge judge) {
  await(
      attempts_max, [this] { return is_our_turn(); },
      [this, plan, judge = std::move(judge)] {
        if (is_our_turn()) return put_all(plan, judge);
        // Whoever is still there after that is no predecessor.
        std::string who = "another Doline has a redirect on this machine";
        for (const char* table : {redirect::watch_table, redirect::rules_table})
          if (kernel_.tables.state_of(table) == TableState::owned)
            who = "table inet " + std::string(table) + " belongs to another process (another Doline?)";
        judge(who +
              ": `ps -C doline-warden` shows it. Only one at a time can have a redirect here: end that one, or "
              "run this one without `redirect:`");
      });
}

/// A warden that was killed with its heir claims nothing, and its nft still ends.
bool Fitter::is_our_turn() {
  return placed_ != nullptr || (kernel_.tables.state_of(redirect::rules_table) != TableState::owned &&
                                kernel_.tables.state_of(redirect::watch_table) != TableState::owned && claim_.take());
}

void Fitter::await(int attempts_left, std::function<bool()> condition, std::function<void()> then) {
  if (attempts_left == 0 || condition()) return then();
  after(loop_, attempt_pause_ms, [this, attempts_left, condition = std::move(condition), then = std::move(then)] {
    if (!is_closed_) await(attempts_left - 1, condition, then);
  });
}

void Fitter::put_all(const std::shared_ptr<Plan>& plan, Judge judge) {
  const Routes missing = missing_of(*plan);
  // What was there before is untouched, or there again.
  auto judged = [this, plan, missing, judge](std::string complaint) {
    if (complaint.empty()) {
      Routes former = placed_ != nullptr ? routes_of(*placed_) : Routes{};
      // One that was killed may have served other interfaces, or been an older one, whose rule is for all of them. The
      // kernel takes that for the first of those that remain, which it is.
      for (auto& left : kernel_.routing.rules_of(plan->options.kernel)) former.rules.push_back(std::move(left));
      remove(former, plan.get());
      placed_ = plan;
    } else {
      remove(missing, placed_.get());
      if (placed_ == nullptr) claim_.give_back();
    }
    judge(std::move(complaint));
  };
  if (std::string complaint = add(missing); !complaint.empty()) return judged(std::move(complaint));
  // Somebody may have done his part and failed, or been killed, after it.
  auto take_back = [this, plan, judge](const std::string& complaint) {
    placed_ = plan;
    take_away(Memory::keep, [judge, complaint](const std::string&) { judge(complaint); });
  };
  if (plan->tool == redirect::Tool::iptables)
    return run_programs(plan->programs, 0, false, [this, judged, take_back](const std::string& complaint) {
      if (complaint.empty()) return judged({});
      if (placed_ == nullptr) return take_back(complaint);
      run_programs(placed_->programs, 0, false, [judged, complaint](const std::string&) { judged(complaint); });
    });
  const auto is_there = [this] { return kernel_.tables.state_of(redirect::rules_table) != TableState::absent; };
  put_rules(plan, [this, judged, take_back, is_there, was_there = is_there()](const std::string& complaint) {
    if (!complaint.empty() && placed_ == nullptr && !was_there && is_there()) return take_back(complaint);
    judged(complaint);
  });
}

Fitter::Routes Fitter::missing_of(const Plan& plan) {
  return {kernel_.routing.missing_of(plan.route_steps), kernel_.routing.missing_of(plan.rule_steps)};
}

std::string Fitter::add(const Routes& steps) {
  auto add_all = [this](const auto& of_a_kind) -> std::string {
    for (const auto& step : of_a_kind)
      if (const auto added = kernel_.routing.add(step); !added)
        return std::string("policy routing: ") + std::strerror(added.error().error);
    return {};
  };
  std::string complaint = add_all(steps.routes);
  return complaint.empty() ? add_all(steps.rules) : complaint;
}

void Fitter::remove(const Routes& steps, const Plan* but_for) {
  const Routes kept = but_for == nullptr ? Routes{} : routes_of(*but_for);
  for (const auto& step : without(steps.rules, kept.rules)) static_cast<void>(kernel_.routing.remove(step));
  for (const auto& step : without(steps.routes, kept.routes)) static_cast<void>(kernel_.routing.remove(step));
}

Result<bool, std::string> Fitter::put_lost_routes() {
  if (placed_ == nullptr) return false;
  const Routes missing = missing_of(*placed_);
  if (missing.routes.empty() && missing.rules.empty()) return false;
  if (std::string complaint = add(missing); !complaint.empty()) return fail(std::move(complaint));
  return true;
}

/// One transaction. After close() there is nobody to do it.
void Fitter::run_nft(const std::string& script, Judge judge) {
  if (nft_ != nullptr) return nft_->run(redirect::on_one_line(script), std::move(judge));
  after(loop_, 0, [judge = std::move(judge)] { judge("there is no nft"); });
}

void Fitter::put_rules(const std::shared_ptr<Plan>& plan, Judge judge) {
  const TableState present = kernel_.tables.state_of(redirect::rules_table);
  run_nft(redirect::replace_rules(*plan, present), [this, plan, judge = std::move(judge)](std::string complaint) {
    if (!complaint.empty()) return judge(std::move(complaint));
    put_memory(*plan, [this, plan, judge](const std::string& trouble) {
      if (!trouble.empty()) plan->warnings.push_back("Who asks whom while Doline is away is not kept: " + trouble);
      put_gate(*plan, [this, plan, judge](const std::string& why) {
        if (!why.empty()) plan->warnings.push_back("No device is restricted: " + why);
        put_watch(plan, judge);
      });
    });
  });
}

void Fitter::put_memory(const Plan& plan, Judge judge) {
  run_nft(plan.seen, std::move(judge));
}

void Fitter::put_gate(const Plan& plan, Judge judge) {
  const std::string script =
      plan.gate.empty() ? redirect::remove_table(redirect::gate_table, kernel_.tables.state_of(redirect::gate_table))
                        : plan.gate;
  if (script.empty()) return judge({});
  // Listened to before anything is logged.
  if (plan.gate_logs && !flow_watch_.is_listening())
    if (std::string trouble = flow_watch_.begin(plan.options); !trouble.empty()) return judge(std::move(trouble));
  run_nft(script, [this, judge = std::move(judge)](std::string complaint) {
    static_cast<void>(kernel_.gate.stay_alive());  // there may be no table now
    judge(std::move(complaint));
  });
}

/// Where there is more to do than to watch, that is done even if nothing can be watched.
void Fitter::put_watch(const std::shared_ptr<Plan>& plan, Judge judge) {
  auto settle_for = [this, plan, was_listening = flow_watch_.is_listening(),
                     judge = std::move(judge)](const std::string& trouble) {
    if (!trouble.empty()) flow_watch_.end();
    if (!trouble.empty() && plan->rules.empty()) {
      if (was_listening && placed_ != nullptr) static_cast<void>(flow_watch_.begin(placed_->options));
      return judge(trouble);
    }
    if (!trouble.empty()) plan->warnings.push_back("Connections are not watched: " + trouble);
    judge({});
  };
  flow_watch_.end();
  const TableState present = kernel_.tables.state_of(redirect::watch_table);
  const bool listens = !plan->watch.empty() || plan->gate_logs;
  // Listened to before anything is logged.
  if (listens)
    if (const std::string trouble = flow_watch_.begin(plan->options); !trouble.empty()) return settle_for(trouble);
  if (plan->watch.empty() && present == TableState::absent) return settle_for({});
  run_nft(redirect::replace_watch(*plan, present), settle_for);
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

void Fitter::take_away(Memory memory, Judge judge) {
  // What is there may be that of who came next.
  if (placed_ == nullptr && !claim_.take()) return after(loop_, 0, [judge = std::move(judge)] { judge({}); });
  auto are_away = [this, judge](std::string complaint) {
    if (const auto placed = std::exchange(placed_, nullptr); placed != nullptr) {
      remove(routes_of(*placed));
      forget_flows(*placed, Conntrack::Which::redirected);
    }
    claim_.give_back();
    judge(std::move(complaint));
  };
  if (placed_ != nullptr && placed_->tool == redirect::Tool::iptables)
    return run_programs(placed_->programs_undo, 0, false, [this, are_away, judge](const std::string&) {
      list_rules(loop_, {}, placed_.get(), [are_away, judge](const std::string& left) {
        if (left.empty()) return are_away({});
        judge("iptables has kept our chains, and so their routes stay: does another program hold its lock?");
      });
    });
  flow_watch_.end();
  take_tables_away(memory, removals_max, [this, are_away, judge](const std::string& complaint) {
    const bool stays = !complaint.empty() && placed_ != nullptr &&
                       kernel_.tables.state_of(redirect::rules_table) != TableState::absent;
    stays ? judge(complaint) : are_away(complaint);
  });
}

void Fitter::take_tables_away(Memory memory, int attempts_left, Judge judge) {
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
  if (script.empty()) return after(loop_, 0, [judge = std::move(judge)] { judge({}); });
  run_nft(script, [this, memory, attempts_left, judge = std::move(judge)](std::string complaint) {
    if (complaint.empty() || attempts_left == 1 || placed_ == nullptr) return judge(std::move(complaint));
    // Whoever tells us to end may have told nft too: another one does what is left. A table that is its own goes with
    // it.
    end_nft();
    await(
        attempts_max, [this] { return kernel_.tables.state_of(redirect::rules_table) != TableState::owned; },
        [this, memory, attempts_left, judge] { take_tables_away(memory, attempts_left - 1, judge); });
  });
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
  is_closed_ = true;
  flow_watch_.close();
  nft_.reset();
}

}  // namespace doline::warden

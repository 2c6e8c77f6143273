// Fitter: carries a plan out on this machine, and takes it away again: routes, rules, gate, what is logged, and the
// flows that the kernel remembers. It does what it is told and decides nothing: when, and what follows from success or
// failure, is the warden's.
//
// Holds the nft whose life is the owner table's life. Lives on the warden's loop; one call at a time, each ends with
// its callback, never inside the call unless said.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "redirect/plan.h"
#include "warden/claim.h"
#include "warden/flow_watch.h"
#include "warden/kernel_access.h"
#include "warden/program.h"

namespace doline::warden {

class Fitter {
 public:
  /// Empty: it is done. May be called inside the call where there is nothing to do.
  using Judge = std::function<void(std::string complaint)>;
  /// Of who asked whom, and of what the gate has admitted.
  enum class Memory : std::uint8_t { keep, forget };

  /// `nft`: its path; empty: there is none. `flows`: Channels::flows. `nft_died`: and what it owned is gone. `kernel`
  /// and `claim` outlive this.
  Fitter(uv_loop_t* loop, const std::string& nft, int flows, KernelAccess& kernel, Claim& claim,
         std::function<void()> nft_died);
  Fitter(const Fitter&) = delete;
  Fitter& operator=(const Fitter&) = delete;

  /// In the place of whatever rules there are, but after a warden before us that is on its way out: it has five
  /// seconds, and who is there still stays. What cannot be done beside the rules is added to the plan's warnings. After
  /// a complaint all is as it was.
  void put(const std::shared_ptr<redirect::Plan>& plan, Judge judge);
  /// The gate as the plan has it, in the place of what is there.
  void put_gate(const redirect::Plan& plan, Judge judge);
  /// What only logs, as the plan has it, in the place of what is there.
  void put_watch(const std::shared_ptr<redirect::Plan>& plan, Judge judge);
  /// `doline_seen`, which somebody has removed.
  void put_memory(const redirect::Plan& plan, Judge judge);
  /// What somebody has removed of the routes that are in place; whether there was any. At once.
  Result<bool, std::string> put_lost_routes();
  /// What is in place, and the flows that were led here; where nothing is, what a killed Doline has left, unless
  /// another one lives. Rules that cannot be taken away keep their routes: without them what they catch would go
  /// nowhere.
  void take_away(Memory memory, Judge judge);
  /// Whether rules or routes of ours are in place, or may be.
  [[nodiscard]] bool has_placed() const { return placed_ != nullptr; }
  /// Flows from before a change keep going the way they went: forgotten, they are judged anew.
  void forget_flows(const redirect::Plan& plan, Conntrack::Which which);

  /// Kills nft, and with it goes what it owns; what was under way fails.
  void end_nft();
  /// Lets go of the loop.
  void close();

 private:
  struct Routes {
    std::vector<redirect::RouteStep> routes;
    std::vector<redirect::RuleStep> rules;
  };

  bool is_our_turn();
  void await(int attempts_left, std::function<bool()> condition, std::function<void()> then);
  void put_all(const std::shared_ptr<redirect::Plan>& plan, Judge judge);
  static Routes routes_of(const redirect::Plan& plan) { return {plan.route_steps, plan.rule_steps}; }
  Routes missing_of(const redirect::Plan& plan);
  std::string add(const Routes& steps);
  void remove(const Routes& steps, const redirect::Plan* but_for = nullptr);
  void run_nft(const std::string& script, Judge judge);
  void take_tables_away(Memory memory, int attempts_left, Judge judge);
  void put_rules(const std::shared_ptr<redirect::Plan>& plan, Judge judge);
  void run_programs(std::vector<redirect::ProgramStep> steps, std::size_t at, bool before_failed, Judge judge);

  uv_loop_t* loop_;
  KernelAccess& kernel_;
  FlowWatch flow_watch_;
  Claim& claim_;
  std::unique_ptr<NftShell> nft_;
  // Rules and routes of ours may be there, and no others: from a put that was done until all is taken away.
  std::shared_ptr<const redirect::Plan> placed_;
  bool is_closed_ = false;
};

}  // namespace doline::warden

#include "warden/warden.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "redirect/host_facts.h"
#include "redirect/interference.h"
#include "redirect/plan.h"
#include "redirect/request.h"
#include "warden/claim.h"
#include "warden/fitter.h"
#include "warden/heir.h"
#include "warden/inspection.h"
#include "warden/jobs.h"
#include "warden/kernel_access.h"
#include "warden/privileges.h"
#include "warden/reception.h"
#include "warden/routing_watch.h"
#include "warden/say.h"
#include "warden/trial.h"
#include "warden/uv_handle.h"

namespace doline::warden {

namespace {

using redirect::Plan;
using redirect::State;
using Finish = Jobs::Finish;
using Memory = Fitter::Memory;
using Answer = std::function<void(redirect::Reply)>;

/// How long a farewell may take; then nft is killed, and what it owns is gone that way.
constexpr std::uint64_t farewell_ms = 2'000;
/// What else touches DNS is looked for anew so often.
constexpr std::uint64_t interference_period_ms = 60'000;
/// The same of what makes a trap of the rules: nobody tells of it.
constexpr std::uint64_t trap_period_ms = 1'000;
/// Rules that somebody removed, or that died with nft, are put back; not more often than this.
constexpr std::uint64_t reapply_pause_ms = 5'000;
constexpr std::uint64_t routes_pause_ms = 20;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

redirect::Reply done_unless(const std::string& complaint) {
  if (complaint.empty()) return redirect::Done{};
  return redirect::Failed{lines_of(complaint)};
}

/// Do both bring home the very same queries, to the very same place?
bool catch_the_same(const redirect::Options& one, const redirect::Options& other) {
  return one.mode == other.mode && one.interfaces == other.interfaces && one.ports == other.ports &&
         one.exempt == other.exempt && one.nat_port == other.nat_port && one.kernel.mark == other.kernel.mark;
}

bool is_within(const Bounds& bounds, const redirect::Options& options) {
  if (bounds.ports.empty() || options.mode == redirect::Mode::off) return true;
  return options.nat_port == bounds.nat_port &&
         std::all_of(options.ports.begin(), options.ports.end(), [&](std::uint16_t port) {
           return std::find(bounds.ports.begin(), bounds.ports.end(), port) != bounds.ports.end();
         });
}

/// The states of the redirect, and what leads from one to another:
///
///   absent ── apply ──> applied ── silence ──> suspended ── heard ──> lost ── put back ──> applied
///                       applied ── somebody or something took the rules away, or they became a trap ──> lost
///   any of them ── remove, or a trial that is over and nothing was before ──> absent
///
/// Whatever changes them is a job, and jobs are done one at a time.
class Warden {
 public:
  Warden(uv_loop_t* loop, const Channels& channels, const Bounds& bounds, const redirect::HostFacts& facts,
         bool has_privilege, Claim& claim, Heir& heir);
  void run() { uv_run(loop_, UV_RUN_DEFAULT); }

 private:
  // what is asked
  void carry_out(const redirect::Numbered<redirect::Request>& request);
  void apply_wanted(const redirect::Apply& wanted, Answer done);
  void confirm(Answer done);
  void remove_for_good(Answer done);
  void restrict(const redirect::Restrictions& restrictions, Answer done);
  void verify(Answer done);
  redirect::StatusReply status();
  redirect::Reply seen();

  // from state to state
  void apply(const redirect::Options& options, redirect::Standing standing, Answer done);
  void tell_heir(redirect::Options options, redirect::Standing standing);
  [[nodiscard]] redirect::Standing standing_now() const {
    return trial_.is_pending() ? redirect::Standing::on_trial : redirect::Standing::for_good;
  }
  void settle(const std::shared_ptr<Plan>& plan, Answer done);
  void remove(Memory memory, std::function<void(std::string complaint)> done);
  void put_back_former(Finish finish);
  void suspend();
  void step_aside(State state, const std::string& reason);
  void lose(const std::string& reason);
  void put_back_soon();
  void put_back(Finish finish);

  // watching over it
  void beat();
  void check_silence();
  void look_around();
  void look_for_trap();
  void look_for_interference(std::function<void()> done);
  void look_for_tables();
  void look_for_chains();
  void look_for_routes_soon();
  void look_for_routes();
  void look_for_networks_soon();
  void look_for_networks(Finish finish);
  void nft_died();

  // the end
  void leave();
  void say_goodbye();
  void close_everything();

  template <void (Warden::*call)()>
  void every(uv_timer_t& timer, std::uint64_t period_ms) {
    uv_timer_start(&timer, [](uv_timer_t* due) { (static_cast<Warden*>(due->data)->*call)(); }, period_ms, period_ms);
  }
  void stay_alive();

  uv_loop_t* loop_;
  const Bounds bounds_;
  const bool has_privilege_;
  Heir& heir_;
  const std::string nft_path_;
  KernelAccess kernel_;
  Reception reception_;
  Fitter fitter_;
  RoutingWatch routing_watch_;
  Trial trial_;
  Jobs jobs_;
  uv_signal_t terminate_{};
  uv_timer_t silence_{}, interference_timer_{}, trap_timer_{}, alive_{}, farewell_{};
  bool is_leaving_ = false;
  bool will_look_for_routes_ = false, will_look_for_networks_ = false;
  bool was_silent_ = false;
  bool was_held_ = true;  // the gate, when it was last told that we live

  State state_ = State::absent;
  std::shared_ptr<const Plan> plan_;  // of what is applied, suspended or lost
  redirect::Restrictions restrictions_;
  std::string listed_;                 // the rules as nft lists them, right after they were applied
  std::string reason_, lost_because_;  // of suspended or lost; of the latter, without what came after
  std::uint64_t applied_at_ms_ = 0, reapplied_at_ms_ = 0;
  std::uint64_t heard_at_ms_ = 0;
  std::vector<std::string> interference_;
};

Warden::Warden(uv_loop_t* loop, const Channels& channels, const Bounds& bounds, const redirect::HostFacts& facts,
               bool has_privilege, Claim& claim, Heir& heir)
    : loop_(loop),
      bounds_(bounds),
      has_privilege_(has_privilege),
      heir_(heir),
      nft_path_(facts.nft),
      kernel_{.conntrack = {},
              .tables = {},
              .gate = Gate(facts.renews_elements() ? Renewal::by_adding : Renewal::by_replacing),
              .routing = {}},
      reception_(loop, channels, kernel_,
                 {.heard = [this] { beat(); },
                  .asked = [this](const redirect::Numbered<redirect::Request>& request) { carry_out(request); },
                  .ended = [this] { leave(); }}),
      fitter_(loop, nft_path_, channels.flows, kernel_, claim, [this] { nft_died(); }),
      routing_watch_(
          loop, [this] { look_for_routes_soon(); }, [this] { look_for_networks_soon(); }),
      trial_(loop, [this] {
        jobs_.add([this](Finish finish) {
          if (trial_.is_running()) return finish();  // begun again while this waited
          put_back_former(std::move(finish));
        });
      }) {
  uv_signal_init(loop, &terminate_);
  for (uv_timer_t* timer : {&silence_, &interference_timer_, &trap_timer_, &alive_, &farewell_}) {
    uv_timer_init(loop, timer);
    timer->data = this;
  }
  terminate_.data = this;
  uv_signal_start(&terminate_, [](uv_signal_t* signal, int) { static_cast<Warden*>(signal->data)->leave(); }, SIGTERM);
  heard_at_ms_ = uv_now(loop);
  every<&Warden::check_silence>(silence_, static_cast<std::uint64_t>(redirect::heartbeat_period.count()) / 4);
  every<&Warden::look_around>(interference_timer_, interference_period_ms);
  every<&Warden::look_for_trap>(trap_timer_, trap_period_ms);
  every<&Warden::stay_alive>(alive_, static_cast<std::uint64_t>(milliseconds(gate_renewed_every).count()));
}

// ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::carry_out(const redirect::Numbered<redirect::Request>& request) {
  const std::uint32_t number = request.number;
  if (jobs_.are_full()) return reception_.reply(number, redirect::Failed{{"too much is asked at once"}});
  /// A job that ends with its reply.
  const auto enqueue = [this, number](auto job) {
    jobs_.add([this, number, job = std::move(job)](Finish finish) {
      job([this, number, finish = std::move(finish)](redirect::Reply body) {
        reception_.reply(number, std::move(body));
        finish();
      });
    });
  };
  if (const auto* wanted = std::get_if<redirect::Apply>(&request.body)) {
    enqueue([this, wanted = *wanted](Answer done) { apply_wanted(wanted, std::move(done)); });
  } else if (std::holds_alternative<redirect::Confirm>(request.body)) {
    enqueue([this](Answer done) { confirm(std::move(done)); });
  } else if (const auto* restriction = std::get_if<redirect::Restrict>(&request.body)) {
    enqueue([this, restrictions = restriction->restrictions](Answer done) { restrict(restrictions, std::move(done)); });
  } else if (std::holds_alternative<redirect::Remove>(request.body)) {
    enqueue([this](Answer done) { remove_for_good(std::move(done)); });
  } else if (const auto* admit = std::get_if<redirect::Admit>(&request.body)) {
    enqueue([this, admissions = admit->admissions](const Answer& done) {
      static_cast<void>(kernel_.gate.admit(admissions));  // what the kernel does not take, the device asks for again
      done(redirect::Done{});
    });
  } else if (std::holds_alternative<redirect::Verify>(request.body)) {
    enqueue([this](Answer done) { verify(std::move(done)); });
  } else if (const auto* wanted_status = std::get_if<redirect::Status>(&request.body)) {
    look_for_tables();
    if (!wanted_status->looks_anew || state_ != State::applied) return reception_.reply(number, status());
    look_for_chains();
    enqueue([this](Answer done) { look_for_interference([this, done = std::move(done)] { done(status()); }); });
  } else if (std::holds_alternative<redirect::Seen>(request.body)) {
    reception_.reply(number, seen());
  } else if (std::holds_alternative<redirect::Refused>(request.body)) {
    reception_.reply(number, kernel_.tables.refused());
  }
}

void Warden::apply_wanted(const redirect::Apply& wanted, Answer done) {
  const bool is_trial = wanted.trial_seconds > 0;
  Trial::Former former;
  if (plan_ != nullptr) former.options = plan_->options;
  former.had_memory = kernel_.tables.state_of(redirect::seen_table) != redirect::TableState::absent;
  auto judged = [this, former = std::move(former), time = seconds(wanted.trial_seconds), is_trial,
                 done = std::move(done)](redirect::Reply reply) {
    // What failed has changed nothing: a trial that is pending goes on.
    if (std::holds_alternative<redirect::Done>(reply)) {
      if (is_trial)
        trial_.begin(former, time);
      else
        trial_.end();
    }
    done(std::move(reply));
  };
  apply(wanted.options, is_trial ? redirect::Standing::on_trial : redirect::Standing::for_good, std::move(judged));
}

void Warden::confirm(Answer done) {
  if (!trial_.is_pending()) return done(redirect::Failed{{"no rules are on trial: there is nothing to confirm"}});
  // What cannot be confirmed is on trial still.
  auto judged = [this, done = std::move(done)](redirect::Reply reply) {
    if (std::holds_alternative<redirect::Done>(reply)) trial_.end();
    done(std::move(reply));
  };
  if (state_ != State::applied || plan_->options.on_failure == redirect::OnFailure::open)
    return judged(redirect::Done{});
  // What is to outlive us must not be ours: rules that fail closed are made anew.
  apply(plan_->options, redirect::Standing::for_good, std::move(judged));
}

void Warden::remove_for_good(Answer done) {
  trial_.end();
  remove(Memory::forget, [done = std::move(done)](const std::string& complaint) { done(done_unless(complaint)); });
}

void Warden::restrict(const redirect::Restrictions& restrictions, Answer done) {
  if (auto problems = redirect::find_problems(restrictions); !problems.empty())
    return done(redirect::Failed{std::move(problems)});
  restrictions_ = restrictions;
  kernel_.gate.hold(restrictions);
  if (plan_ == nullptr) return done(redirect::Done{});  // they come with the rules
  auto plan = std::make_shared<Plan>(*plan_);
  redirect::restrict(*plan, restrictions);
  const bool watches_anew = plan->watch != plan_->watch;
  plan_ = plan;
  if (state_ != State::applied) return done(redirect::Done{});
  if (plan->tool != redirect::Tool::nft)
    return done(restrictions.hold_flows() || !restrictions.must_not_encrypt.empty()
                    ? redirect::Reply(redirect::Failed{{"without nft no device can be restricted"}})
                    : redirect::Reply(redirect::Done{}));
  fitter_.put_gate(*plan, [this, plan, watches_anew, done = std::move(done)](const std::string& complaint) {
    if (!watches_anew) return done(done_unless(complaint));
    fitter_.put_watch(plan, [complaint, done](const std::string& trouble) {
      done(done_unless(complaint.empty() ? trouble : complaint));
    });
  });
}

redirect::StatusReply Warden::status() {
  redirect::StatusReply reply;
  reply.state = state_;
  reply.has_privilege = has_privilege_;
  reply.reason = reason_;
  if (plan_ != nullptr) reply.mode = plan_->options.mode;
  reply.trial_seconds_left = trial_.seconds_left();
  if (state_ == State::applied) {
    reply.applied_seconds_ago = (uv_now(loop_) - applied_at_ms_) / 1'000;
    reply.has_counters = plan_->tool == redirect::Tool::nft;
    reply.counters = kernel_.tables.counters();
    if (!plan_->gate.empty()) reply.gate = kernel_.tables.gate_counts();
    reply.gate.only_resolved = plan_->restrictions.only_resolved.size();
    reply.gate.observed = plan_->restrictions.observed.size();
    reply.gate.turned_away = kernel_.gate.turned_away();
    reply.interference = interference_;
  }
  return reply;
}

redirect::Reply Warden::seen() {
  if (kernel_.tables.state_of(redirect::seen_table) != redirect::TableState::absent) return kernel_.tables.seen();
  if (plan_ != nullptr && plan_->tool == redirect::Tool::iptables)
    return redirect::Failed{{"who asks whom is not remembered: that takes nft, and iptables stands in for it"}};
  return redirect::Failed{{"who asks whom is not remembered: no rules are in place that note it"}};
}

void Warden::verify(Answer done) {
  if (state_ != State::applied) {
    std::string why = "the redirect is " + std::string(redirect::to_string(state_));
    if (!reason_.empty()) why += ": " + reason_;
    return done(redirect::Failed{{std::move(why)}});
  }
  list_rules(loop_, nft_path_, plan_.get(), [this, done = std::move(done)](const std::string& listed) {
    if (plan_ == nullptr) return done(redirect::Failed{{"the redirect is absent"}});
    if (auto reasons = find_changes(*plan_, listed_, listed, kernel_); !reasons.empty())
      return done(redirect::Failed{std::move(reasons)});
    look_for_interference([this, done] { done(redirect::Done{interference_}); });
  });
}

// ── from state to state ──────────────────────────────────────────────────────────────────────────────────────────────

void Warden::apply(const redirect::Options& options, redirect::Standing standing, Answer done) {
  // Never take the other side's word: the plan is made, and its options are checked, here.
  redirect::HostFacts facts = redirect::gather_host_facts();
  facts.nft = nft_path_;  // which capabilities were kept depends on it: one installed since waits for the next start
  auto plan = std::make_shared<Plan>(redirect::plan(options, facts, restrictions_, standing));
  if (!is_within(bounds_, options))
    plan->problems.emplace_back("other ports are asked for than this Doline was started with: start it again");
  if (!has_privilege_) plan->problems.emplace_back("CAP_NET_ADMIN is missing");
  if (!plan->is_possible()) return done(redirect::Failed{plan->problems});
  if (plan->tool == redirect::Tool::none)
    return remove(Memory::forget,
                  [done = std::move(done)](const std::string& complaint) { done(done_unless(complaint)); });
  tell_heir(options, standing);
  fitter_.put(plan, [this, plan, done = std::move(done)](const std::string& complaint) {
    if (complaint.empty()) return settle(plan, done);
    if (!fitter_.has_placed())
      heir_.forget();
    else if (plan_ != nullptr)
      tell_heir(plan_->options, standing_now());
    done(redirect::Failed{lines_of(complaint)});
  });
}

void Warden::tell_heir(redirect::Options options, redirect::Standing standing) {
  // Rules on trial stay for nobody, whatever is to be when they are confirmed.
  if (standing == redirect::Standing::on_trial) options.on_failure = redirect::OnFailure::open;
  heir_.know(options);
}

void Warden::settle(const std::shared_ptr<Plan>& plan, Answer done) {
  const std::shared_ptr<const Plan> former = std::exchange(plan_, plan);
  const State state_before = std::exchange(state_, State::applied);
  const bool caught_the_same =
      state_before == State::applied && former != nullptr && catch_the_same(former->options, plan->options);
  reason_.clear();
  applied_at_ms_ = uv_now(loop_);
  if (former != nullptr && !caught_the_same && state_before == State::applied)
    fitter_.forget_flows(*former, Conntrack::Which::all);
  // Who is brought home already stays so: in `nat` its answer under way needs the flow.
  if (!caught_the_same) fitter_.forget_flows(*plan, Conntrack::Which::not_redirected);
  list_rules(loop_, nft_path_, plan_.get(), [this, plan, done = std::move(done)](std::string listed) {
    listed_ = std::move(listed);
    look_for_interference([this, plan, done] {
      std::vector<std::string> warnings = plan->warnings;
      for (const std::string& sentence : interference_)
        if (std::find(warnings.begin(), warnings.end(), sentence) == warnings.end()) warnings.push_back(sentence);
      done(redirect::Done{std::move(warnings)});
    });
  });
}

void Warden::remove(Memory memory, std::function<void(std::string)> done) {
  const State state_before = std::exchange(state_, State::absent);
  fitter_.take_away(memory, [this, state_before, done = std::move(done)](std::string complaint) {
    if (!complaint.empty()) say("not all could be taken away: " + complaint + "; `doline redirect remove` tries again");
    if (fitter_.has_placed()) {
      state_ = state_before;
    } else {
      plan_ = nullptr;
      reason_.clear();
      interference_.clear();
      listed_.clear();
      heir_.forget();
    }
    done(std::move(complaint));
  });
}

/// Nobody has confirmed in time: as it was before.
void Warden::put_back_former(Finish finish) {
  if (!trial_.is_pending()) return finish();  // decided while this waited
  const Trial::Former former = trial_.former();
  trial_.end();
  const std::string why = "the rules on trial were not confirmed in time";
  say(why + (former.options ? ": the former ones are put back" : ": they are removed"));
  auto finished = [this, why, finish = std::move(finish)] {
    reason_ = why;
    finish();
  };
  if (former.options && state_ == State::suspended) {
    // The rules are away; when the resolver is heard, the former ones come.
    auto plan = std::make_shared<Plan>(*plan_);
    plan->options = *former.options;
    plan_ = std::move(plan);
    return finished();
  }
  const Memory memory = former.had_memory ? Memory::keep : Memory::forget;
  auto clear = [this, memory, finished] { remove(memory, [finished](const std::string&) { finished(); }); };
  if (!former.options) return clear();
  apply(*former.options, redirect::Standing::for_good, [finished, clear](redirect::Reply reply) {
    // Nobody wants the rules that are there; better none than these.
    if (std::holds_alternative<redirect::Done>(reply)) return finished();
    clear();
  });
}

/// The resolver is stuck: its sockets are open, so the rules would still lead to it. With on_failure: closed nothing
/// else is wanted.
void Warden::suspend() {
  if (plan_->options.on_failure == redirect::OnFailure::closed) return;
  say("the resolver is silent: the redirect is taken away until it is heard");
  step_aside(State::suspended,
             "the resolver was silent for more than " + std::to_string(redirect::silence_max.count()) + " ms");
}

/// The rules are taken away, and kept in mind.
void Warden::step_aside(State state, const std::string& reason) {
  jobs_.add([this, state, reason](Finish finish) {
    const auto plan = plan_;
    if (plan == nullptr) return finish();
    remove(Memory::keep, [this, state, reason, plan, finish = std::move(finish)](const std::string&) {
      if (plan_ != nullptr) {
        heard_at_ms_ = uv_now(loop_);  // after as much silence it is tried again
        return finish();
      }
      plan_ = plan;
      state_ = state;
      reason_ = lost_because_ = reason;
      if (state == State::lost) put_back_soon();
      finish();
    });
  });
}

/// Somebody took the rules away.
void Warden::lose(const std::string& reason) {
  say(reason);
  state_ = State::lost;
  reason_ = lost_because_ = reason;
  // What tproxy brought home goes its own way now; what nat has redirected is still answered here.
  if (plan_->options.mode != redirect::Mode::nat) fitter_.forget_flows(*plan_, Conntrack::Which::all);
  put_back_soon();
}

/// Again and again, but not more often than every reapply_pause_ms.
void Warden::put_back_soon() {
  const std::uint64_t since = uv_now(loop_) - reapplied_at_ms_;
  const bool may_now = reapplied_at_ms_ == 0 || since > reapply_pause_ms;
  after(loop_, may_now ? 0 : reapply_pause_ms - since, [this] {
    if (state_ != State::lost || is_leaving_) return;
    reapplied_at_ms_ = uv_now(loop_);
    jobs_.add([this](Finish finish) { put_back(std::move(finish)); });
  });
}

void Warden::put_back(Finish finish) {
  if (state_ != State::lost) return finish();
  apply(plan_->options, standing_now(), [this, finish = std::move(finish)](redirect::Reply reply) {
    if (const auto* failed = std::get_if<redirect::Failed>(&reply); failed != nullptr && !failed->reasons.empty()) {
      reason_ = lost_because_;
      if (const std::string& why = failed->reasons.front(); why != lost_because_)
        reason_ += "; putting it back failed: " + why;
      put_back_soon();
    }
    finish();
  });
}

// ── watching over it ─────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::beat() {
  heard_at_ms_ = uv_now(loop_);
  if (state_ != State::suspended || is_leaving_) return;
  say("the resolver is heard again: the redirect is put back");
  state_ = State::lost;
  lost_because_ = reason_;
  jobs_.add([this](Finish finish) { put_back(std::move(finish)); });
}

void Warden::check_silence() {
  constexpr auto most = static_cast<std::uint64_t>(redirect::silence_max.count());
  // Found twice running: what came while we did not run ourselves is heard between.
  const bool is_silent = uv_now(loop_) - heard_at_ms_ > most;
  if (std::exchange(was_silent_, is_silent) && is_silent && state_ == State::applied && !jobs_.is_busy()) suspend();
}

void Warden::stay_alive() {
  if (state_ != State::applied || plan_->gate.empty()) return;
  const bool is_held = kernel_.gate.stay_alive();
  if (!is_held && was_held_) say("the kernel does not hold the gate any longer: it opens, unless it stays closed");
  was_held_ = is_held;
}

void Warden::look_around() {
  look_for_tables();
  look_for_chains();
  look_for_routes_soon();
  look_for_networks_soon();
  if (state_ == State::applied) look_for_interference([] {});
}

void Warden::look_for_trap() {
  if (state_ != State::applied || jobs_.is_busy() || is_leaving_ || !redirect::do_bridges_call_firewall()) return;
  if (plan_->options.on_failure == redirect::OnFailure::closed) return;  // nothing else is wanted
  // Before all facts are gathered, once a second.
  const auto& interfaces = plan_->options.interfaces;
  if (!redirect::is_transparent(plan_->options.mode) ||
      std::none_of(interfaces.begin(), interfaces.end(), redirect::is_bridge))
    return;
  const auto trap = redirect::find_trap(plan_->options, redirect::gather_host_facts());
  if (!trap) return;
  say("the redirect is taken away until it can be served: " + *trap);
  step_aside(State::lost, *trap);
}

/// `done` also where the rules have gone meanwhile.
void Warden::look_for_interference(std::function<void()> done) {
  find_interference(loop_, nft_path_, plan_, kernel_.routing,
                    [this, done = std::move(done)](std::vector<std::string> found) {
                      interference_ = std::move(found);
                      done();
                    });
}

/// A table that is not its maker's goes without a sound: doline_seen always, doline with on_failure: closed or on an
/// old kernel.
void Warden::look_for_tables() {
  if (jobs_.is_busy() || is_leaving_ || state_ != State::applied || plan_->tool != redirect::Tool::nft) return;
  NfTables& tables = kernel_.tables;
  if (is_gone(plan_->rules, redirect::rules_table, tables)) return lose("somebody removed table inet doline");
  if (is_gone(plan_->watch, redirect::watch_table, tables)) return lose("somebody removed table inet doline_watch");
  const auto judge = [](Finish finish, const char* sentence) {
    return [finish = std::move(finish), sentence](const std::string& complaint) {
      if (complaint.empty()) say(sentence);
      finish();
    };
  };
  if (is_gone(plan_->gate, redirect::gate_table, tables))
    jobs_.add([this, judge](Finish finish) {
      fitter_.put_gate(*plan_, judge(std::move(finish),
                                     "somebody removed table inet doline_gate; it is put back, and "
                                     "admits nobody yet"));
    });
  if (is_gone(plan_->seen, redirect::seen_table, tables))
    jobs_.add([this, judge](Finish finish) {
      fitter_.put_memory(*plan_, judge(std::move(finish),
                                       "somebody removed table inet doline_seen; it is put back, and has forgotten"));
    });
}

/// Chains of iptables are everybody's; whoever loads a firewall anew flushes them.
void Warden::look_for_chains() {
  if (is_leaving_ || state_ != State::applied || plan_->tool != redirect::Tool::iptables) return;
  jobs_.add([this](Finish finish) {
    if (state_ != State::applied || plan_->tool != redirect::Tool::iptables) return finish();
    list_rules(loop_, nft_path_, plan_.get(), [this, finish = std::move(finish)](const std::string& listed) {
      if (listed != listed_) lose("somebody changed or removed the chains of iptables");
      finish();
    });
  });
}

/// Those who flush policy rules flush many: they are looked at together.
void Warden::look_for_routes_soon() {
  if (std::exchange(will_look_for_routes_, true)) return;
  after(loop_, routes_pause_ms, [this] {
    will_look_for_routes_ = false;
    if (is_leaving_ || state_ != State::applied) return;
    jobs_.add([this](const Finish& finish) {
      look_for_routes();
      finish();
    });
  });
}

/// Without them what the rules have caught goes nowhere: the kernel drops it.
void Warden::look_for_routes() {
  if (state_ != State::applied) return;
  const auto were_lost = fitter_.put_lost_routes();
  const std::string what =
      "somebody removed policy rules or routes of table " + std::to_string(plan_->options.kernel.table);
  if (!were_lost) return lose(what + ", and they cannot be put back: " + were_lost.error());
  if (*were_lost) say(what + "; they are put back");
}

/// Addresses come in groups too.
void Warden::look_for_networks_soon() {
  if (plan_ != nullptr && !redirect::names_networks(*plan_)) return;
  if (std::exchange(will_look_for_networks_, true)) return;
  after(loop_, routes_pause_ms, [this] {
    will_look_for_networks_ = false;
    if (!is_leaving_) jobs_.add([this](Finish finish) { look_for_networks(std::move(finish)); });
  });
}

/// What is sent to a network that the rules do not name would be taken for foreign.
void Warden::look_for_networks(Finish finish) {
  if (state_ != State::applied || !redirect::names_networks(*plan_)) return finish();
  if (redirect::lan_networks(plan_->options, redirect::gather_host_facts()) == plan_->lan) return finish();
  apply(plan_->options, standing_now(), [finish = std::move(finish)](const redirect::Reply& reply) {
    const auto* failed = std::get_if<redirect::Failed>(&reply);
    say(failed == nullptr ? "the LAN's networks have changed: the rules are made anew"
        : failed->reasons.empty()
            ? "the LAN's networks have changed, and the rules cannot follow"
            : "the LAN's networks have changed, and the rules cannot follow: " + failed->reasons.front());
    finish();
  });
}

void Warden::nft_died() {
  if (is_leaving_ || state_ != State::applied || !plan_->owns_table) return;
  lose("nft, which held the rules, has ended");
}

// ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The resolver is gone, or we are told to go.
void Warden::leave() {
  if (is_leaving_) return;
  is_leaving_ = true;
  uv_timer_start(
      &farewell_,
      [](uv_timer_t* timer) {
        auto& warden = *static_cast<Warden*>(timer->data);
        warden.fitter_.end_nft();
        warden.close_everything();
      },
      farewell_ms, 0);
  jobs_.clear();
  jobs_.add([this](Finish) {
    if (trial_.is_pending()) return put_back_former([this] { say_goodbye(); });
    say_goodbye();
  });
}

void Warden::say_goodbye() {
  if (plan_ == nullptr || plan_->options.on_failure == redirect::OnFailure::closed) return close_everything();
  remove(Memory::keep, [this](const std::string&) { close_everything(); });
}

/// The loop ends when the last handle has.
void Warden::close_everything() {
  if (uv_is_closing(as_handle(farewell_)) != 0) return;
  for (uv_handle_t* handle : {as_handle(terminate_), as_handle(silence_), as_handle(interference_timer_),
                              as_handle(trap_timer_), as_handle(alive_), as_handle(farewell_)})
    uv_close(handle, nullptr);
  routing_watch_.close();
  trial_.close();
  reception_.close();
  fitter_.close();
}

}  // namespace

int run(const Channels& channels, const Bounds& bounds) {
  check(!channels.talk.empty());
  // A key pressed at the terminal, or whoever signals the resolver's group, ends the resolver, which then says goodbye
  // to us; for that we need nft, which hears of it as little as we do.
  static_cast<void>(setpgid(0, 0));
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NAME, "doline-warden", 0, 0, 0);
  const redirect::HostFacts facts = redirect::gather_host_facts();
  const bool has_privilege = keep_only(facts.nft.empty() ? Kept::rules_and_raw_sockets : Kept::rules);
  Claim claim;
  Heir heir;  // shares the claim
  heir.begin(channels);
  uv_loop_t loop;
  check(uv_loop_init(&loop) == 0);
  {
    Warden warden(&loop, channels, bounds, facts, has_privilege, claim, heir);
    warden.run();
  }
  check(uv_loop_close(&loop) == 0);
  return 0;
}

}  // namespace doline::warden

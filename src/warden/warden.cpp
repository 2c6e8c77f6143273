#include "warden/warden.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "redirect/host_facts.h"
#include "redirect/interference.h"
#include "redirect/nft_rules.h"
#include "redirect/origin.h"
#include "redirect/plan.h"
#include "redirect/request.h"
#include "warden/conntrack.h"
#include "warden/flow_watch.h"
#include "warden/nf_tables.h"
#include "warden/privileges.h"
#include "warden/program.h"
#include "warden/routing.h"
#include "warden/trial.h"
#include "warden/uv_handle.h"

namespace doline::warden {

namespace {

using redirect::Plan;
using redirect::State;
using redirect::TableState;

/// How long a farewell may take; then nft is killed, and what it owns is gone that way.
constexpr std::uint64_t farewell_ms = 2'000;
/// Somebody else owns a table of our name: a warden before us that is on its way out.
constexpr std::uint64_t predecessor_pause_ms = 200;
constexpr int predecessor_attempts = 10;
/// What else touches DNS is looked for anew so often.
constexpr std::uint64_t interference_period_ms = 60'000;
/// Rules that somebody removed, or that died with nft, are put back; not more often than this.
constexpr std::uint64_t reapply_pause_ms = 5'000;
/// Requests that wait for the one under way. An honest resolver has one or two.
constexpr std::size_t jobs_max = 64;

void say(const std::string& sentence) {
  std::fprintf(stderr, "doline warden: %s\n", sentence.c_str());
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
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

class Warden {
 public:
  Warden(uv_loop_t* loop, const Channels& channels, const Bounds& bounds, const redirect::HostFacts& facts,
         bool has_privilege);
  void run() { uv_run(loop_, UV_RUN_DEFAULT); }

 private:
  struct Channel {
    Warden* warden;
    int descriptor;
    uv_poll_t poll{};
  };
  /// Done with a job: the next may begin.
  using Finish = std::function<void()>;
  using Judge = std::function<void(std::string complaint)>;

  // the channels
  void read(Channel& channel);
  void read_request(std::span<const std::uint8_t> octets);
  void read_questions(int descriptor, std::span<const std::uint8_t> octets);
  void reply(std::uint32_t number, redirect::Reply body);

  // jobs: one at a time, in order
  void enqueue(std::function<void(Finish)> job);
  void begin_next();

  // what is asked
  void carry_out(const redirect::Apply& wanted, std::function<void(redirect::Reply)> done);
  void confirm(std::function<void(redirect::Reply)> done);
  void apply(const redirect::Options& options, redirect::Standing standing, std::function<void(redirect::Reply)> done);
  void put_rules(const std::shared_ptr<Plan>& plan, int attempts_left, Judge judge);
  void put_watch(const std::shared_ptr<Plan>& plan, int attempts_left, Judge judge);
  void settle(const std::shared_ptr<Plan>& plan, std::function<void(redirect::Reply)> done);
  void verify(std::function<void(redirect::Reply)> done);
  [[nodiscard]] Trial::Former in_force();
  redirect::StatusReply status();
  void look_for_interference(std::function<void(std::vector<std::string>)> done);
  void list_rules(std::function<void(std::string)> done);

  // taking away
  enum class Memory : std::uint8_t { keep, forget };
  void remove(Memory memory, std::function<void(std::vector<std::string> complaints)> done);
  void undo_routing(const Plan& plan);
  void forget_flows(const Plan& plan, Conntrack::Which which);
  void run_programs(std::vector<redirect::ProgramStep> steps, std::size_t at, bool before_failed, Judge judge);

  // watching over it
  void put_back_former(Finish finish);
  void beat();
  void check_silence();
  void look_for_tables();
  void nft_died();
  void put_back_soon();
  void put_back(Finish finish);
  void lose(const std::string& reason);
  void suspend();
  void leave();
  void say_goodbye();
  void after(std::uint64_t delay_ms, std::function<void()> call);
  void close_everything();

  uv_loop_t* loop_;
  const Bounds bounds_;
  bool has_privilege_;
  std::vector<std::unique_ptr<Channel>> channels_;
  uv_signal_t terminate_{};
  uv_timer_t silence_{}, interference_timer_{}, farewell_{};
  Trial trial_;
  std::vector<std::uint8_t> room_;

  Conntrack conntrack_;
  NfTables tables_;
  Routing routing_;
  FlowWatch flow_watch_;
  std::unique_ptr<NftShell> nft_;
  std::string nft_path_;

  std::deque<std::function<void(Finish)>> jobs_;
  bool is_busy_ = false;
  bool is_leaving_ = false;

  State state_ = State::absent;
  std::shared_ptr<const Plan> plan_;   // of what is applied, suspended or lost
  std::string listed_;                 // the rules as nft lists them, right after they were applied
  std::string reason_, lost_because_;  // of suspended or lost; of the latter, without what came after
  std::uint64_t applied_at_ms_ = 0, reapplied_at_ms_ = 0;
  std::uint64_t heard_at_ms_ = 0;
  std::vector<std::string> interference_;
};

Warden::Warden(uv_loop_t* loop, const Channels& channels, const Bounds& bounds, const redirect::HostFacts& facts,
               bool has_privilege)
    : loop_(loop),
      bounds_(bounds),
      has_privilege_(has_privilege),
      trial_(loop, [this] { enqueue([this](Finish finish) { put_back_former(std::move(finish)); }); }),
      room_(redirect::message_octets_max),
      flow_watch_(loop, channels.flows),
      nft_path_(facts.nft) {
  if (!nft_path_.empty()) nft_ = std::make_unique<NftShell>(loop, nft_path_, [this] { nft_died(); });
  for (const int descriptor : channels.talk) {
    channels_.push_back(std::make_unique<Channel>(Channel{this, descriptor}));
    Channel& channel = *channels_.back();
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    uv_poll_init(loop, &channel.poll, descriptor);
    channel.poll.data = &channel;
    uv_poll_start(&channel.poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
      auto& ready = *static_cast<Channel*>(poll->data);
      ready.warden->read(ready);
    });
  }
  uv_signal_init(loop, &terminate_);
  uv_timer_init(loop, &silence_);
  uv_timer_init(loop, &interference_timer_);
  uv_timer_init(loop, &farewell_);
  for (uv_handle_t* handle :
       {as_handle(terminate_), as_handle(silence_), as_handle(interference_timer_), as_handle(farewell_)})
    handle->data = this;
  uv_signal_start(
      &terminate_, [](uv_signal_t* signal, int) { static_cast<Warden*>(signal->data)->leave(); }, SIGTERM);
  heard_at_ms_ = uv_now(loop);
  constexpr auto period = static_cast<std::uint64_t>(redirect::heartbeat_period.count()) / 4;
  uv_timer_start(
      &silence_, [](uv_timer_t* timer) { static_cast<Warden*>(timer->data)->check_silence(); }, period, period);
  uv_timer_start(
      &interference_timer_,
      [](uv_timer_t* timer) {
        auto& warden = *static_cast<Warden*>(timer->data);
        warden.look_for_tables();
        if (warden.state_ == State::applied)
          warden.look_for_interference(
              [&warden](std::vector<std::string> found) { warden.interference_ = std::move(found); });
      },
      interference_period_ms, interference_period_ms);
}

// ── the channels ─────────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::read(Channel& channel) {
  const bool is_control = &channel == channels_.front().get();
  for (;;) {
    const ssize_t size = recv(channel.descriptor, room_.data(), room_.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      // A worker that closed its channel has ended; the control channel ends with the resolver.
      uv_poll_stop(&channel.poll);
      if (is_control) leave();
      return;
    }
    const std::span<const std::uint8_t> octets(room_.data(), static_cast<std::size_t>(size));
    if (is_control)
      read_request(octets);
    else
      read_questions(channel.descriptor, octets);
  }
}

void Warden::read_request(std::span<const std::uint8_t> octets) {
  beat();
  const auto request = redirect::parse_request(octets);
  if (!request) {
    say("a request is " + std::string(redirect::to_string(request.error())) + " and was passed over");
    return;
  }
  const std::uint32_t number = request->number;
  if (jobs_.size() >= jobs_max) return reply(number, redirect::Failed{{"too much is asked at once"}});
  auto answer = [this, number](Finish finish) {
    return [this, number, finish = std::move(finish)](redirect::Reply body) {
      reply(number, std::move(body));
      finish();
    };
  };
  if (const auto* wanted = std::get_if<redirect::Apply>(&request->body)) {
    enqueue([this, wanted = *wanted, answer](Finish finish) { carry_out(wanted, answer(std::move(finish))); });
  } else if (std::holds_alternative<redirect::Confirm>(request->body)) {
    enqueue([this, answer](Finish finish) { confirm(answer(std::move(finish))); });
  } else if (std::holds_alternative<redirect::Remove>(request->body)) {
    enqueue([this, answer](Finish finish) {
      trial_.end();
      remove(Memory::forget, [done = answer(std::move(finish))](std::vector<std::string> complaints) {
        if (complaints.empty())
          done(redirect::Done{});
        else
          done(redirect::Failed{std::move(complaints)});
      });
    });
  } else if (std::holds_alternative<redirect::Verify>(request->body)) {
    enqueue([this, answer](Finish finish) { verify(answer(std::move(finish))); });
  } else if (std::holds_alternative<redirect::Status>(request->body)) {
    look_for_tables();
    reply(number, status());
  } else if (std::holds_alternative<redirect::Seen>(request->body)) {
    reply(number, tables_.seen());
  }
}

void Warden::read_questions(int descriptor, std::span<const std::uint8_t> octets) {
  const auto questions = redirect::parse_origin_questions(octets);
  if (!questions) return;
  std::vector<redirect::OriginAnswer> answers;
  for (const redirect::OriginQuestion& question : *questions)
    answers.push_back({question.ticket, conntrack_.origin_of(question)});
  const auto packet = redirect::write_origin_answers(answers);
  // Fits: origins_in_flight_max. A worker that does not read has stopped.
  static_cast<void>(send(descriptor, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

void Warden::reply(std::uint32_t number, redirect::Reply body) {
  const auto packet = redirect::write_reply({number, std::move(body)});
  // A resolver that does not read is silent, and that is noticed elsewhere.
  static_cast<void>(send(channels_.front()->descriptor, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

// ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::enqueue(std::function<void(Finish)> job) {
  jobs_.push_back(std::move(job));
  begin_next();
}

void Warden::begin_next() {
  if (is_busy_ || jobs_.empty()) return;
  is_busy_ = true;
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  job([this] {
    is_busy_ = false;
    begin_next();
  });
}

// ── apply ────────────────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::carry_out(const redirect::Apply& wanted, std::function<void(redirect::Reply)> done) {
  const bool is_trial = wanted.trial_seconds > 0;
  const auto standing = is_trial ? redirect::Standing::on_trial : redirect::Standing::for_good;
  auto judged = [this, former = in_force(), time = seconds(wanted.trial_seconds), is_trial,
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
  apply(wanted.options, standing, std::move(judged));
}

Trial::Former Warden::in_force() {
  Trial::Former former;
  if (plan_ != nullptr) former.options = plan_->options;
  former.had_memory = tables_.state_of(redirect::seen_table) != TableState::absent;
  return former;
}

void Warden::confirm(std::function<void(redirect::Reply)> done) {
  if (!trial_.is_pending()) return done(redirect::Failed{{"no rules are on trial: there is nothing to confirm"}});
  trial_.end();
  if (state_ != State::applied || plan_->options.on_failure == redirect::OnFailure::open) return done(redirect::Done{});
  // What is to outlive us must not be ours: rules that fail closed are made anew.
  apply(plan_->options, redirect::Standing::for_good, std::move(done));
}

void Warden::apply(const redirect::Options& options, redirect::Standing standing,
                   std::function<void(redirect::Reply)> done) {
  // Never take the other side's word: the plan is made, and its options are checked, here.
  redirect::HostFacts facts = redirect::gather_host_facts();
  facts.nft = nft_path_;  // which capabilities were kept depends on it: one installed since waits for the next start
  auto plan = std::make_shared<Plan>(redirect::plan(options, facts, standing));
  if (!is_within(bounds_, options))
    plan->problems.emplace_back("other ports are asked for than this Doline was started with: start it again");
  if (!has_privilege_) plan->problems.emplace_back("CAP_NET_ADMIN is missing");
  if (!plan->is_possible()) return done(redirect::Failed{plan->problems});
  if (plan->tool == redirect::Tool::none) {
    return remove(Memory::forget, [done = std::move(done)](std::vector<std::string> complaints) {
      done(complaints.empty() ? redirect::Reply(redirect::Done{})
                              : redirect::Reply(redirect::Failed{std::move(complaints)}));
    });
  }
  auto route = [this](auto& steps) -> std::string {
    for (const auto& step : steps)
      if (const auto added = routing_.add(step); !added)
        return std::string("policy routing: ") + std::strerror(added.error().error);
    return {};
  };
  std::string complaint = route(plan->route_steps);
  if (complaint.empty()) complaint = route(plan->rule_steps);
  auto judge = [this, plan, done](std::string said) {
    if (said.empty()) return settle(plan, done);
    // What was applied before is untouched: a transaction is all or nothing.
    if (plan_ == nullptr || plan_->options.kernel != plan->options.kernel) undo_routing(*plan);
    done(redirect::Failed{lines_of(said)});
  };
  if (!complaint.empty()) return judge(std::move(complaint));
  if (plan->tool == redirect::Tool::iptables) return run_programs(plan->programs, 0, false, std::move(judge));
  put_rules(plan, predecessor_attempts, std::move(judge));
}

void Warden::put_rules(const std::shared_ptr<Plan>& plan, int attempts_left, Judge judge) {
  const TableState present = tables_.state_of(redirect::rules_table);
  nft_->run(redirect::on_one_line(redirect::replace_rules(*plan, present)),
            [this, plan, attempts_left, judge = std::move(judge), present](std::string complaint) {
              if (!complaint.empty() && present == TableState::owned && state_ != State::applied && attempts_left > 0)
                return after(predecessor_pause_ms,
                             [this, plan, attempts_left, judge] { put_rules(plan, attempts_left - 1, judge); });
              if (!complaint.empty()) return judge(complaint);
              nft_->run(redirect::on_one_line(plan->seen), [this, plan, judge](std::string trouble) {
                if (!trouble.empty())
                  plan->warnings.push_back("Who asks whom while Doline is away is not kept: " + trouble);
                put_watch(plan, predecessor_attempts, judge);
              });
            });
}

/// Where there is more to do than to watch, that is done even if nothing can be watched.
void Warden::put_watch(const std::shared_ptr<Plan>& plan, int attempts_left, Judge judge) {
  auto settle_for = [this, plan, judge](const std::string& trouble) {
    if (!trouble.empty()) flow_watch_.end();
    if (!trouble.empty() && plan->rules.empty()) return judge(trouble);
    if (!trouble.empty()) plan->warnings.push_back("Connections are not watched: " + trouble);
    judge({});
  };
  flow_watch_.end();
  const TableState present = tables_.state_of(redirect::watch_table);
  if (plan->watch.empty() && present == TableState::absent) return settle_for({});
  // Listened to before anything is logged.
  std::string trouble = plan->watch.empty() ? std::string() : flow_watch_.begin(plan->options);
  const auto again = [this, plan, attempts_left, judge] {
    after(predecessor_pause_ms, [this, plan, attempts_left, judge] { put_watch(plan, attempts_left - 1, judge); });
  };
  const bool may_try_again = state_ != State::applied && attempts_left > 0;
  if (!trouble.empty()) return may_try_again ? again() : settle_for(trouble);
  nft_->run(redirect::on_one_line(redirect::replace_watch(*plan, present)),
            [settle_for, again, may_try_again, present](const std::string& complaint) {
              if (!complaint.empty() && present == TableState::owned && may_try_again) return again();
              settle_for(complaint);
            });
}

void Warden::settle(const std::shared_ptr<Plan>& plan, std::function<void(redirect::Reply)> done) {
  const std::shared_ptr<const Plan> former = std::exchange(plan_, plan);
  const State state_before = std::exchange(state_, State::applied);
  const bool caught_the_same =
      state_before == State::applied && former != nullptr && catch_the_same(former->options, plan->options);
  reason_.clear();
  applied_at_ms_ = uv_now(loop_);
  if (former != nullptr) {
    for (const auto& step : former->rule_steps)
      if (std::find(plan->rule_steps.begin(), plan->rule_steps.end(), step) == plan->rule_steps.end())
        static_cast<void>(routing_.remove(step));
    for (const auto& step : former->route_steps)
      if (std::find(plan->route_steps.begin(), plan->route_steps.end(), step) == plan->route_steps.end())
        static_cast<void>(routing_.remove(step));
    if (!caught_the_same && state_before == State::applied) forget_flows(*former, Conntrack::Which::all);
  }
  // Who is brought home already stays so: in `nat` its answer under way needs the flow.
  if (!caught_the_same) forget_flows(*plan, Conntrack::Which::not_redirected);
  list_rules([this, plan, done = std::move(done)](std::string listed) {
    listed_ = std::move(listed);
    look_for_interference([this, plan, done](std::vector<std::string> found) {
      interference_ = found;
      std::vector<std::string> warnings = plan->warnings;
      for (std::string& sentence : found)
        if (std::find(warnings.begin(), warnings.end(), sentence) == warnings.end())
          warnings.push_back(std::move(sentence));
      done(redirect::Done{std::move(warnings)});
    });
  });
}

/// Stateless (no counters, no elements with timeouts): what verify() compares.
void Warden::list_rules(std::function<void(std::string)> done) {
  if (plan_ == nullptr || plan_->tool != redirect::Tool::nft || plan_->rules.empty()) return done({});
  run_program(
      loop_, {nft_path_, "-s", "list", "table", "inet", redirect::rules_table}, {}, redirect::ruleset_octets_max,
      [done = std::move(done)](ProgramEnd end) { done(end.succeeded ? std::move(end.output) : std::string()); });
}

void Warden::look_for_interference(std::function<void(std::vector<std::string>)> done) {
  if (plan_ == nullptr) return done({});
  std::vector<std::string> found = redirect::find_hindrances(plan_->options, redirect::gather_host_facts());
  if (plan_->options.mode == redirect::Mode::tproxy)
    for (std::string& clash : routing_.find_clashes(plan_->options.kernel)) found.push_back(std::move(clash));
  if (nft_path_.empty()) return done(std::move(found));
  run_program(loop_, {nft_path_, "list", "ruleset"}, {}, redirect::ruleset_octets_max,
              [plan = plan_, found = std::move(found), done = std::move(done)](ProgramEnd end) mutable {
                for (std::string& rule : redirect::find_interference(end.output, plan->options))
                  found.push_back(std::move(rule));
                done(std::move(found));
              });
}

// ── status, verify ───────────────────────────────────────────────────────────────────────────────────────────────────

redirect::StatusReply Warden::status() {
  redirect::StatusReply reply;
  reply.state = state_;
  reply.has_privilege = has_privilege_;
  reply.reason = reason_;
  if (plan_ != nullptr) reply.mode = plan_->options.mode;
  reply.trial_seconds_left = trial_.seconds_left();
  if (state_ == State::applied) {
    reply.applied_seconds_ago = (uv_now(loop_) - applied_at_ms_) / 1'000;
    reply.counters = tables_.counters();
    reply.interference = interference_;
  }
  return reply;
}

void Warden::verify(std::function<void(redirect::Reply)> done) {
  if (state_ != State::applied) {
    std::string why = "the redirect is " + std::string(redirect::to_string(state_));
    if (!reason_.empty()) why += ": " + reason_;
    return done(redirect::Failed{{std::move(why)}});
  }
  list_rules([this, done = std::move(done)](std::string listed) {
    std::vector<std::string> reasons;
    if (plan_ == nullptr) return done(redirect::Failed{{"the redirect is absent"}});
    if (!plan_->rules.empty() && listed.empty())
      reasons.emplace_back("table inet doline is gone");
    else if (listed != listed_)
      reasons.emplace_back("table inet doline is not as it was applied: `nft list table inet doline` shows it");
    if (!plan_->seen.empty() && tables_.state_of(redirect::seen_table) == TableState::absent)
      reasons.emplace_back("table inet doline_seen is gone");
    if (!plan_->watch.empty() && tables_.state_of(redirect::watch_table) == TableState::absent)
      reasons.emplace_back("table inet doline_watch is gone");
    for (const auto& step : plan_->rule_steps)
      if (!routing_.has(step)) reasons.push_back("the policy rule to table " + std::to_string(step.table) + " is gone");
    for (const auto& step : plan_->route_steps)
      if (!routing_.has(step)) reasons.push_back("a route of table " + std::to_string(step.table) + " is gone");
    if (!reasons.empty()) return done(redirect::Failed{std::move(reasons)});
    look_for_interference([this, done](std::vector<std::string> found) {
      interference_ = found;
      done(redirect::Done{std::move(found)});
    });
  });
}

// ── taking away ──────────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::remove(Memory memory, std::function<void(std::vector<std::string>)> done) {
  const std::shared_ptr<const Plan> plan = std::exchange(plan_, nullptr);
  state_ = State::absent;
  reason_.clear();
  interference_.clear();
  listed_.clear();
  auto finish = [this, plan, done = std::move(done)](std::string complaint) {
    if (plan != nullptr) {
      undo_routing(*plan);
      forget_flows(*plan, Conntrack::Which::redirected);
    }
    done(lines_of(complaint));
  };
  if (plan != nullptr && plan->tool == redirect::Tool::iptables)
    return run_programs(plan->programs_undo, 0, false, std::move(finish));
  flow_watch_.end();
  std::string script = redirect::remove_table(redirect::rules_table, tables_.state_of(redirect::rules_table));
  script += redirect::remove_table(redirect::watch_table, tables_.state_of(redirect::watch_table));
  if (memory == Memory::forget)
    script += redirect::remove_table(redirect::seen_table, tables_.state_of(redirect::seen_table));
  if (script.empty() || nft_ == nullptr) {
    // Never inside the call that asked.
    return after(0, [finish = std::move(finish)] { finish({}); });
  }
  nft_->run(redirect::on_one_line(script), std::move(finish));
}

void Warden::undo_routing(const Plan& plan) {
  for (const auto& step : plan.rule_steps) static_cast<void>(routing_.remove(step));
  for (const auto& step : plan.route_steps) static_cast<void>(routing_.remove(step));
}

/// In `tproxy` a flow does not show whether it was brought home, and no answer needs it: all are forgotten.
void Warden::forget_flows(const Plan& plan, Conntrack::Which which) {
  if (!redirect::intercepts(plan.options.mode)) return;
  if (plan.options.mode != redirect::Mode::nat) which = Conntrack::Which::all;
  // Without conntrack there are no flows that remember anything.
  static_cast<void>(conntrack_.forget(plan.options.ports, which, plan.options.nat_port));
}

void Warden::run_programs(std::vector<redirect::ProgramStep> steps, std::size_t at, bool before_failed, Judge judge) {
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

// ── on trial ─────────────────────────────────────────────────────────────────────────────────────────────────────────

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
  auto clear = [this, memory, finished] {
    remove(memory, [finished](const std::vector<std::string>&) { finished(); });
  };
  if (!former.options) return clear();
  apply(*former.options, redirect::Standing::for_good, [finished, clear](redirect::Reply reply) {
    // Nobody wants the rules that are there; better none than these.
    if (std::holds_alternative<redirect::Done>(reply)) return finished();
    clear();
  });
}

// ── watching over it ─────────────────────────────────────────────────────────────────────────────────────────────────

void Warden::beat() {
  heard_at_ms_ = uv_now(loop_);
  if (state_ != State::suspended || is_leaving_) return;
  say("the resolver is heard again: the redirect is put back");
  state_ = State::lost;
  lost_because_ = reason_;
  enqueue([this](Finish finish) { put_back(std::move(finish)); });
}

void Warden::check_silence() {
  constexpr auto most = static_cast<std::uint64_t>(redirect::silence_max.count());
  if (state_ == State::applied && !is_busy_ && uv_now(loop_) - heard_at_ms_ > most) suspend();
}

/// The resolver is stuck: its sockets are open, so the rules would still lead to it. With on_failure: closed nothing
/// else is wanted.
void Warden::suspend() {
  if (plan_->options.on_failure == redirect::OnFailure::closed) return;
  say("the resolver is silent: the redirect is taken away until it is heard");
  enqueue([this](Finish finish) {
    const auto plan = plan_;
    if (plan == nullptr) return finish();
    remove(Memory::keep, [this, plan, finish = std::move(finish)](const std::vector<std::string>&) {
      plan_ = plan;
      state_ = State::suspended;
      reason_ = "the resolver was silent for more than " + std::to_string(redirect::silence_max.count()) + " ms";
      finish();
    });
  });
}

/// A table that is not its maker's goes without a sound: doline_seen always, doline with on_failure: closed or on an
/// old kernel.
void Warden::look_for_tables() {
  if (is_busy_ || is_leaving_ || state_ != State::applied || plan_->tool != redirect::Tool::nft) return;
  const auto is_gone = [this](const std::string& script, const char* table) {
    return !script.empty() && tables_.state_of(table) == TableState::absent;
  };
  if (is_gone(plan_->rules, redirect::rules_table)) return lose("somebody removed table inet doline");
  if (is_gone(plan_->watch, redirect::watch_table)) return lose("somebody removed table inet doline_watch");
  if (!is_gone(plan_->seen, redirect::seen_table)) return;
  enqueue([this](Finish finish) {
    nft_->run(redirect::on_one_line(plan_->seen), [finish = std::move(finish)](const std::string& complaint) {
      if (complaint.empty()) say("somebody removed table inet doline_seen; it is put back, and has forgotten");
      finish();
    });
  });
}

void Warden::nft_died() {
  if (is_leaving_ || state_ != State::applied || !plan_->owns_table) return;
  lose("nft, which held the rules, has ended");
}

/// Somebody took the rules away.
void Warden::lose(const std::string& reason) {
  say(reason);
  state_ = State::lost;
  reason_ = lost_because_ = reason;
  // What tproxy brought home goes its own way now; what nat has redirected is still answered here.
  if (plan_->options.mode != redirect::Mode::nat) forget_flows(*plan_, Conntrack::Which::all);
  put_back_soon();
}

/// Again and again, but not more often than every reapply_pause_ms.
void Warden::put_back_soon() {
  const std::uint64_t since = uv_now(loop_) - reapplied_at_ms_;
  const bool may_now = reapplied_at_ms_ == 0 || since > reapply_pause_ms;
  after(may_now ? 0 : reapply_pause_ms - since, [this] {
    if (state_ != State::lost || is_leaving_) return;
    reapplied_at_ms_ = uv_now(loop_);
    enqueue([this](Finish finish) { put_back(std::move(finish)); });
  });
}

void Warden::put_back(Finish finish) {
  if (state_ != State::lost) return finish();
  const auto standing = trial_.is_pending() ? redirect::Standing::on_trial : redirect::Standing::for_good;
  apply(plan_->options, standing, [this, finish = std::move(finish)](redirect::Reply reply) {
    if (const auto* failed = std::get_if<redirect::Failed>(&reply); failed != nullptr && !failed->reasons.empty()) {
      reason_ = lost_because_ + "; putting it back failed: " + failed->reasons.front();
      put_back_soon();
    }
    finish();
  });
}

/// The resolver is gone, or we are told to go.
void Warden::leave() {
  if (is_leaving_) return;
  is_leaving_ = true;
  uv_timer_start(
      &farewell_,
      [](uv_timer_t* timer) {
        auto& warden = *static_cast<Warden*>(timer->data);
        if (warden.nft_ != nullptr) warden.nft_->end();
        warden.close_everything();
      },
      farewell_ms, 0);
  jobs_.clear();
  enqueue([this](Finish) {
    if (trial_.is_pending()) return put_back_former([this] { say_goodbye(); });
    say_goodbye();
  });
}

void Warden::say_goodbye() {
  if (plan_ == nullptr || plan_->options.on_failure == redirect::OnFailure::closed) return close_everything();
  remove(Memory::keep, [this](const std::vector<std::string>&) { close_everything(); });
}

void Warden::after(std::uint64_t delay_ms, std::function<void()> call) {
  struct Alarm {
    uv_timer_t timer{};
    std::function<void()> call;
  };
  auto* const alarm = new Alarm{{}, std::move(call)};
  uv_timer_init(loop_, &alarm->timer);
  alarm->timer.data = alarm;
  uv_timer_start(
      &alarm->timer,
      [](uv_timer_t* timer) {
        static_cast<Alarm*>(timer->data)->call();
        uv_close(as_handle(*timer), [](uv_handle_t* closed) { delete static_cast<Alarm*>(closed->data); });
      },
      delay_ms, 0);
}

/// The loop ends when the last handle has.
void Warden::close_everything() {
  if (uv_is_closing(as_handle(farewell_)) != 0) return;
  for (uv_handle_t* handle :
       {as_handle(terminate_), as_handle(silence_), as_handle(interference_timer_), as_handle(farewell_)})
    uv_close(handle, nullptr);
  trial_.close();
  for (const auto& channel : channels_) {
    uv_close(as_handle(channel->poll), nullptr);
    close(channel->descriptor);
  }
  flow_watch_.close();
  nft_.reset();
}

}  // namespace

int run(const Channels& channels, const Bounds& bounds) {
  check(!channels.talk.empty());
  // A key pressed at the terminal ends the resolver, which then says goodbye to us.
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NAME, "doline-warden", 0, 0, 0);
  const redirect::HostFacts facts = redirect::gather_host_facts();
  const bool has_privilege = keep_only(facts.nft.empty() ? Kept::rules_and_raw_sockets : Kept::rules);
  uv_loop_t loop;
  check(uv_loop_init(&loop) == 0);
  {
    Warden warden(&loop, channels, bounds, facts, has_privilege);
    warden.run();
  }
  check(uv_loop_close(&loop) == 0);
  return 0;
}

}  // namespace doline::warden

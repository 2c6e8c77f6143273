// Interception: stray DNS brought home, as the running Doline sees it: what the operator wants, what is in force, and
// the warden that does it. Control thread only.
//
// Rules that somebody else took away are put back by the warden. A warden that died cannot be: privileges are gone by
// then, so DNS is served on and the state is `lost` until Doline starts anew.
#pragma once

#include <spdlog/fwd.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "blocklist/doh_names.h"
#include "blocklist/list_set.h"
#include "control/loop.h"
#include "control/trial_mark.h"
#include "device/roster.h"
#include "geo/resolver_book.h"
#include "policy/rule_book.h"
#include "redirect/gate_rules.h"
#include "redirect/request.h"
#include "redirect/restrictions.h"
#include "resolver/gate.h"
#include "warden/client.h"
#include "warden/jobs.h"

namespace doline::control {

inline constexpr seconds interception_look_every{15};  ///< are the rules still there?
inline constexpr seconds refusals_look_every{5};       ///< where anybody is restricted
/// As many as the kernel's sets hold (redirect/gate_rules.h).
inline constexpr std::size_t admissions_recalled_max = 2 * redirect::gate_allowed_max;

/// Networks of DoH servers that lists name are no larger: a mistake in a list must not shut half the Internet.
inline constexpr int doh_network_bits_min_v4 = 16, doh_network_bits_min_v6 = 32;

/// From what the known DoH servers are known: the resolver list, and lists with `kind: doh`. Borrowed.
struct DohSources {
  const geo::ResolverBook& resolvers;
  const blocklist::ListSet& lists;
  std::span<const policy::ListPolicy> list_policies;  ///< position = ListId
};

/// Whom the operator's groups and locks restrict, by what is known of devices; with the known DoH servers, as many as
/// the rules may hold.
[[nodiscard]] redirect::Restrictions restrictions_of(const device::Roster& roster,
                                                     std::span<const redirect::GroupRestriction> by_group,
                                                     std::span<const redirect::FlowLock> locks,
                                                     const DohSources& sources);
[[nodiscard]] blocklist::DohNames doh_names_of(const DohSources& sources);
/// The same for the path of a query; null: nobody is restricted. `doh`: as doh_names_of().
[[nodiscard]] std::shared_ptr<resolver::Gate> gate_of(const device::Roster& roster,
                                                      std::span<const redirect::GroupRestriction> by_group,
                                                      std::span<const redirect::FlowLock> locks,
                                                      redirect::Encrypted otherwise,
                                                      std::shared_ptr<const blocklist::DohNames> doh);

[[nodiscard]] nlohmann::json json_of(const redirect::GateCounts& gate);
/// What was refused, by device: by its name, or its MAC where nobody knows it.
[[nodiscard]] nlohmann::json json_of(const redirect::RefusedReply& refused, const device::Roster& roster);

/// What these devices were told before `now` and may still connect to, by the query log: an address and a device once,
/// at most admissions_recalled_max; empty where the log cannot be read. Reads a file: not on the loop.
[[nodiscard]] std::vector<redirect::Admission> admissions_of(const std::filesystem::path& log,
                                                             const std::vector<device::MacAddress>& macs,
                                                             const device::Roster& roster, WallTime now);

class Interception {
 public:
  using Answer = std::function<void(const nlohmann::json&)>;
  using Done = std::function<void()>;

  /// `on_refused`: what the warden says of refusals, every refusals_look_every. `on_held`: the kernel holds these
  /// devices and need not know what they were told; `done` is to be called once admit() has told it, or cannot.
  /// `on_doh_unknown`: the kernel need not know either what was told it of DoH servers. `trial_file`: where it is
  /// remembered that nobody has confirmed a trial (trial_mark.h); read now.
  Interception(Loop& loop, std::unique_ptr<warden::Client> warden, redirect::Options options,
               std::filesystem::path trial_file, spdlog::logger& log,
               std::function<void(const redirect::RefusedReply&)> on_refused,
               std::function<void(std::vector<device::MacAddress>, Done done)> on_held,
               std::function<void()> on_doh_unknown);
  /// What these devices were told before: one message after the other, where the rules are there.
  void admit(std::vector<redirect::Admission> admissions, Done done);
  ~Interception();

  /// From now on these; said again only where they differ. Devices that nothing held until now are observed at first,
  /// and refused what no answer gave them only when the kernel knows the answers that they had before. `said` is
  /// dropped when the warden has carried it out, or will not. What fails is said again, every interception_look_every.
  void restrict(redirect::Restrictions restrictions, const std::shared_ptr<void>& said = {});
  /// Rules on, once Doline answers; not where the operator has decided already. If the options of the start were on
  /// trial and nobody confirmed them, what was before them. Before that, how much the kernel has seen while Doline was
  /// away is told in the log. What fails is tried again, every interception_look_every.
  void begin(Answer answer);
  /// What the operator's file says now; the next apply() makes rules of it, where the sockets of the start serve it.
  void want(redirect::Options options);
  /// Rules on. `trial` over 0 s: for so long, unless confirm() comes. This, confirm() and remove() are carried out one
  /// after the other, and after what begin() has begun.
  void apply(seconds trial, Answer answer);
  /// The rules on trial stay.
  void confirm(Answer answer);
  /// Rules off, until apply() or the next start.
  void remove(Answer answer);
  void verify(Answer answer);
  /// With interference as it is now: the warden looks anew.
  void status(Answer answer);
  /// Without devices whose log does not keep their name.
  void seen(std::shared_ptr<const device::Roster> roster, Answer answer);
  /// "The resolver lives": every redirect::heartbeat_period, as long as all workers answer.
  void beat();
  /// Rules off, waited for; nothing may prevent it.
  void end(milliseconds patience);
  /// As the warden last said.
  [[nodiscard]] redirect::State state() const { return state_; }
  /// By the rules in force; before there are any, by those of the start.
  [[nodiscard]] redirect::Encrypted encrypted() const { return in_force_ ? in_force_->encrypted : at_start_.encrypted; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const redirect::GateCounts& gate() const { return gate_; }
  [[nodiscard]] const std::vector<std::string>& interference() const { return interference_; }
  [[nodiscard]] const redirect::RefusedReply& refused() const { return refused_; }
  /// Why nobody is restricted though the operator wants it; empty: all is as asked.
  [[nodiscard]] const std::string& gate_trouble() const { return gate_trouble_; }
  /// It should be on, is not, and why; empty: all is well, or the operator wants it so.
  [[nodiscard]] std::string shortcoming() const;

 private:
  void read();
  void ask(redirect::Request request, Answer answer);
  void take_in(const redirect::StatusReply& status);
  void tell(const redirect::SeenReply& seen);
  void tell_applied(seconds trial);
  void look_for_refusals();
  void say_restrictions(Done done);
  void tell_anew();
  void recall(std::vector<device::MacAddress> macs);
  void change(std::function<void(Answer)> begin, Answer answer);
  void start(Answer answer);
  void apply_wanted(seconds trial, Answer answer);
  [[nodiscard]] bool is_served(const redirect::Options& options) const;
  void apply(const redirect::Options& options, seconds trial, Answer answer);
  void take_applied(const redirect::Options& options, seconds trial, const nlohmann::json& reply);
  void take_confirmed();
  [[nodiscard]] std::string describe_unconfirmed() const;
  [[nodiscard]] std::string mark_trial(seconds trial);
  void forget_trial();
  void lose();

  Loop& loop_;
  redirect::Options at_start_, wanted_;
  std::filesystem::path trial_file_;
  std::optional<TrialMark> unconfirmed_;  // what the file says
  bool is_on_trial_ = false;              // the warden holds it, for now
  spdlog::logger& log_;
  std::function<void(const redirect::RefusedReply&)> on_refused_;
  std::function<void(std::vector<device::MacAddress>, Done)> on_held_;
  std::function<void()> on_doh_unknown_;
  Watch readable_, looking_, looking_for_refusals_;
  bool is_decided_ = false;   // by the operator
  bool is_starting_ = false;  // not on yet, since begin(), and the operator has not decided
  redirect::State state_ = redirect::State::absent;
  std::optional<redirect::Options> in_force_;
  std::string reason_;
  redirect::Restrictions restrictions_;
  std::set<device::MacAddress> awaiting_recall_;  // observed until then
  redirect::GateCounts gate_;
  std::vector<std::string> interference_;
  redirect::RefusedReply refused_;
  std::string gate_trouble_;
  warden::Jobs changes_;
  std::unique_ptr<warden::Client> warden_;  // ends first, and tells all who wait
};

}  // namespace doline::control

// Interception: stray DNS brought home, as the running Doline sees it: what the operator wants, what is in force, and
// the warden that does it. Control thread only.
//
// Rules that somebody else took away are put back by the warden. A warden that died cannot be: privileges are gone by
// then, so DNS is served on and the state is `lost` until Doline starts anew.
#pragma once

#include <spdlog/fwd.h>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "control/loop.h"
#include "geo/resolver_book.h"
#include "redirect/request.h"
#include "warden/client.h"

namespace doline::control {

inline constexpr seconds interception_look_every{15};  ///< are the rules still there?
inline constexpr std::size_t sightings_told = 5;       ///< in the log at start; `doline redirect seen` shows all

/// `encrypted` is for the DoH servers among the known resolvers too, as many as the rules may hold; and who watches
/// connections tells them from others.
[[nodiscard]] redirect::Options with_doh_servers(redirect::Options options, const geo::ResolverBook& resolvers);

class Interception {
 public:
  using Answer = std::function<void(const nlohmann::json&)>;

  Interception(Loop& loop, std::unique_ptr<warden::Client> warden, redirect::Options options, spdlog::logger& log);
  ~Interception();

  /// Rules on, once Doline answers; not where the operator has decided already. Before that, what the kernel has seen
  /// while Doline was away is told in the log.
  void begin(Answer answer);
  /// What the operator's file says now; the next apply() makes rules of it, where the sockets of the start serve it.
  void want(redirect::Options options);
  /// Rules on. `trial` over 0 s: for so long, unless confirm() comes.
  void apply(seconds trial, Answer answer);
  /// The rules on trial stay.
  void confirm(Answer answer);
  /// Rules off, until apply() or the next start.
  void remove(Answer answer);
  void verify(Answer answer);
  void status(Answer answer);
  void seen(Answer answer);
  /// "The resolver lives": every redirect::heartbeat_period, as long as all workers answer.
  void beat();
  /// Rules off, waited for; nothing may prevent it.
  void end(milliseconds patience);
  /// As the warden last said.
  [[nodiscard]] redirect::State state() const { return state_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  void read();
  void ask(redirect::Request request, Answer answer);
  void take_in(const redirect::StatusReply& status);
  void tell(const redirect::SeenReply& seen);
  void tell_applied(seconds trial);
  void lose();

  Loop& loop_;
  std::unique_ptr<warden::Client> warden_;
  redirect::Options at_start_, wanted_;
  spdlog::logger& log_;
  Watch readable_, looking_;
  bool is_decided_ = false;  // by the operator
  redirect::State state_ = redirect::State::absent;
  std::string reason_;
};

}  // namespace doline::control

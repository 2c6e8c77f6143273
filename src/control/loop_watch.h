// LoopWatch: does an upstream lead back to Doline? Each server is asked for a canary (resolver/canary.h) that nobody
// else asks for: if it comes in here, whatever this server is asked ends in a circle, and it is left aside until
// canaries stay away. Looked at when Doline begins to answer, after rules were applied, after the upstreams have
// changed, when something smells of a loop, and every hour.
//
// Keeps the other canaries too: those of `doline redirect verify`, by which it is seen that a query was brought home.
// Control thread only. Sends datagrams, waits for no answer.
#pragma once

#include <spdlog/fwd.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "control/loop.h"
#include "resolver/canary.h"
#include "upstream/exchange.h"

namespace doline::control {

inline constexpr std::size_t canaries_max = 1'024;    ///< servers asked in one round
inline constexpr std::size_t probes_max = 256;        ///< of `doline redirect verify` remembered, the latest
inline constexpr std::size_t probe_returns_max = 64;  ///< queries for each of these remembered
inline constexpr seconds loop_round{5};               ///< a canary that has not come by then stays away
inline constexpr seconds loop_again_after{60};        ///< a server that was left aside is asked anew so often
inline constexpr std::chrono::hours loop_look_every{1};
inline constexpr seconds suspicion_pause{30};
inline constexpr int clean_rounds = 3;  ///< without a canary, until a server is asked again by clients

/// A server that leads back here, and how the canary came.
struct LoopFound {
  Endpoint server;
  std::string route;
  resolver::CanaryReturn way;
};

/// For the operator: what leads back by which way, and the cure.
[[nodiscard]] std::string describe(const LoopFound& loop);

class LoopWatch {
 public:
  /// `changed`: which servers lead back has changed. Never called inside a call of this.
  LoopWatch(Loop& loop, resolver::CanaryCage cage, const Clock& clock, spdlog::logger& log,
            std::function<void()> changed);
  ~LoopWatch();

  /// Asks every server of these routes; those that were left aside are among them.
  void look(const upstream::Options& upstream);
  /// What a worker has seen.
  void take(const resolver::CanaryReturn& come);
  /// All is well until the next look: what led back has been taken away.
  void forgive();
  [[nodiscard]] const std::vector<LoopFound>& found() const { return found_; }
  /// The options without servers that lead back; a route may be left with none, and fails at once then.
  [[nodiscard]] upstream::Options without_loops(upstream::Options upstream) const;
  /// Servers asked in the round that lasts; 0: none lasts.
  [[nodiscard]] std::size_t asked() const { return asked_.size(); }

  /// A new name to ask for.
  [[nodiscard]] dns::Name make_probe();
  /// How it was asked for here; nothing: the name is no probe of ours, or an old one's.
  [[nodiscard]] const std::vector<resolver::CanaryReturn>* probe_returns(const dns::Name& name) const;

 private:
  struct Asked {
    Endpoint server;
    std::string route;
    std::uint32_t serial;
    std::vector<std::uint8_t> query;
    int descriptor = -1;
  };
  void send_all();
  void end_round();
  void close_all();
  void take_probe(const resolver::CanaryReturn& come);
  void take_loop(const resolver::CanaryReturn& come);

  Loop& loop_;
  const resolver::CanaryCage cage_;
  const Clock& clock_;
  spdlog::logger& log_;
  const std::function<void()> changed_;
  upstream::Options upstream_;
  std::vector<Asked> asked_;  // of the round that lasts
  std::vector<LoopFound> found_;
  std::map<Endpoint, int> clean_;                                        // of those found: rounds without
  std::map<std::uint32_t, std::vector<resolver::CanaryReturn>> probes_;  // by serial: the oldest first
  std::uint32_t last_serial_ = 0;
  MonotonicTime suspicion_again_{};
  std::vector<Watch> repetitions_;
  Watch round_, again_, hourly_, telling_;
};

}  // namespace doline::control

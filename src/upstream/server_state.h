// ServerState: what is known of one upstream server: how long it takes, whether it answers at all, and what it does not
// understand. Pure: time is an argument.
//
// A server is down after silence only: to down_after exchanges in a row, over at least down_silence, none for the name
// of the one before, since one question that nobody answers says nothing of the others. That nothing can be sent to it
// is silence too, and so is an ICMP error: anyone may have sent that. Then it is probed with growing pauses until it
// answers. What it answers (SERVFAIL, REFUSED) speaks of the question, not of the server.
#pragma once

#include <cstdint>

#include "base/ip_address.h"
#include "base/time.h"
#include "dns/name.h"

namespace doline::upstream {

inline constexpr int down_after = 3;
inline constexpr milliseconds down_silence{500};
inline constexpr milliseconds probe_pause_min{500}, probe_pause_max{30'000};
inline constexpr milliseconds retry_timeout_unknown{400}, retry_timeout_min{200}, retry_timeout_max{1'000};
/// How long it is remembered that a server knows no EDNS or does not keep the case.
inline constexpr std::chrono::minutes quirk_time{15};

class ServerState {
 public:
  explicit ServerState(const Endpoint& endpoint_in) : endpoint(endpoint_in) {}

  void note_answer(MonotonicTime now, std::chrono::nanoseconds round_trip);
  /// Once an exchange. `asked_at`: of the attempt that stayed without an answer.
  void note_silence(MonotonicTime now, MonotonicTime asked_at, const dns::Name& qname);
  [[nodiscard]] bool is_up() const { return is_up_; }
  /// When it last answered, or showed once more that it is down.
  [[nodiscard]] MonotonicTime known_at() const { return known_at_; }
  /// Time for a probe of a server that is down; the next is due later.
  [[nodiscard]] bool take_probe(MonotonicTime now);
  /// Smoothed; 0: never answered.
  [[nodiscard]] microseconds round_trip() const { return round_trip_; }
  /// How long to wait for an answer to the `tried`-th (from 0) attempt of an exchange at this server (RFC 6298 §2,
  /// §5.5).
  [[nodiscard]] milliseconds retry_timeout(int tried) const;

  Endpoint endpoint;
  std::uint64_t asked = 0, answered = 0, failed = 0;
  MonotonicTime without_edns_until{}, without_case_until{};

 private:
  microseconds round_trip_{0}, variation_{0};
  int silences_ = 0;
  dns::Name silent_for_;  // of the last one
  MonotonicTime silent_since_{};
  bool is_up_ = true;
  MonotonicTime known_at_{}, probe_at_{};
  milliseconds probe_pause_ = probe_pause_min;
};

}  // namespace doline::upstream

// Exchange: ask a question upstream and bring back accepted words. The seam that scenario tests replace.
//
// Lives on one worker's loop and is used only there. Every question lands exactly once, later on the same loop (never
// from inside ask()), unless the exchange is destroyed first. What ask() has queued leaves with flush(), so whoever
// runs the loop calls that at the end of each turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"
#include "dns/question.h"
#include "upstream/accept.h"
#include "upstream/complaint.h"

namespace doline::upstream {

/// Position of a named route in the configuration; 0 is `default`. Equal numbers as policy::RouteId.
using RouteIndex = std::uint16_t;

enum class ExchangeFault : std::uint8_t {
  timeout,        ///< no server answered in time
  unreachable,    ///< network errors from all
  server_failed,  ///< all said SERVFAIL, REFUSED or sent what could not be believed
  overloaded,     ///< more than exchanges_max in flight
};
[[nodiscard]] std::string_view to_string(ExchangeFault fault);

/// Borrowed for the time of the call.
struct Failure {
  ExchangeFault fault;
  const Complaint* complaint = nullptr;  ///< with server_failed: the last server's, or the first that has reasons
};

struct Request {
  dns::Question question;
  bool dnssec_ok = false;
  bool checking_disabled = false;
  RouteIndex route = 0;
};

/// Borrowed for the time of the call.
struct Reply {
  dns::Octets words;  ///< see Accepted::size
  Accepted facts;
  Endpoint server;
};

/// The asker's own number for a question; comes back with its end.
using Ticket = std::uint32_t;

/// Where questions end. It may ask again, or destroy the exchange, from inside each call.
class Landing {
 public:
  /// Time has passed: called before the first land() of a turn of the loop.
  virtual void begin_landings() = 0;
  /// An answer has come and is being read: land() may follow, at once.
  virtual void foresee(Ticket) {}
  virtual void land(Ticket ticket, const Result<Reply, Failure>& result) = 0;
  /// The answer to a question that has landed without one, of use to who asks next.
  virtual void land_late(const Request&, const Reply&) {}

 protected:
  ~Landing() = default;
};

class Exchange {
 public:
  virtual ~Exchange() = default;
  /// Once, before the first question. `landing` outlives the exchange's last turn of the loop.
  virtual void land_on(Landing& landing) = 0;
  /// `now`: the time of this turn. The query leaves with the next flush().
  virtual void ask(const Request& request, Ticket ticket, MonotonicTime now) = 0;
  /// Sends what waits to be sent; at the end of each turn of the loop, for answers and timeouts ask again too.
  /// Questions that cannot be sent anywhere land here.
  virtual void flush() = 0;
  /// Another takes new questions from now on, by other routes: no answer of this one's is of use to anybody but who
  /// waits for it (no land_late()).
  virtual void retire() {}
  /// Questions that have not landed, and probes of servers.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
};

struct Route {
  enum class Strategy : std::uint8_t { in_order, fastest, balance, parallel };
  std::string name;
  std::vector<Endpoint> servers;  ///< at most servers_max; plain DNS: UDP then TCP
  Strategy strategy = Strategy::in_order;
  milliseconds timeout{2'000};  ///< for the whole exchange
  bool operator==(const Route&) const = default;
};

struct Options {
  std::vector<Route> routes;   ///< [0] is `default`
  bool randomise_case = true;  ///< 0x20
  bool operator==(const Options&) const = default;
};
inline constexpr int exchanges_max = 4'096;      ///< in flight per worker
inline constexpr int late_exchanges_max = 256;   ///< of these, landed for want of time and listened for
inline constexpr milliseconds late_time{5'000};  ///< how long, after that
inline constexpr std::size_t servers_max = 32;   ///< of one route
inline constexpr int repetitions_max = 5;        ///< attempts per exchange at servers that it has asked before
/// Datagrams and streams per exchange: each server once, whatever the others do, and some again.
inline constexpr std::size_t attempts_max = servers_max + repetitions_max;

struct ServerHealth {
  Endpoint server;
  std::string route;
  bool is_up = true;
  MonotonicTime known_at{};    ///< when it last answered, or showed once more that it is down
  microseconds round_trip{0};  ///< smoothed; 0: not yet asked
  std::uint64_t asked = 0, answered = 0, failed = 0;
};

}  // namespace doline::upstream

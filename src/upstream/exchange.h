// Exchange: ask a question upstream and bring back accepted words. The seam that scenario tests replace.
//
// Lives on one worker's loop and is used only there. Completion is called exactly once per ask(), later on the same
// loop (never from inside ask()), unless the exchange is destroyed first.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"
#include "dns/question.h"
#include "upstream/accept.h"

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

class Exchange {
 public:
  using Completion = std::function<void(const Result<Reply, ExchangeFault>&)>;
  virtual ~Exchange() = default;
  virtual void ask(const Request& request, Completion done) = 0;
};

struct Route {
  enum class Strategy : std::uint8_t { in_order, fastest, balance, parallel };
  std::string name;
  std::vector<Endpoint> servers;  ///< plain DNS: UDP then TCP
  Strategy strategy = Strategy::in_order;
  milliseconds timeout{2'000};  ///< for the whole exchange
  bool operator==(const Route&) const = default;
};

struct Options {
  std::vector<Route> routes;   ///< [0] is `default`
  bool randomise_case = true;  ///< 0x20
  bool operator==(const Options&) const = default;
};
inline constexpr int exchanges_max = 4'096;  ///< in flight per worker
inline constexpr int attempts_max = 6;       ///< datagrams and streams per exchange, over all servers

struct ServerHealth {
  Endpoint server;
  std::string route;
  bool is_up = true;
  microseconds round_trip{0};  ///< smoothed; 0: not yet asked
  std::uint64_t asked = 0, answered = 0, failed = 0;
};

}  // namespace doline::upstream

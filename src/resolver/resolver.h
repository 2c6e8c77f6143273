// Resolver: how one query is served. The driver of the path that src/README.md describes, for one worker.
//
// Lives on one worker's loop and is used only there. What it needs from outside comes through Doors, so that scenarios
// replay it with a fake upstream and clock. It holds the cache, the exchanges in flight and the queries that wait for
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/time.h"
#include "cache/cache.h"
#include "device/mac_address.h"
#include "dns/cookie.h"
#include "listener/arrival.h"
#include "querylog/record.h"
#include "redirect/admission.h"
#include "resolver/canary.h"
#include "resolver/snapshot.h"
#include "upstream/exchange.h"

namespace doline::resolver {

inline constexpr std::size_t waiting_max = 8'192;            ///< queries of one worker that wait for an exchange
inline constexpr std::size_t waiting_per_client_max = 512;   ///< of these, of one client address
inline constexpr std::uint32_t stale_ttl_seconds = 30;       ///< RFC 8767 §4
inline constexpr std::size_t lock_alarms_a_minute_max = 64;  ///< of one worker; the rest is counted and logged
/// Responses of one worker that a rule delays, or that wait for admission.
inline constexpr std::size_t held_back_max = 4'096;
inline constexpr std::size_t response_octets_max = 65'535;
inline constexpr std::size_t query_kept_octets = dns::header_octets + dns::name_octets_max + 4;

/// Takes the records; the seam that tests replace. Never blocks.
class Outbox {
 public:
  virtual ~Outbox() = default;
  /// `response`: the octets sent, or none; where the record says so, what was kept from the client. False: dropped (and
  /// counted there).
  virtual bool record(const querylog::Record& record, dns::Octets response) = 0;
};

/// A device asked for a name that its lock does not let pass.
struct LockAlarm {
  std::string device;
  dns::Name name;          ///< small letters
  bool is_refused = true;  ///< else the lock only observes, or blocking was set aside
};

struct Doors {
  upstream::Exchange& exchange;
  Outbox& outbox;
  /// A response to a query that waited; the route may have ended.
  std::function<void(const listener::ReplyRoute&, const Endpoint& client, dns::Octets response)> send;
  /// The query behind the route gets no response.
  std::function<void(const listener::ReplyRoute&)> forget;
  /// A client that may ask and is no known device; one call a client and minute, while it is remembered.
  std::function<void(const IpAddress&)> report_unknown_client;
  /// Once a device and name in a minute, for at most lock_alarms_a_minute_max.
  std::function<void(const LockAlarm&)> raise_lock_alarm = {};
  /// The MAC address that the kernel knows for a client that is no known device by now; called as seldom.
  std::function<std::optional<device::MacAddress>(const IpAddress&)> find_mac;
  /// Has the kernel find that out where it does not know; false: it cannot, for such a client has none.
  std::function<bool(const IpAddress&)> meet = [](const IpAddress&) { return false; };
  /// Serves the query once more, then; before that it counts as not received. False: too many wait so.
  std::function<bool(const listener::Arrival&, MonotonicTime)> serve_later = {};
  /// The name of an interface by its index; empty where there is none. Asked only where rules speak of interfaces.
  std::function<std::string(std::uint32_t)> interface_name = {};
  /// A canary of ours has come in, or something that smells of a loop; of the latter at most one a second.
  std::function<void(const CanaryReturn&)> report_canary = {};
  /// Step 10: tells the warden; its answer comes by hear_admission(). False: there will be none. Asked only where the
  /// snapshot has a gate.
  std::function<bool(const redirect::Admission&)> admit = {};
  /// Calls send_due() then; an earlier wish replaces a later one.
  std::function<void(MonotonicTime)> wake_at = {};
  const Clock& clock;
};

struct Options {
  cache::Options cache;
  std::uint64_t seed = 0;      ///< random; for hashes
  bool keeps_records = true;   ///< false: there is no query log
  dns::CookieSecrets cookies;  ///< equal for all workers
  CanaryCage canaries{};       ///< likewise
};

/// received = answered + dropped + waiting, at any time between calls: the conservation law of this room.
struct Statistics {
  std::uint64_t received = 0;
  std::uint64_t answered = 0;  ///< handed to the listener
  std::uint64_t dropped_by_verdict = 0;
  std::uint64_t dropped_malformed = 0;  ///< QR=1 or no header: never answered
  std::uint64_t waiting = 0;
  std::uint64_t held_back = 0;  ///< of the waiting ones: delayed by a rule or for admission, and counted below already
  // of the answered ones, and of those that are held back:
  std::uint64_t rejected = 0, refused_client = 0, over_limit = 0, rate_limited = 0, synthesized = 0, from_cache = 0,
                stale = 0, forwarded = 0, failed = 0;
  std::uint64_t intercepted = 0;  ///< of all received ones
  /// Responses that gave a restricted device addresses: when they left, the kernel knew; it did not (in time).
  std::uint64_t admitted = 0, unadmitted = 0;
  std::uint64_t beyond_lock = 0;  ///< of them, what a device's lock did not let pass
  std::uint64_t exchanges = 0, joined = 0, prefetches = 0;
  std::uint64_t servers_unknown = 0;  ///< answers whose name servers lists speak of and that could not be had in time
  std::uint64_t recorded = 0, records_lost = 0, not_recorded = 0;  ///< received - waiting = the sum of these three
};

class Resolver {
 public:
  Resolver(Options options, Doors doors, std::shared_ptr<const Snapshot> snapshot);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Between queries only. Returns the snapshot that was in use, to be released by control.
  [[nodiscard]] std::shared_ptr<const Snapshot> install(std::shared_ptr<const Snapshot> snapshot);
  /// Once per batch, before its queries: the batch's time, and what serve() will be given in this order, with the same
  /// octets, as far as that is known; one or the other may be left out.
  void begin_batch(Moment now, std::span<const dns::Octets> messages = {});
  /// Serves one query. Octets written to `out` (at least response_octets_max, or udp_octets_max for datagrams), or 0:
  /// dropped (`forget` was called), or it waits (`send` or `forget` is called later).
  [[nodiscard]] std::size_t serve(const listener::Arrival& arrival, std::span<std::uint8_t> out);
  /// What the warden says of an admission; a ticket of the past is passed over.
  void hear_admission(redirect::AdmissionAnswer answer);
  /// Sends what a rule has delayed until now, and what has waited for admission for too long.
  void send_due();
  [[nodiscard]] const Statistics& statistics() const;
  [[nodiscard]] const cache::Statistics& cache_statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::resolver

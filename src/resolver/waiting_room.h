// WaitingRoom: the queries of one worker that wait for an exchange, and which exchange each waits for.
//
// Identical questions in flight are one Flight with many Waiting queries. Slots are reused, so that after warm-up a
// miss costs no allocation here. Bounded in all and per client. One worker's loop only.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "cache/cache.h"
#include "dns/message.h"
#include "listener/arrival.h"
#include "policy/rule.h"
#include "querylog/record.h"
#include "resolver/resolver.h"
#include "response/synthesize.h"

namespace doline::resolver {

/// A query stripped to what finish() needs of it: header, question and, where it had one, a bare OPT record.
class KeptQuery {
 public:
  void keep(const dns::QueryView& query);
  /// Total: what was kept parses.
  [[nodiscard]] dns::QueryView view() const;

 private:
  std::uint16_t size_ = 0;
  std::array<std::uint8_t, query_kept_octets> octets_;
};

struct Waiting {
  KeptQuery query;
  listener::ReplyRoute route;
  Endpoint client;
  MonotonicTime received;
  response::Fit fit;
  std::optional<policy::Rewrite> rewrite;  ///< the question in flight is a rewrite's target
  querylog::Record record;
  std::shared_ptr<const Snapshot> snapshot;  ///< a query finishes under the snapshot it began with
  std::uint32_t next = 0;                    ///< of the same flight
};

using FlightId = std::uint32_t;

class WaitingRoom {
 public:
  WaitingRoom();

  struct Admission {
    Waiting* place = nullptr;  ///< null: no room for this query
    FlightId flight = 0;
    bool is_new_flight = false;  ///< the caller has to ask
  };
  /// A place for one more query of this client that waits for `key`; fields of the place are the caller's to fill.
  [[nodiscard]] Admission admit(const cache::Key& key, const IpAddress& client);
  /// A flight that nobody waits for (prefetch); nothing where one is under way or there is no room.
  [[nodiscard]] std::optional<FlightId> begin_prefetch(const cache::Key& key);
  [[nodiscard]] const cache::Key& key(FlightId flight) const { return flights_[flight].key; }
  /// Ends the flight: calls `take(Waiting&)` for each query in order of arrival, then frees their places. `take` must
  /// not call admit(): collect first, answer then.
  template <class Take>
  void land(FlightId flight, Take take) {
    std::uint32_t place = flights_[flight].first;
    while (place != none) {
      Waiting& waiting = places_[place];
      const std::uint32_t next = waiting.next;
      take(waiting);
      leave(place);
      place = next;
    }
    end(flight);
  }
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  struct Flight {
    cache::Key key;
    std::uint32_t first = none, last = none;
  };
  struct KeyHash {
    std::size_t operator()(const cache::Key& key) const;
  };
  std::optional<FlightId> begin_flight(const cache::Key& key);
  void leave(std::uint32_t place);
  void end(FlightId flight);

  std::vector<Waiting> places_;
  std::vector<std::uint32_t> free_places_;
  std::vector<Flight> flights_;
  std::vector<FlightId> free_flights_;
  std::unordered_map<cache::Key, FlightId, KeyHash> by_key_;
  std::unordered_map<IpAddress, std::uint32_t> per_client_;
  std::size_t waiting_ = 0;
};

}  // namespace doline::resolver

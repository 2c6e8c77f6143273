// WaitingRoom: the queries of one worker that wait for an exchange, and which exchange each waits for.
//
// Identical questions in flight are one Flight with many Waiting queries. Everything stands in slots that are reused
// and is found by chains through them, so that after warm-up a miss costs no allocation here. Bounded in all and per
// client. One worker's loop only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "cache/cache.h"
#include "dns/message.h"
#include "listener/arrival.h"
#include "policy/rule.h"
#include "querylog/record.h"
#include "resolver/resolver.h"
#include "response/finish.h"
#include "response/synthesize.h"

namespace doline::resolver {

/// A query stripped to what finish() needs of it: header, question and, where it had one, OPT without its options.
/// Stays where it is: its view borrows its own octets.
class KeptQuery {
 public:
  KeptQuery() = default;
  KeptQuery(const KeptQuery&) = delete;
  KeptQuery& operator=(const KeptQuery&) = delete;
  void keep(const dns::QueryView& query);
  /// Good until the next keep().
  [[nodiscard]] const dns::QueryView& view() const { return view_; }

 private:
  dns::QueryView view_;
  std::array<std::uint8_t, query_kept_octets> octets_;
};

/// How the question that is looked up differs from the client's.
struct Detour {
  /// Another name, to which a CNAME of ours leads; `forged` where a verdict of the operator's or of a list says so.
  enum class Name : std::uint8_t { own, target, forged_target };
  Name name = Name::own;
  std::optional<blocklist::ListId> list;         ///< that says so
  std::optional<std::uint32_t> target_ttl = {};  ///< of that CNAME, in seconds, where it is not that of all verdicts
  std::optional<std::uint32_t> ipv6_ttl;  ///< DNS64: A instead of AAAA; what is made of it lives no longer (seconds)

  [[nodiscard]] bool leads_elsewhere() const { return name != Name::own; }
};

struct Waiting {
  KeptQuery query;
  listener::ReplyRoute route;
  Endpoint client;
  MonotonicTime received;
  response::Fit fit;
  policy::InterfaceMask interfaces = 0;  ///< that it came by
  std::uint16_t delay_ms = 0;            ///< the rule's: answered not before so long after `received`
  Detour detour;
  querylog::Record record;
  /// The answer, where it is there and its name servers are asked for; empty: the answer is what is waited for.
  std::vector<std::uint8_t> words;
  response::Touches touches;                 ///< of these
  std::uint16_t asked_route = 0;             ///< they came by
  std::uint8_t waits = 0;                    ///< for name servers, until now
  std::shared_ptr<const Snapshot> snapshot;  ///< a query finishes under the snapshot it began with
  // The room's own:
  std::uint32_t place = 0;  ///< where it stands
  std::uint32_t next = 0;   ///< of the same flight, or of the free ones
  std::uint32_t share = 0;  ///< its client's
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
  /// While its flight lands: the query keeps its place and waits for `key`, which must be another. Null place: there is
  /// no room.
  [[nodiscard]] Admission wait_on(Waiting& waiting, const cache::Key& key);
  /// A flight that nobody waits for (prefetch); nothing where one is under way or there is no room.
  [[nodiscard]] std::optional<FlightId> begin_prefetch(const cache::Key& key);
  /// The same for a search of name servers.
  [[nodiscard]] std::optional<FlightId> begin_search(const cache::Key& key);
  [[nodiscard]] bool is_of_search(FlightId flight) const { return flights_.slots[flight].is_of_search; }
  [[nodiscard]] const cache::Key& key(FlightId flight) const { return flights_.slots[flight].key; }
  /// Nobody joins a flight any more that is under way now.
  void begin_era() { ++era_; }
  [[nodiscard]] bool is_of_this_era(FlightId flight) const { return flights_.slots[flight].era == era_; }
  /// Ends the flight: calls `take(Waiting&)` for each query in order of arrival, and frees the places of those for
  /// which it says true; the others go on waiting by wait_on(). `take` must not call admit(): collect first, answer
  /// then.
  template <class Take>
  void land(FlightId flight, Take take) {
    std::uint32_t place = flights_.slots[flight].first;
    while (place != none) {
      Waiting& waiting = *places_[place];
      const std::uint32_t next = waiting.next;
      if (take(waiting)) leave(place);
      place = next;
    }
    flights_.remove(flight);
  }
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  struct Flight {
    cache::Key key;
    std::uint64_t hash = 0;
    std::uint32_t era = 0;
    bool is_of_search = false;
    std::uint32_t next = none;  // of the same chain
    std::uint32_t first = none, last = none;
  };
  /// How many queries of one client wait.
  struct Share {
    IpAddress client;
    std::uint64_t hash = 0;
    std::uint32_t next = none;  // of the same chain
    std::uint32_t waiting = 0;
  };
  /// Slots that are reused, and chains of them by a hash.
  template <class Slot>
  struct Chained {
    std::vector<Slot> slots;
    std::uint32_t free = none;               // the first of those not in use, which are a chain too
    std::array<std::uint32_t, 2'048> heads;  // at waiting_max four to a chain

    Chained() { heads.fill(none); }
    std::uint32_t& head(std::uint64_t hash) {
      return heads[(hash >> 1) % heads.size()];
    }  // bit 0 may be the same in all
    template <class IsIt>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, IsIt is_it) {
      std::uint32_t slot = head(hash);
      while (slot != none && (slots[slot].hash != hash || !is_it(slots[slot]))) slot = slots[slot].next;
      return slot;
    }
    std::uint32_t add(std::uint64_t hash) {
      if (free == none) {
        free = static_cast<std::uint32_t>(slots.size());
        slots.emplace_back();
      }
      const std::uint32_t slot = std::exchange(free, slots[free].next);
      slots[slot].hash = hash;
      slots[slot].next = std::exchange(head(hash), slot);
      return slot;
    }
    void remove(std::uint32_t slot) {
      std::uint32_t* link = &head(slots[slot].hash);
      while (*link != slot) link = &slots[*link].next;
      *link = std::exchange(slots[slot].next, std::exchange(free, slot));
    }
  };

  static std::uint64_t hash_of(const cache::Key& key);
  static std::uint64_t hash_of(const IpAddress& client) { return std::hash<IpAddress>{}(client); }
  [[nodiscard]] FlightId find_flight(const cache::Key& key, std::uint64_t hash);
  FlightId begin_flight(const cache::Key& key, std::uint64_t hash);
  Admission flight_for(const cache::Key& key);
  void join(std::uint32_t place, FlightId flight);
  void leave(std::uint32_t place);

  std::vector<std::unique_ptr<Waiting>> places_;
  std::uint32_t free_place_ = none;  // the first of them
  Chained<Flight> flights_;
  Chained<Share> shares_;
  std::size_t waiting_ = 0;
  std::uint32_t era_ = 0;
};

}  // namespace doline::resolver

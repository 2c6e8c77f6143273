#include "resolver/waiting_room.h"

#include <cstring>

#include "base/check.h"

namespace doline::resolver {

void KeptQuery::keep(const dns::QueryView& query) {
  const std::size_t size = dns::header_octets + query.question().qname.size() + 4;
  std::memcpy(octets_.data(), query.octets().data(), size);
  view_.keep(query, {octets_.data(), size});
}

std::uint64_t WaitingRoom::hash_of(const cache::Key& key) {
  if (key.hash != 0) return key.hash;
  const std::uint64_t extra =
      key.route | std::uint64_t{key.dnssec_ok} << 16 | std::uint64_t{key.checking_disabled} << 17;
  return key.question.hash(extra);
}

WaitingRoom::WaitingRoom() {
  places_.reserve(64);
}

FlightId WaitingRoom::find_flight(const cache::Key& key, std::uint64_t hash) {
  return flights_.find(hash, [&](const Flight& flight) { return flight.era == era_ && flight.key == key; });
}

/// none where there is no room.
FlightId WaitingRoom::begin_flight(const cache::Key& key, std::uint64_t hash) {
  if (flights_.free == none && flights_.slots.size() >= waiting_max) return none;
  const FlightId id = flights_.add(hash);
  Flight& flight = flights_.slots[id];
  flight.key = key;
  flight.era = era_;
  flight.is_of_search = false;
  flight.first = flight.last = none;
  return id;
}

/// The one that is under way, or a new one; none where there is no room.
WaitingRoom::Admission WaitingRoom::flight_for(const cache::Key& key) {
  const std::uint64_t hash = hash_of(key);
  Admission admission{.place = nullptr, .flight = find_flight(key, hash)};
  if (admission.flight != none) return admission;
  admission.flight = begin_flight(key, hash);
  admission.is_new_flight = admission.flight != none;
  return admission;
}

WaitingRoom::Admission WaitingRoom::admit(const cache::Key& key, const IpAddress& client) {
  if (waiting_ >= waiting_max) return {};
  const std::uint64_t hash = hash_of(client);
  std::uint32_t share = shares_.find(hash, [&](const Share& each) { return each.client == client; });
  if (share != none && shares_.slots[share].waiting >= waiting_per_client_max) return {};
  Admission admission = flight_for(key);
  if (admission.flight == none) return {};
  if (share == none) {
    share = shares_.add(hash);
    shares_.slots[share].client = client;
  }
  ++shares_.slots[share].waiting;
  ++waiting_;
  if (free_place_ == none) {
    free_place_ = static_cast<std::uint32_t>(places_.size());
    places_.push_back(std::make_unique<Waiting>());
    places_.back()->next = none;
  }
  const std::uint32_t place = std::exchange(free_place_, places_[free_place_]->next);
  join(place, admission.flight);
  Waiting& waiting = *places_[place];
  waiting.place = place;
  waiting.share = share;
  admission.place = &waiting;
  return admission;
}

void WaitingRoom::join(std::uint32_t place, FlightId flight_id) {
  Flight& flight = flights_.slots[flight_id];
  (flight.first == none ? flight.first : places_[flight.last]->next) = place;
  flight.last = place;
  places_[place]->next = none;
}

WaitingRoom::Admission WaitingRoom::wait_on(Waiting& waiting, const cache::Key& key) {
  Admission admission = flight_for(key);
  if (admission.flight == none) return {};
  join(waiting.place, admission.flight);
  admission.place = &waiting;
  return admission;
}

std::optional<FlightId> WaitingRoom::begin_prefetch(const cache::Key& key) {
  const std::uint64_t hash = hash_of(key);
  if (find_flight(key, hash) != none) return std::nullopt;
  const FlightId flight = begin_flight(key, hash);
  return flight == none ? std::nullopt : std::optional(flight);
}

std::optional<FlightId> WaitingRoom::begin_search(const cache::Key& key) {
  const auto flight = begin_prefetch(key);
  if (flight) flights_.slots[*flight].is_of_search = true;
  return flight;
}

void WaitingRoom::leave(std::uint32_t place) {
  Waiting& waiting = *places_[place];
  waiting.snapshot.reset();
  if (!waiting.words.empty()) std::vector<std::uint8_t>().swap(waiting.words);  // few and seldom, but up to 64 KiB
  Share& share = shares_.slots[waiting.share];
  check(share.waiting > 0);
  if (--share.waiting == 0) shares_.remove(waiting.share);
  waiting.next = std::exchange(free_place_, place);
  --waiting_;
}

}  // namespace doline::resolver

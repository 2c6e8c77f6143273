#include "resolver/waiting_room.h"

#include <cstring>

#include "base/check.h"
#include "dns/writer.h"

namespace doline::resolver {

void KeptQuery::keep(const dns::QueryView& query) {
  dns::MessageWriter writer(octets_);
  dns::Flags flags;
  flags.response = false;
  flags.recursion_desired = query.recursion_desired();
  flags.recursion_available = false;
  flags.authentic_data = query.authentic_data();
  flags.checking_disabled = query.checking_disabled();
  writer.header(query.id(), flags, dns::ResponseCode::noerror);
  check(writer.question(query.question()));
  if (query.edns()) {
    dns::OptRecord opt;
    opt.udp_payload_size = query.edns()->udp_payload_size;
    opt.dnssec_ok = query.edns()->dnssec_ok;
    check(writer.opt(opt));
  }
  size_ = static_cast<std::uint16_t>(writer.size());
}

dns::QueryView KeptQuery::view() const {
  auto view = dns::QueryView::parse({octets_.data(), size_});
  check(view.has_value());
  return *view;
}

std::size_t WaitingRoom::KeyHash::operator()(const cache::Key& key) const {
  const std::uint64_t extra =
      key.route | std::uint64_t{key.dnssec_ok} << 16 | std::uint64_t{key.checking_disabled} << 17;
  return static_cast<std::size_t>(key.question.hash(extra));
}

WaitingRoom::WaitingRoom() {
  places_.reserve(64);
  flights_.reserve(64);
}

std::optional<FlightId> WaitingRoom::begin_flight(const cache::Key& key) {
  FlightId flight;
  if (!free_flights_.empty()) {
    flight = free_flights_.back();
    free_flights_.pop_back();
  } else {
    if (flights_.size() >= waiting_max) return std::nullopt;
    flight = static_cast<FlightId>(flights_.size());
    flights_.emplace_back();
  }
  flights_[flight] = Flight{key, none, none};
  by_key_.emplace(key, flight);
  return flight;
}

WaitingRoom::Admission WaitingRoom::admit(const cache::Key& key, const IpAddress& client) {
  if (waiting_ >= waiting_max) return {};
  std::uint32_t& of_client = per_client_[client];
  if (of_client >= waiting_per_client_max) return {};
  Admission admission;
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    admission.flight = found->second;
  } else {
    const auto flight = begin_flight(key);
    if (!flight) {
      if (of_client == 0) per_client_.erase(client);
      return {};
    }
    admission.flight = *flight;
    admission.is_new_flight = true;
  }
  std::uint32_t place;
  if (!free_places_.empty()) {
    place = free_places_.back();
    free_places_.pop_back();
  } else {
    place = static_cast<std::uint32_t>(places_.size());
    places_.emplace_back();
  }
  ++of_client;
  ++waiting_;
  Flight& flight = flights_[admission.flight];
  (flight.first == none ? flight.first : places_[flight.last].next) = place;
  flight.last = place;
  places_[place].next = none;
  places_[place].client.address = client;
  admission.place = &places_[place];
  return admission;
}

std::optional<FlightId> WaitingRoom::begin_prefetch(const cache::Key& key) {
  if (by_key_.contains(key)) return std::nullopt;
  return begin_flight(key);
}

void WaitingRoom::leave(std::uint32_t place) {
  Waiting& waiting = places_[place];
  waiting.snapshot.reset();
  const auto of_client = per_client_.find(waiting.client.address);
  check(of_client != per_client_.end() && of_client->second > 0);
  if (--of_client->second == 0) per_client_.erase(of_client);
  free_places_.push_back(place);
  --waiting_;
}

void WaitingRoom::end(FlightId flight) {
  by_key_.erase(flights_[flight].key);
  free_flights_.push_back(flight);
}

}  // namespace doline::resolver

// ClientBook: who asks. A client's address, or what a trusted router says of whom it asks for, leads to its device and
// to what that means for a query.
//
// One place for each hash of an address, so that anyone's made-up addresses take no more room. Answers are good until
// the next call. One worker's loop only.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "device/mac_address.h"
#include "device/roster.h"
#include "dns/message.h"
#include "listener/arrival.h"
#include "resolver/snapshot.h"

namespace doline::resolver {

inline constexpr std::size_t clients_known_max = 1'024;  ///< client addresses of which it is remembered whose they are
inline constexpr int strangers_looked_for_max = 256;     ///< a second; anyone can make up addresses
/// So long a query waits for the kernel to find out whose address it came from.
inline constexpr milliseconds neighbour_patience{250};

/// What the snapshot says of a client's address.
struct Client {
  IpAddress address;
  const device::Device* device = nullptr;  ///< null: of nobody yet
  device::GroupMask groups = 0;
  device::LogChoice log = device::LogChoice::full;
  bool may_ask = false;                               ///< of its own accord: whom the redirect brings home may always
  bool may_speak_for_others = false;                  ///< a trusted router
  std::uint64_t bucket = 0;                           ///< of the rate tally, where there is one
  MonotonicTime look_again{};                         ///< for the MAC, where no device of the roster has the address
  MonotonicTime is_met_until{};                       ///< the kernel is finding it out, until then at the latest
  MonotonicTime report_again = MonotonicTime::min();  ///< that it is unknown
};

/// Whom the redirect brought home is of this house, whatever its address (IPv6 at home is public): its rules take from
/// the LAN's interfaces only. Refused, it would be cut off from the resolver it meant, too. So is whom a trusted router
/// passes on. A port that stands for a resolver is open to everybody.
[[nodiscard]] inline bool is_ours(const Client& client, const listener::Arrival& arrival) {
  return client.may_ask || arrival.is_passed_on() ||
         (arrival.destination.is_intercepted() && arrival.destination.source != device::DestinationSource::port_map);
}

class ClientBook {
 public:
  /// `find_mac`: as the kernel knows it, for a client that is no known device; asked seldom. `meet`: has the kernel
  /// find it out; false: it cannot. `report_stranger`: of these, once a minute while it is remembered.
  ClientBook(bool keeps_records, std::function<std::optional<device::MacAddress>(const IpAddress&)> find_mac,
             std::function<bool(const IpAddress&)> meet, std::function<void(const IpAddress&)> report_stranger);

  /// Forgets all of them. `snapshot` lives until the next call.
  void install(const Snapshot& snapshot);
  /// A known device at an address that the roster has not heard of is known by its MAC: the first question after a
  /// device has come home is judged like every other. While the kernel is finding that out (`is_met_until`), it is to
  /// be asked for again at `look_again`.
  const Client& identify(const listener::Arrival& arrival, MonotonicTime now) {
    const IpAddress& address = arrival.is_passed_on() ? arrival.behind : arrival.client.address;
    Client& client = clients_[std::hash<IpAddress>{}(address) % clients_known_max];
    if (client.device == nullptr || client.address != address) begin(client, address);
    if (now >= client.look_again && is_ours(client, arrival)) look_at(client, now);
    return client;
  }
  /// For whom a trusted router asks: by MAC or client id, or by address (client subnet of a single host).
  const Client& identify_behind(const Client& router, const dns::Edns& edns);

 private:
  void begin(Client& client, const IpAddress& address) const;
  void describe_as(Client& client, const device::Device& device) const;
  void look_at(Client& client, MonotonicTime now);

  const bool keeps_records_;
  std::function<std::optional<device::MacAddress>(const IpAddress&)> find_mac_;
  std::function<bool(const IpAddress&)> meet_;
  std::function<void(const IpAddress&)> report_stranger_;
  const Snapshot* snapshot_ = nullptr;
  std::vector<Client> clients_;
  Client behind_router_;  // of the query that is served
  int looks_left_ = 0;    // before looks_end_
  MonotonicTime looks_end_{};
};

}  // namespace doline::resolver

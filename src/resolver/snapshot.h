// Snapshot: everything a query may read, frozen, with a generation number.
//
// Built and finally released by control; installed on workers by message between handlers. Everything that changes
// answers goes through a new snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "blocklist/list_set.h"
#include "device/roster.h"
#include "dns/name.h"
#include "geo/place_book.h"
#include "geo/resolver_book.h"
#include "policy/rebinding.h"
#include "policy/rule_book.h"
#include "resolver/gate.h"
#include "resolver/rate_limit.h"
#include "response/dns64.h"
#include "response/local_records.h"
#include "response/synthesize.h"
#include "upstream/exchange.h"

namespace doline::resolver {

/// A name that goes elsewhere with all below it (`forward:`).
struct ForwardZone {
  dns::Name suffix;  ///< small letters
  policy::RouteId route;
};

/// What is said to a client that notifies us of a zone (RFC 1996): octets of `out`, 0 for nothing. Any thread.
using AnswerNotification =
    std::function<std::size_t(const IpAddress& client, dns::Octets message, WallTime now, std::span<std::uint8_t> out)>;

struct Snapshot {
  std::uint64_t generation = 0;
  std::shared_ptr<const device::Roster> roster;
  std::shared_ptr<const blocklist::ListSet> lists;
  std::shared_ptr<const policy::RuleBook> rules;
  std::shared_ptr<const geo::ResolverBook> resolvers;
  std::shared_ptr<const geo::PlaceBook> places;  ///< null: no database is configured
  response::BlockSettings block;
  std::shared_ptr<const response::LocalRecords> local;  ///< after the operator's rules, before lists; null: none
  std::vector<ForwardZone> forward_zones;               ///< longest suffix first
  response::SpecialUse special_use;                     ///< after rules and forward_zones
  std::shared_ptr<const response::Dns64> dns64;         ///< null: off
  std::shared_ptr<const upstream::Options> upstream;    ///< the same pointer while `upstreams:` is unchanged
  std::uint64_t era = 0;  ///< answers of another are of no use: other upstreams gave them, or they were to be forgotten
  policy::RebindingSettings rebinding;
  std::shared_ptr<RateTally> rate_tally;   ///< null: unlimited
  std::shared_ptr<const Gate> gate;        ///< null: nobody is restricted
  AnswerNotification answer_notification;  ///< null: no list is transferred, and NOTIFY is as any other opcode
  std::vector<IpPrefix> trusted_routers;   ///< whose EDNS client data and PROXY headers are believed
  std::vector<IpPrefix> allow_clients;     ///< who may ask; `any` is 0.0.0.0/0 and ::/0
};

}  // namespace doline::resolver

// review_device(): what a device has looked up, by who has registered the names, and connected to: for `doline device
// review`, and for the lock that is made of it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "dns/name.h"
#include "dns/public_suffix.h"
#include "geo/place_book.h"
#include "geo/resolver_book.h"
#include "querylog/flow_reader.h"
#include "querylog/log_reader.h"

namespace doline {

inline constexpr std::size_t reviewed_names_max = 100'000;       ///< of one review; queries of further ones are counted
inline constexpr std::size_t reviewed_connections_max = 10'000;  ///< as well

struct ReviewedName {
  dns::Name name;
  std::uint64_t queries = 0;
  std::uint64_t let_through = 0;  ///< forwarded, or answered by a local name or a rewrite
};

struct ReviewedGroup {
  dns::Name registrable;
  bool covers_below = true;         ///< all below it are one owner's
  std::vector<ReviewedName> names;  ///< most asked first
  std::uint64_t queries = 0, let_through = 0;
  WallTime first = WallTime::max(), last = WallTime::min();
  std::map<std::string, std::uint64_t> verdicts;
  std::set<std::string> places;                    ///< of the addresses answered: `CN`, `AS4134`
  std::map<std::string, std::uint64_t> meant_for;  ///< queries by foreign resolver, as describe_resolver() has it
};

/// Connections to one address and port.
struct ReviewedConnection {
  IpAddress address;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  std::uint64_t times = 0, octets_out = 0, octets_in = 0;
  WallTime first = WallTime::max(), last = WallTime::min();
  std::set<std::string> names;         ///< under which it was looked up
  std::set<std::string> explanations;  ///< `without lookup`
  bool needs_flow = false;             ///< at least once no look-up explained it, and it is no resolver: a lock has to
                                       ///< allow it as such
};

struct DeviceReview {
  std::vector<ReviewedGroup> groups;            ///< most asked first
  std::vector<ReviewedConnection> connections;  ///< most often first; empty too where they are not watched
  std::uint64_t queries = 0;
  std::uint64_t passed_over = 0;  ///< of them, of names past reviewed_names_max
  std::uint64_t connected = 0;    ///< connections in all
};

[[nodiscard]] Result<DeviceReview, querylog::DatabaseFault> review_device(querylog::LogReader& log,
                                                                          const querylog::LogFilter& filter,
                                                                          const dns::PublicSuffixes& suffixes,
                                                                          const geo::ResolverBook& resolvers,
                                                                          const geo::PlaceBook& places);
/// Adds what the log has of connections.
[[nodiscard]] Result<void, querylog::DatabaseFault> review_connections(querylog::FlowReader& log,
                                                                       const querylog::FlowFilter& filter,
                                                                       DeviceReview& review);

}  // namespace doline

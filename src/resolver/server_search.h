// ServerSearch: which name servers an answer comes from, for lists that speak of them (RPZ's NSDNAME and NSIP). A
// forwarder does not meet them: it asks upstream for the NS records of the zone and the addresses of its servers, as it
// asks anything, so that they are known until their TTL runs out.
//
// Looks into the cache alone and says what is missing there; the driver asks, and the query waits with its answer in
// hand. Bounded for each answer, whatever zones point at (NXNSAttack). One worker's loop; allocates nothing after the
// first searches.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "cache/cache.h"
#include "dns/message.h"
#include "dns/name.h"

namespace doline::resolver {

inline constexpr std::size_t server_names_max = 8;      ///< name servers of one answer that are judged
inline constexpr std::size_t server_addresses_max = 4;  ///< of these, whose addresses are asked for
inline constexpr int server_zones_max = 3;  ///< names of one answer whose zones are searched: it and its CNAMEs
inline constexpr int server_steps_max = 6;  ///< questions for NS records on the way up to a zone
inline constexpr int server_waits_max = 8;  ///< times that one query waits for such questions
inline constexpr std::size_t server_words_octets_max = std::size_t{8} << 20;  ///< of answers that wait, of one worker
inline constexpr seconds server_ttl_min{
    10};  ///< what was asked for is kept so long, or no zone without TTL were judged
inline constexpr milliseconds server_patience{2'500};  ///< since the query came; then its answer is given without

/// Of all zones that an answer comes from.
struct Servers {
  std::vector<dns::Name> names;      ///< small letters, in canonical order
  std::vector<IpAddress> addresses;  ///< ascending
  [[nodiscard]] bool are_none() const { return names.empty() && addresses.empty(); }
};

class ServerSearch {
 public:
  struct Order {
    dns::Octets words;             ///< of the answer, as accept() made them
    std::uint16_t route = 0;       ///< that was asked
    bool wants_addresses = false;  ///< some list speaks of them
  };
  /// `has_failed`: a question that upstream did not answer a moment ago is not asked again; what it would tell stays
  /// unknown.
  void search(cache::Cache& cache, const Order& order, MonotonicTime now,
              const std::function<bool(const cache::Key&)>& has_failed);

  /// Good until the next search.
  [[nodiscard]] const Servers& found() const { return found_; }
  /// What is to be asked, before more is known; empty: the search is over.
  [[nodiscard]] std::span<const cache::Key> missing() const { return missing_; }
  /// Something could not be had.
  [[nodiscard]] bool is_unknown() const { return is_unknown_; }

 private:
  struct Look;
  void search_zone(const Look& look, dns::Name name);
  void search_addresses(const Look& look, const dns::Name& server);

  Servers found_;
  std::vector<cache::Key> missing_;
  std::vector<IpAddress> scratch_;
  std::vector<dns::Name> zones_;  // searched already
  bool is_unknown_ = false;
};

}  // namespace doline::resolver

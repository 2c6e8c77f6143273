// finish(): the last touches on upstream's (or the cache's) words for this very client.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "dns/message.h"
#include "response/synthesize.h"

namespace doline::response {

/// What to put on the words before they leave.
struct Touches {
  std::uint32_t age_seconds = 0;                  ///< subtracted from every TTL, not below 0
  std::optional<std::uint32_t> ttl_seconds = {};  ///< instead, the same TTL for all (stale answers: 30, RFC 8767 §4)
  std::optional<dns::ExtendedError> error = {};
  std::string_view error_text = {};
};

/// `words`: a message as upstream::accept() makes it (no OPT, TTL offsets known). Copies it to `out` with the query's
/// ID, RD, CD and question in the client's case, RA set, TTLs aged, AD only where the client asked for it (DO or AD),
/// DNSSEC records only with DO, OPT where the query had one, and TC with an empty answer section where it does not fit
/// `fit.octets_max`. Returns the octets written.
[[nodiscard]] std::size_t finish(const dns::QueryView& query, dns::Octets words, const Touches& touches, const Fit& fit,
                                 std::span<std::uint8_t> out);

}  // namespace doline::response

// Batch: events on their way from the warden to the log writer, one packet of a SOCK_SEQPACKET socket each.
//
// The warden never waits: what does not fit into the socket is dropped and counted, and each batch carries the count.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "flows/event.h"
#include "redirect/request.h"

namespace doline::flows {

inline constexpr std::size_t events_per_batch = 64;
/// More than a full batch takes.
inline constexpr std::size_t batch_octets_max = 64 * 1024;

struct Batch {
  std::uint64_t lost = 0;  ///< events since the warden began to watch: in the kernel, or on their way here
  std::vector<Event> events;
  bool operator==(const Batch&) const = default;
};

/// At most events_per_batch; more break an invariant. Packets longer than redirect::query_octets_logged are cut.
[[nodiscard]] std::vector<std::uint8_t> write_batch(const Batch& batch);
[[nodiscard]] Result<Batch, redirect::MessageFault> parse_batch(std::span<const std::uint8_t> octets);

}  // namespace doline::flows

// What the warden hands on of connections, and the packets in it: any octets are a batch or a fault, a packet or none;
// what was parsed is written and parsed to the same again, and questions are within their limits.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "flows/batch.h"
#include "flows/packet.h"

using namespace doline;
using namespace doline::flows;

namespace {

void look(dns::Octets octets) {
  const auto packet = parse_packet(octets);
  if (!packet) return;
  check(packet->payload.size() <= octets.size());
  check(packet->payload.empty() || (packet->payload.data() > octets.data() &&
                                    packet->payload.data() + packet->payload.size() <= octets.data() + octets.size()));
  check(questions_of(*packet).size() <= questions_per_packet_max);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> octets(data, size);
  look(octets);
  const auto batch = parse_batch(octets);
  if (!batch) return 0;
  check(batch->events.size() <= events_per_batch);
  check(parse_batch(write_batch(*batch)) == *batch);
  for (const Event& event : batch->events)
    if (const auto* packet = std::get_if<LoggedPacket>(&event)) look(packet->octets);
  return 0;
}

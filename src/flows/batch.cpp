#include "flows/batch.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "redirect/wire.h"

namespace doline::flows {

namespace {

using redirect::WireReader;
using redirect::WireWriter;

void write(WireWriter& out, const LoggedPacket& packet) {
  out.integer(static_cast<std::uint64_t>(packet.time.time_since_epoch().count()));
  out.mac(packet.mac);
  out.text(packet.interface);
  out.integer(static_cast<std::uint8_t>(packet.rule));
  const std::size_t kept = std::min(packet.octets.size(), redirect::query_octets_logged);
  out.text({reinterpret_cast<const char*>(packet.octets.data()), kept});
}

LoggedPacket read_packet(WireReader& in) {
  LoggedPacket packet;
  packet.time = WallTime(microseconds(static_cast<std::int64_t>(in.integer<std::uint64_t>())));
  packet.mac = in.mac();
  packet.interface = in.text(redirect::interface_name_max);
  packet.rule = in.enumerator(LoggedBy::refused);
  const std::string octets = in.text(redirect::query_octets_logged);
  packet.octets.assign(octets.begin(), octets.end());
  return packet;
}

void write(WireWriter& out, const TrafficReport& report) {
  out.integer(report.tuple.protocol);
  out.endpoint(report.tuple.client);
  out.endpoint(report.tuple.destination);
  const Traffic& traffic = report.traffic;
  for (const std::uint64_t count : {traffic.packets_out, traffic.octets_out, traffic.packets_in, traffic.octets_in})
    out.integer(count);
  out.integer(static_cast<std::uint8_t>(report.has_ended));
}

TrafficReport read_report(WireReader& in) {
  TrafficReport report;
  report.tuple.protocol = in.integer<std::uint8_t>();
  report.tuple.client = in.endpoint();
  report.tuple.destination = in.endpoint();
  Traffic& traffic = report.traffic;
  for (std::uint64_t* count : {&traffic.packets_out, &traffic.octets_out, &traffic.packets_in, &traffic.octets_in})
    *count = in.integer<std::uint64_t>();
  report.has_ended = in.boolean();
  return report;
}

}  // namespace

std::vector<std::uint8_t> write_batch(const Batch& batch) {
  check(batch.events.size() <= events_per_batch);
  WireWriter out;
  out.integer(batch.lost);
  out.list(batch.events, [&](const Event& event) {
    out.integer(static_cast<std::uint8_t>(event.index()));
    std::visit([&](const auto& body) { write(out, body); }, event);
  });
  return out.take();
}

Result<Batch, redirect::MessageFault> parse_batch(std::span<const std::uint8_t> octets) {
  WireReader in(octets);
  Batch batch;
  batch.lost = in.integer<std::uint64_t>();
  batch.events = in.list<Event>(events_per_batch, [&]() -> Event {
    switch (in.integer<std::uint8_t>()) {
      case 0:
        return read_packet(in);
      case 1:
        return read_report(in);
      default:
        in.fail();
        return {};
    }
  });
  if (!in.is_complete()) return fail(redirect::MessageFault::malformed);
  return batch;
}

}  // namespace doline::flows

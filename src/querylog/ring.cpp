#include "querylog/ring.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace doline::querylog {

namespace {

// A frame: its octets (a multiple of 8), then the record. A frame never wraps: where one would, the rest of the buffer
// is skipped.
using FrameSize = std::uint32_t;
constexpr FrameSize skip = 0xffffffff;
constexpr std::size_t alignment = 8;
// Behind each so many octets it is looked whether all have been drained: then the ring begins anew, and what only a
// burst needs of it costs no memory without one.
constexpr std::size_t stretch_octets = 64 << 10;

/// A record without its names and addresses that are absent; memcpy'd, so that padding never leaves the process.
struct Fixed {
  std::int64_t time;
  std::uint64_t generation;
  std::uint32_t device;
  std::uint32_t list_set;
  std::uint32_t latency_us;
  std::uint32_t response_octets;
  std::uint16_t qtype;
  std::uint16_t rule;
  std::uint16_t observed_rule;
  std::uint16_t code;
  std::uint16_t destination_port;
  std::uint16_t upstream_port;
  std::uint8_t qname_octets;
  std::uint8_t destination_source;
  std::uint8_t transport;
  std::uint8_t verdict;
  std::uint8_t observed;
  std::uint8_t source;
  std::uint8_t dnssec;
  std::uint8_t log;
  std::uint8_t flags;
};
constexpr std::uint8_t flag_listing = 1, flag_observed = 2, flag_destination = 4, flag_upstream = 8, flag_withheld = 16;
constexpr std::size_t address_octets = 16;

constexpr std::size_t round_up(std::size_t octets) {
  return (octets + alignment - 1) & ~(alignment - 1);
}

std::uint8_t* put(std::uint8_t* at, const void* from, std::size_t octets) {
  if (octets != 0) std::memcpy(at, from, octets);
  return at + octets;
}

}  // namespace

// `head` counts octets ever written, `tail` octets ever read; their difference is what is used. Each has its own cache
// line, and each side keeps a copy of the other's counter, so that a line travels between cores once in many records.
struct Ring::Impl {
  explicit Impl(std::size_t octets) : size(octets), buffer(std::make_unique_for_overwrite<std::uint8_t[]>(octets)) {}

  const std::size_t size;
  const std::unique_ptr<std::uint8_t[]> buffer;
  alignas(64) std::atomic<std::uint64_t> head{0};
  std::uint64_t tail_seen = 0;  // the producer's copy
  std::atomic<std::uint64_t> pushed{0};
  std::atomic<std::uint64_t> dropped{0};
  alignas(64) std::atomic<std::uint64_t> tail{0};
};

Ring::Ring(std::size_t octets) {
  check(std::has_single_bit(octets) && octets >= ring_octets_min && octets < skip);
  impl_ = std::make_unique<Impl>(octets);
}

Ring::~Ring() = default;

bool Ring::push(const Record& record, dns::Octets response) {
  Impl& ring = *impl_;
  Fixed fixed{};
  fixed.time = record.time.time_since_epoch().count();
  fixed.generation = record.generation;
  fixed.device = record.device.value;
  fixed.list_set = record.list_set;
  fixed.latency_us = record.latency_us;
  fixed.response_octets = static_cast<std::uint32_t>(response.size());
  fixed.qtype = static_cast<std::uint16_t>(record.qtype);
  fixed.rule = record.rule.value;
  fixed.observed_rule = record.observed_rule.value;
  fixed.code = static_cast<std::uint16_t>(record.code);
  fixed.destination_port = record.destination.endpoint.port;
  fixed.upstream_port = record.upstream.port;
  fixed.qname_octets = static_cast<std::uint8_t>(record.qname.size());
  fixed.destination_source = static_cast<std::uint8_t>(record.destination.source);
  fixed.transport = static_cast<std::uint8_t>(record.transport);
  fixed.verdict = static_cast<std::uint8_t>(record.verdict);
  fixed.observed = static_cast<std::uint8_t>(record.observed);
  fixed.source = static_cast<std::uint8_t>(record.source);
  fixed.dnssec = static_cast<std::uint8_t>(record.dnssec);
  fixed.log = static_cast<std::uint8_t>(record.log);
  if (record.has_listing) fixed.flags |= flag_listing;
  if (record.has_observed) fixed.flags |= flag_observed;
  if (record.is_withheld) fixed.flags |= flag_withheld;
  if (record.destination.endpoint.address != IpAddress{}) fixed.flags |= flag_destination;
  if (record.upstream.address != IpAddress{}) fixed.flags |= flag_upstream;

  const std::size_t octets = round_up(
      sizeof(FrameSize) + sizeof fixed + address_octets + ((fixed.flags & flag_destination) != 0 ? address_octets : 0) +
      ((fixed.flags & flag_upstream) != 0 ? address_octets : 0) + record.qname.size() + response.size());
  const std::uint64_t head = ring.head.load(std::memory_order_relaxed);
  const std::size_t offset = static_cast<std::size_t>(head & (ring.size - 1));
  const bool ends_stretch = offset % stretch_octets + octets > stretch_octets;
  const bool begins_anew = ends_stretch && octets <= offset && head == ring.tail.load(std::memory_order_acquire);
  const std::size_t skipped = begins_anew || ring.size - offset < octets ? ring.size - offset : 0;
  if (begins_anew) ring.tail_seen = head;
  if (octets > ring.size || head + skipped + octets - ring.tail_seen > ring.size) {
    ring.tail_seen = ring.tail.load(std::memory_order_acquire);
    if (octets > ring.size || head + skipped + octets - ring.tail_seen > ring.size) {
      ring.dropped.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  }
  if (skipped != 0) std::memcpy(ring.buffer.get() + offset, &skip, sizeof skip);
  std::uint8_t* at = ring.buffer.get() + (skipped != 0 ? 0 : offset);
  const auto frame = static_cast<FrameSize>(octets);
  at = put(at, &frame, sizeof frame);
  at = put(at, &fixed, sizeof fixed);
  at = put(at, record.client.mapped().data(), address_octets);
  if ((fixed.flags & flag_destination) != 0)
    at = put(at, record.destination.endpoint.address.mapped().data(), address_octets);
  if ((fixed.flags & flag_upstream) != 0) at = put(at, record.upstream.address.mapped().data(), address_octets);
  at = put(at, record.qname.wire().data(), record.qname.size());
  put(at, response.data(), response.size());
  // Counted before it can be drained, so that pushed() is never behind the writer.
  ring.pushed.fetch_add(1, std::memory_order_relaxed);
  ring.head.store(head + skipped + octets, std::memory_order_release);
  return true;
}

std::size_t Ring::drain(const std::function<void(const Record&, dns::Octets response)>& take) {
  Impl& ring = *impl_;
  const std::uint64_t head = ring.head.load(std::memory_order_acquire);
  std::uint64_t tail = ring.tail.load(std::memory_order_relaxed);
  std::size_t count = 0;
  Record record;
  while (tail != head) {
    const std::size_t offset = static_cast<std::size_t>(tail & (ring.size - 1));
    const std::uint8_t* at = ring.buffer.get() + offset;
    FrameSize frame;
    std::memcpy(&frame, at, sizeof frame);
    if (frame == skip) {
      tail += ring.size - offset;
      continue;
    }
    Fixed fixed;
    std::memcpy(&fixed, at + sizeof frame, sizeof fixed);
    at += sizeof frame + sizeof fixed;
    const auto take_address = [&at](IpAddress& address, bool is_there) {
      address = is_there ? IpAddress::from_octets({at, address_octets}) : IpAddress{};
      if (is_there) at += address_octets;
    };
    record.time = WallTime(microseconds(fixed.time));
    record.generation = fixed.generation;
    record.device.value = fixed.device;
    take_address(record.client, true);
    take_address(record.destination.endpoint.address, (fixed.flags & flag_destination) != 0);
    record.destination.endpoint.port = fixed.destination_port;
    record.destination.source = static_cast<device::DestinationSource>(fixed.destination_source);
    record.transport = static_cast<Transport>(fixed.transport);
    record.qtype = static_cast<dns::RecordType>(fixed.qtype);
    record.verdict = static_cast<VerdictKind>(fixed.verdict);
    record.rule.value = fixed.rule;
    record.list_set = fixed.list_set;
    record.has_listing = (fixed.flags & flag_listing) != 0;
    record.has_observed = (fixed.flags & flag_observed) != 0;
    record.is_withheld = (fixed.flags & flag_withheld) != 0;
    record.observed_rule.value = fixed.observed_rule;
    record.observed = static_cast<VerdictKind>(fixed.observed);
    record.source = static_cast<Source>(fixed.source);
    record.code = static_cast<dns::ResponseCode>(fixed.code);
    take_address(record.upstream.address, (fixed.flags & flag_upstream) != 0);
    record.upstream.port = fixed.upstream_port;
    record.latency_us = fixed.latency_us;
    record.dnssec = static_cast<Dnssec>(fixed.dnssec);
    record.log = static_cast<device::LogChoice>(fixed.log);
    check(record.qname.assign_wire({at, fixed.qname_octets}).has_value());
    at += fixed.qname_octets;
    take(record, {at, fixed.response_octets});
    tail += frame;
    ++count;
    // Room is given back record by record: a slow writer does not hold what it has already taken.
    ring.tail.store(tail, std::memory_order_release);
  }
  ring.tail.store(tail, std::memory_order_release);
  return count;
}

std::uint64_t Ring::pushed() const {
  return impl_->pushed.load(std::memory_order_relaxed);
}
std::uint64_t Ring::dropped() const {
  return impl_->dropped.load(std::memory_order_relaxed);
}
std::size_t Ring::used() const {
  // tail first: read the other way round, the difference could be negative
  const std::uint64_t tail = impl_->tail.load(std::memory_order_acquire);
  return static_cast<std::size_t>(impl_->head.load(std::memory_order_acquire) - tail);
}
std::size_t Ring::capacity() const {
  return impl_->size;
}

}  // namespace doline::querylog

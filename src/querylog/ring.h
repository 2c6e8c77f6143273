// Ring: one worker's records on their way to the log writer. Single producer, single consumer, bounded in octets.
//
// The worker never waits: a full ring means the record is dropped and counted. The consumer drains whole records.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "dns/message.h"
#include "querylog/record.h"

namespace doline::querylog {

inline constexpr std::size_t ring_octets_default = 8 << 20;  ///< touched as far as bursts need them
inline constexpr std::size_t ring_octets_min = 1 << 10;

class Ring {
 public:
  /// `octets`: a power of two, at least ring_octets_min.
  explicit Ring(std::size_t octets = ring_octets_default);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Worker only. `response`: the octets sent (may be empty), copied. False: dropped and counted. No allocation.
  bool push(const Record& record, dns::Octets response);
  /// Consumer only: hands over every record now in the ring, oldest first; spans are valid during the call. Returns how
  /// many.
  std::size_t drain(const std::function<void(const Record&, dns::Octets response)>& take);
  /// Any thread. Records taken, and records refused because the ring was full: offered = pushed + dropped.
  [[nodiscard]] std::uint64_t pushed() const;
  [[nodiscard]] std::uint64_t dropped() const;
  /// Any thread: octets that wait to be drained, and octets there are.
  [[nodiscard]] std::size_t used() const;
  [[nodiscard]] std::size_t capacity() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::querylog

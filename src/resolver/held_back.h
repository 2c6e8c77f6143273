// HeldBack: responses of one worker that a rule delays, until they are due.
//
// Slots that are reused, under one wheel; no thread sleeps for them. At most held_back_max; what comes then is not held
// back. One worker's loop only.
#pragma once

#include <optional>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "dns/message.h"
#include "listener/arrival.h"
#include "querylog/record.h"
#include "resolver/resolver.h"
#include "upstream/due_wheel.h"

namespace doline::resolver {

class HeldBack {
 public:
  struct Entry {
    listener::ReplyRoute route;
    Endpoint client;
    querylog::Record record;
    MonotonicTime received;
  };

  /// False: there is no room.
  [[nodiscard]] bool add(const Entry& entry, dns::Octets response, MonotonicTime due, MonotonicTime now) {
    if (free_.empty()) {
      if (slots_.size() == held_back_max) return false;
      free_.push_back(static_cast<upstream::DueWheel::Item>(slots_.size()));
      slots_.emplace_back();
    }
    const upstream::DueWheel::Item item = free_.back();
    free_.pop_back();
    slots_[item].entry = entry;
    slots_[item].response.assign(response.begin(), response.end());
    wheel_.set(item, due, now);
    return true;
  }
  /// Calls `take(Entry&, dns::Octets)` for each that is due; it must not add any.
  template <class Take>
  void take_due(MonotonicTime now, Take take) {
    wheel_.take_due(now, [&](upstream::DueWheel::Item item) {
      take(slots_[item].entry, dns::Octets(slots_[item].response));
      free_.push_back(item);
      return true;
    });
  }
  /// When there may be one to take next; nothing where none is held back.
  [[nodiscard]] std::optional<MonotonicTime> next() const { return wheel_.next(); }

 private:
  struct Slot {
    Entry entry;
    std::vector<std::uint8_t> response;
  };
  std::vector<Slot> slots_;
  std::vector<upstream::DueWheel::Item> free_;
  upstream::DueWheel wheel_;
};

}  // namespace doline::resolver

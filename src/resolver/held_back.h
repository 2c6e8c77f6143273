// HeldBack: responses of one worker that are made and must not leave yet: a rule delays them, or the kernel has not yet
// acknowledged that their device may connect to what they say (admission).
//
// Slots that are reused, under one wheel; no thread sleeps for them. At most held_back_max; what comes then is not held
// back. Each has a ticket by which it can be let go before it is due. One worker's loop only.
#pragma once

#include <cstdint>
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
  /// The slot, and above it how often the slot was used: a ticket of the past is nobody's.
  using Ticket = std::uint32_t;
  static constexpr Ticket no_ticket = 0xffffffff;  ///< of one that is not held back
  struct Entry {
    listener::ReplyRoute route;
    Endpoint client;
    querylog::Record record;
    MonotonicTime received;
    MonotonicTime not_before{};        ///< the rule's delay
    bool waits_for_admission = false;  ///< false too once it is admitted
  };

  /// What the next add() will give; nothing where there is no room.
  [[nodiscard]] std::optional<Ticket> next_ticket() {
    if (free_.empty()) {
      if (slots_.size() == held_back_max) return std::nullopt;
      free_.push_back(static_cast<upstream::DueWheel::Item>(slots_.size()));
      slots_.emplace_back();
    }
    return ticket_of(free_.back());
  }
  /// False: there is no room.
  [[nodiscard]] bool add(const Entry& entry, dns::Octets response, MonotonicTime due, MonotonicTime now) {
    if (!next_ticket()) return false;
    const upstream::DueWheel::Item item = free_.back();
    free_.pop_back();
    slots_[item].entry = entry;
    slots_[item].response.assign(response.begin(), response.end());
    slots_[item].is_held = true;
    wheel_.set(item, due, now);
    return true;
  }
  /// Null where it has left. Good until the next call.
  [[nodiscard]] Entry* find(Ticket ticket) {
    const upstream::DueWheel::Item item = ticket % held_back_max;
    const bool is_it = item < slots_.size() && slots_[item].is_held && ticket_of(item) == ticket;
    return is_it ? &slots_[item].entry : nullptr;
  }
  /// Of one that find() finds: due then, and not when add() said.
  void set_due(Ticket ticket, MonotonicTime due, MonotonicTime now) { wheel_.set(ticket % held_back_max, due, now); }
  /// Of one that find() finds: calls `take(Entry&, dns::Octets)` now; it must not add any.
  template <class Take>
  void take(Ticket ticket, Take take) {
    const upstream::DueWheel::Item item = ticket % held_back_max;
    wheel_.clear(item);
    leave(item, take);
  }
  /// Calls `take(Entry&, dns::Octets)` for each that is due; it must not add any.
  template <class Take>
  void take_due(MonotonicTime now, Take take) {
    wheel_.take_due(now, [&](upstream::DueWheel::Item item) {
      leave(item, take);
      return true;
    });
  }
  /// When there may be one to take next; nothing where none is held back.
  [[nodiscard]] std::optional<MonotonicTime> next() const { return wheel_.next(); }

 private:
  /// One less than tickets have room for, so that none is no_ticket.
  static constexpr std::uint32_t uses_told_apart = 0xffffffff / held_back_max;
  struct Slot {
    Entry entry;
    std::vector<std::uint8_t> response;
    std::uint32_t uses = 0;
    bool is_held = false;
  };

  [[nodiscard]] Ticket ticket_of(upstream::DueWheel::Item item) const {
    return static_cast<Ticket>(slots_[item].uses % uses_told_apart * held_back_max + item);
  }
  template <class Take>
  void leave(upstream::DueWheel::Item item, Take& take) {
    Slot& slot = slots_[item];
    take(slot.entry, dns::Octets(slot.response));
    slot.is_held = false;
    ++slot.uses;
    free_.push_back(item);
  }

  std::vector<Slot> slots_;
  std::vector<upstream::DueWheel::Item> free_;
  upstream::DueWheel wheel_;
};

}  // namespace doline::resolver

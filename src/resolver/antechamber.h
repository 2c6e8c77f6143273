// Antechamber: step 10 of a query's path. A restricted device is not told an address before the kernel lets it connect
// there; and a rule may delay a response. What may not leave yet is held back here, for admission_patience or the
// rule's delay. One worker's loop only.
#pragma once

#include <functional>
#include <utility>

#include "redirect/admission.h"
#include "resolver/held_back.h"
#include "resolver/snapshot.h"

namespace doline::resolver {

/// A warden that has not let the kernel know after this long will not: the response leaves all the same.
inline constexpr milliseconds admission_patience{250};

class Antechamber {
 public:
  /// `admit` tells the warden; false: it cannot now. `wake_at`: send_due() is to be called then; an earlier wish
  /// replaces a later one. `statistics` outlives this.
  Antechamber(std::function<bool(const redirect::Admission&)> admit, std::function<void(MonotonicTime)> wake_at,
              Statistics& statistics)
      : admit_(std::move(admit)), wake_at_(std::move(wake_at)), statistics_(statistics) {}

  /// All that most responses are asked before they leave.
  [[nodiscard]] static bool may_hold(const Snapshot& under, const querylog::Record& record, std::uint16_t delay_ms) {
    return delay_ms != 0 || (under.gate != nullptr && under.gate->holds(record.device));
  }
  /// False: nothing keeps this response, or too many are kept. Then it leaves now. What was withheld is not kept for so
  /// long.
  [[nodiscard]] bool hold(const Snapshot& under, HeldBack::Entry entry, dns::Octets response, std::uint16_t delay_ms,
                          MonotonicTime now);
  /// The addresses of a known DoH name, answered so long ago, are refused to those who may not encrypt. Nobody waits
  /// for that.
  void tell_of_doh(dns::Octets words, std::uint32_t age_seconds);
  /// What the warden says; a ticket of the past is passed over. Calls `let_go(Entry&, dns::Octets)` for whom it frees.
  template <class LetGo>
  void hear(redirect::AdmissionAnswer answer, MonotonicTime now, LetGo let_go) {
    HeldBack::Entry* const entry = held_back_.find(answer.ticket);
    if (entry == nullptr || !entry->waits_for_admission) return;
    entry->waits_for_admission = false;
    ++(answer.is_admitted ? statistics_.admitted : statistics_.unadmitted);
    if (entry->not_before > now) {
      held_back_.set_due(answer.ticket, entry->not_before, now);
      return wake_at_(entry->not_before);
    }
    held_back_.take(answer.ticket, [&](HeldBack::Entry& kept, dns::Octets response) { leave(kept, response, let_go); });
  }
  /// The same for all that are due.
  template <class LetGo>
  void send_due(MonotonicTime now, LetGo let_go) {
    held_back_.take_due(now, [&](HeldBack::Entry& entry, dns::Octets response) {
      if (entry.waits_for_admission) ++statistics_.unadmitted;
      leave(entry, response, let_go);
    });
    if (const auto next = held_back_.next()) wake_at_(*next);
  }

 private:
  template <class LetGo>
  void leave(HeldBack::Entry& entry, dns::Octets response, LetGo& let_go) {
    --statistics_.held_back;
    let_go(entry, response);
  }
  bool ask_admission(const Snapshot& under, const querylog::Record& record, dns::Octets response);
  void collect_admissible(dns::Octets response);
  bool fit();

  std::function<bool(const redirect::Admission&)> admit_;
  std::function<void(MonotonicTime)> wake_at_;
  Statistics& statistics_;
  HeldBack held_back_;
  redirect::Admission wanted_;  // that is being asked for
};

}  // namespace doline::resolver

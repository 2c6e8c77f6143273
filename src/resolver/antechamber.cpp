#include "resolver/antechamber.h"

#include <algorithm>

#include "policy/answer.h"

namespace doline::resolver {

bool Antechamber::hold(const Snapshot& under, HeldBack::Entry entry, dns::Octets response, std::uint16_t delay_ms,
                       MonotonicTime now) {
  const MonotonicTime patience_end = now + admission_patience;
  entry.not_before = entry.received + milliseconds(delay_ms);
  entry.waits_for_admission = ask_admission(under, entry.record, response);
  entry.record.is_withheld = false;
  const MonotonicTime due = entry.waits_for_admission ? std::max(patience_end, entry.not_before) : entry.not_before;
  if (due <= now || !held_back_.add(entry, response, due, now)) return false;
  ++statistics_.held_back;
  wake_at_(due);
  return true;
}

/// True: the warden will say when the kernel knows that this device may connect to the addresses of this response.
bool Antechamber::ask_admission(const Snapshot& under, const querylog::Record& record, dns::Octets response) {
  if (under.gate == nullptr || !under.gate->holds(record.device)) return false;
  const auto ticket = held_back_.next_ticket();
  collect_admissible(response);
  wanted_.age_seconds = 0;
  wanted_.purpose = redirect::Purpose::connect;
  wanted_.devices = under.roster->devices()[record.device.value].macs;
  if (wanted_.addresses.empty()) return false;
  if (ticket) wanted_.ticket = *ticket;
  if (ticket && fit() && admit_(wanted_)) return true;
  ++statistics_.unadmitted;
  return false;
}

void Antechamber::tell_of_doh(dns::Octets words, std::uint32_t age_seconds) {
  collect_admissible(words);
  wanted_.age_seconds = age_seconds;
  wanted_.purpose = redirect::Purpose::doh;
  wanted_.devices.clear();
  wanted_.ticket = HeldBack::no_ticket;
  if (fit()) (void)admit_(wanted_);
}

void Antechamber::collect_admissible(dns::Octets response) {
  policy::collect_addresses(response, wanted_.addresses);
  std::erase_if(wanted_.addresses, [](const IpAddress& address) { return !redirect::may_be_admitted(address); });
  wanted_.ttl_seconds = policy::longest_ttl(response);
}

/// Cut to what a message may hold; false: nothing is left.
bool Antechamber::fit() {
  const std::size_t each = wanted_.purpose == redirect::Purpose::connect ? wanted_.devices.size() : 1;
  if (each == 0 || each > redirect::admitted_per_message) return false;
  wanted_.addresses.resize(std::min(wanted_.addresses.size(), redirect::admitted_per_message / each));
  return !wanted_.addresses.empty();
}

}  // namespace doline::resolver

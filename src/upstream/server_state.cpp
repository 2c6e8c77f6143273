#include "upstream/server_state.h"

#include <algorithm>
#include <utility>

namespace doline::upstream {

void ServerState::note_answer(MonotonicTime now, std::chrono::nanoseconds round_trip) {
  const auto sample = std::max(microseconds(1), std::chrono::duration_cast<microseconds>(round_trip));
  if (round_trip_ == microseconds(0)) {
    round_trip_ = sample;
    variation_ = sample / 2;
  } else {
    const auto difference = sample > round_trip_ ? sample - round_trip_ : round_trip_ - sample;
    variation_ += (difference - variation_) / 4;
    round_trip_ = std::max(microseconds(1), round_trip_ + (sample - round_trip_) / 8);
  }
  silences_ = 0;
  is_up_ = true;
  known_at_ = now;
  probe_pause_ = probe_pause_min;
}

void ServerState::note_silence(MonotonicTime now, MonotonicTime asked_at, const dns::Name& qname) {
  if (silences_ == 0) silent_since_ = asked_at;
  if (silences_ == 0 || qname != silent_for_) ++silences_;
  silent_for_ = qname;
  if (silences_ < down_after || now - silent_since_ < down_silence) return;
  known_at_ = now;
  if (std::exchange(is_up_, false)) probe_at_ = now + probe_pause_;
}

bool ServerState::take_probe(MonotonicTime now) {
  if (is_up_ || now < probe_at_) return false;
  probe_pause_ = std::min(2 * probe_pause_, probe_pause_max);
  probe_at_ = now + probe_pause_;
  return true;
}

milliseconds ServerState::retry_timeout(int tried) const {
  const milliseconds first = round_trip_ == microseconds(0)
                                 ? retry_timeout_unknown
                                 : std::chrono::ceil<milliseconds>(round_trip_ + 4 * variation_);
  return std::min(std::max(first, retry_timeout_min) * (1 << std::min(tried, 4)), retry_timeout_max);
}

}  // namespace doline::upstream

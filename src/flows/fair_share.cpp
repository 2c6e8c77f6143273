#include "flows/fair_share.h"

#include <algorithm>

namespace doline::flows {

void FairShare::fill(Share& share, MonotonicTime at) {
  if (share.filled == MonotonicTime()) share.filled = at;
  const auto passed = std::chrono::duration_cast<seconds>(at - share.filled);
  if (passed.count() <= 0) return;
  const auto more = std::uint64_t{connections_a_second} * static_cast<std::uint64_t>(passed.count());
  share.left = static_cast<std::uint32_t>(std::min<std::uint64_t>(connections_at_once, share.left + more));
  share.filled += passed;
}

bool FairShare::take(const Holder& holder, MonotonicTime at) {
  const bool is_apart = shares_.contains(holder) || shares_.size() < sharers_max;
  const Holder& whose = is_apart ? holder : shares_.try_emplace(Holder()).first->first;
  Share& share = shares_[whose];
  fill(share, at);
  if (share.left > 0) {
    --share.left;
    return true;
  }
  ++left_out_;
  if (++share.left_out > (most_ ? most_->connections : 0)) most_ = {whose, share.left_out};
  return false;
}

void FairShare::prune(MonotonicTime now) {
  for (auto& [holder, share] : shares_) fill(share, now);
  std::erase_if(shares_, [](const auto& entry) { return entry.second.left == connections_at_once; });
}

}  // namespace doline::flows

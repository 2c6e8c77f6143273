// LockWatch: what devices with a lock ask for that it does not let pass, told once a minute each. One worker's loop
// only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/time.h"
#include "device/roster.h"
#include "policy/rule_book.h"
#include "policy/walk.h"
#include "resolver/resolver.h"

namespace doline::resolver {

class LockWatch {
 public:
  LockWatch(std::uint64_t seed, std::function<void(const LockAlarm&)> raise) : seed_(seed), raise_(std::move(raise)) {}

  /// True: a lock does not let this name pass, or would not.
  bool look(const policy::RuleBook& rules, const policy::Verdict& verdict, const device::Device& device,
            const dns::Name& lowered, MonotonicTime now) {
    const bool is_refused = rules.is_of_lock(verdict.reason.rule);
    if (!is_refused && !(verdict.observed && rules.is_of_lock(verdict.observed->rule))) return false;
    if (now - since_ >= std::chrono::minutes(1)) {
      raised_.clear();
      since_ = now;
    }
    if (raised_.size() == lock_alarms_a_minute_max || !raise_) return true;
    const std::uint64_t what = lowered.hash(seed_ + device.id.value);
    if (std::find(raised_.begin(), raised_.end(), what) != raised_.end()) return true;
    raised_.push_back(what);
    raise_({device.name, lowered, is_refused});
    return true;
  }

 private:
  const std::uint64_t seed_;
  std::function<void(const LockAlarm&)> raise_;
  std::vector<std::uint64_t> raised_;  // hashes of device and name, since then
  MonotonicTime since_{};
};

}  // namespace doline::resolver

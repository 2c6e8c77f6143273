#include "control/lock_alarms.h"

#include <algorithm>

#include "policy/rule.h"

namespace doline::control {

LockAlarms::News LockAlarms::note(const std::string& device, const dns::Name& lowered, bool is_refused, WallTime now) {
  if (!alarms_.contains(device) && alarms_.size() == policy::locks_max) return News::known;
  auto& alarms = alarms_[device];
  const auto is_it = [&](const Alarm& alarm) { return alarm.name == lowered && alarm.is_refused == is_refused; };
  if (alarms.size() == lock_alarms_max || std::any_of(alarms.begin(), alarms.end(), is_it)) return News::known;
  alarms.push_back({lowered, now, is_refused});
  return alarms.size() == lock_alarms_max ? News::last_alarm : News::alarm;
}

void LockAlarms::forget(std::string_view device) {
  if (const auto found = alarms_.find(device); found != alarms_.end()) alarms_.erase(found);
}

const std::vector<LockAlarms::Alarm>& LockAlarms::of(std::string_view device) const {
  static const std::vector<Alarm> none;
  const auto found = alarms_.find(device);
  return found == alarms_.end() ? none : found->second;
}

}  // namespace doline::control

#include "control/lock_alarms.h"

#include "policy/rule.h"

namespace doline::control {

LockAlarms::News LockAlarms::note(const std::string& device, Kind kind, const std::string& what, bool is_refused,
                                  WallTime now) {
  if (!alarms_.contains(device) && alarms_.size() == policy::locks_max) return News::known;
  auto& alarms = alarms_[device];
  std::size_t of_kind = 0;
  for (const Alarm& alarm : alarms) {
    if (alarm.kind != kind) continue;
    ++of_kind;
    if (alarm.what == what && alarm.is_refused == is_refused) return News::known;
  }
  if (of_kind == lock_alarms_max) return News::known;
  alarms.push_back({kind, what, now, is_refused});
  return of_kind + 1 == lock_alarms_max ? News::last_alarm : News::alarm;
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

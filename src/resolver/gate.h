// Gate: for whom step 10 of a query's path is: the devices that may connect only to what an answer gave them, and the
// names whose answers are addresses of DoH servers. Made by control with the roster of the same snapshot; frozen.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "blocklist/doh_names.h"
#include "device/roster.h"

namespace doline::resolver {

struct Gate {
  std::vector<bool> is_held;                       ///< by DeviceId, of all devices of the roster
  std::shared_ptr<const blocklist::DohNames> doh;  ///< null: the warden need not know their addresses
  /// Another number than before: what was told of them may be forgotten, or there are others. All that the cache holds
  /// of them is told again.
  std::uint64_t doh_telling = 0;

  [[nodiscard]] bool holds(device::DeviceId device) const { return is_held[device.value]; }
};

}  // namespace doline::resolver

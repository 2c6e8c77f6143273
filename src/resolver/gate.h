// Gate: for whom step 10 of a query's path is: the devices that may connect only to what an answer gave them, and the
// names whose answers are addresses of DoH servers. Made by control with the roster of the same snapshot; frozen.
#pragma once

#include <algorithm>
#include <vector>

#include "device/roster.h"
#include "dns/name.h"

namespace doline::resolver {

struct Gate {
  std::vector<bool> is_held;         ///< by DeviceId, of all devices of the roster
  std::vector<dns::Name> doh_names;  ///< sorted; empty: DoH is left alone

  [[nodiscard]] bool holds(device::DeviceId device) const { return is_held[device.value]; }
  [[nodiscard]] bool is_doh(const dns::Name& name) const {
    return std::binary_search(doh_names.begin(), doh_names.end(), name);
  }
};

}  // namespace doline::resolver

// Gate: for whom step 10 of a query's path is: the devices that may connect only to what an answer gave them, and the
// names whose answers are addresses of DoH servers. Made by control with the roster of the same snapshot; frozen.
#pragma once

#include <algorithm>
#include <vector>

#include "blocklist/list_set.h"
#include "device/roster.h"
#include "dns/name.h"

namespace doline::resolver {

struct Gate {
  std::vector<bool> is_held;                 ///< by DeviceId, of all devices of the roster
  std::vector<dns::Name> doh_names;          ///< sorted
  std::vector<blocklist::ListId> doh_lists;  ///< ascending; what they name is DoH too

  [[nodiscard]] bool holds(device::DeviceId device) const { return is_held[device.value]; }
  /// `lists`: of the same snapshot.
  [[nodiscard]] bool is_doh(const dns::Name& name, const blocklist::ListSet& lists) const {
    return std::binary_search(doh_names.begin(), doh_names.end(), name) ||
           (!doh_lists.empty() && lists.is_named_by(doh_lists, name.lowered()));
  }
};

}  // namespace doline::resolver

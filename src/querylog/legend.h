// Legend: what turns the ids in the records of one generation back into names, for the log writer.
//
// A value of shared immutable parts, made by control with each snapshot and installed on the LogWriter *before* the
// snapshot is installed on the workers, so that no record comes without its legend.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blocklist/doh_names.h"
#include "blocklist/list_set.h"
#include "device/roster.h"

namespace doline::querylog {

struct Legend {
  std::uint64_t generation = 0;  ///< of the snapshot; grows
  std::shared_ptr<const device::Roster> roster;
  std::shared_ptr<const blocklist::ListSet> lists;
  std::vector<std::string> list_names;                  ///< position = ListId
  std::vector<std::string> rule_texts;                  ///< position = RuleId: `doline.yml:42`
  std::shared_ptr<const blocklist::DohNames> doh = {};  ///< null: none is known
  /// By DeviceId: its encrypted DNS is refused, so that it gets no answers by it that we do not see. Past its end: not.
  std::vector<bool> encrypted_refused = {};

  [[nodiscard]] bool refuses_encrypted(device::DeviceId device) const {
    return device.value < encrypted_refused.size() && encrypted_refused[device.value];
  }
};

}  // namespace doline::querylog

// Lock: what a device that has been learned may look up; all else that it asks for is refused (`doline device lock`).
//
// Data of a rule book like its exemptions: the book makes a rule of each, before the operator's. It speaks of what the
// device asks for, not of the names that an answer leads on to: those are the answering server's choice.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dns/name.h"
#include "policy/rule.h"

namespace doline::policy {

inline constexpr std::size_t lock_names_max = 1'000;  ///< of one device

struct Lock {
  std::string device;
  std::vector<dns::Name> subtrees;  ///< each with all below, small letters
  std::vector<dns::Name> names;     ///< these alone, small letters
  Mode mode = Mode::enforce;
  bool operator==(const Lock&) const = default;
};

/// The rule of a lock: refuses its device whatever the lock does not name.
[[nodiscard]] Rule to_rule(const Lock& lock);

}  // namespace doline::policy

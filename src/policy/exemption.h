// Exemption: for whom, and of which names, blocking is set aside for a while (`doline pause`, `doline allow`).
//
// Data of a rule book like its rules. What an exempt query was to be refused for is kept as an observation, and the
// walk goes on: routes, rewrites and local names of the operator stay in force. Control takes an exemption out when it
// ends.
#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "dns/name.h"

namespace doline::policy {

inline constexpr std::size_t exemptions_max = 1'000;

struct Exemption {
  std::string device, group;      ///< at most one of them; both empty: for everybody
  std::optional<dns::Name> name;  ///< it and all below, small letters; absent: every name
  std::optional<WallTime> until;  ///< absent: until it is taken back
  bool operator==(const Exemption&) const = default;
};

}  // namespace doline::policy

// Restrictions: which devices may not do everything: those that may connect only to what an answer gave them, and those
// whose encrypted DNS is refused or left though Options::encrypted says otherwise. Unlike the options these change
// while Doline runs, with the operator's file and with what is learned of devices.
//
// Like the options they are values that the warden checks for itself and renders rules from.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "device/mac_address.h"
#include "device/roster.h"
#include "redirect/options.h"

namespace doline::redirect {

inline constexpr std::size_t restricted_max = 2'048;  ///< MAC addresses of each kind

/// What a device may connect to. `observe`: everything; what `only_resolved` would refuse is counted.
enum class Flows : std::uint8_t { any, observe, only_resolved };

/// What a group says of its devices.
struct GroupRestriction {
  Flows flows = Flows::any;
  std::optional<Encrypted> encrypted;  ///< absent: as Options::encrypted
  bool operator==(const GroupRestriction&) const = default;
};

struct Restrictions {
  std::vector<device::MacAddress> only_resolved, observed;
  std::vector<device::MacAddress> may_encrypt;       ///< where Options::encrypted is `reject`
  std::vector<device::MacAddress> must_not_encrypt;  ///< where it is `leave`
  std::vector<IpAddress> doh_addresses;              ///< known DoH servers
  bool operator==(const Restrictions&) const = default;

  [[nodiscard]] bool hold_flows() const { return !only_resolved.empty() || !observed.empty(); }
  /// Is encrypted DNS refused to anybody?
  [[nodiscard]] bool hold_encrypted(Encrypted otherwise) const {
    return otherwise == Encrypted::reject || !must_not_encrypt.empty();
  }
};

/// What holds for a device: of all groups that it, or one of its addresses, is in the strictest. `by_group`: position =
/// GroupId; groups past its end say nothing.
[[nodiscard]] GroupRestriction restriction_of(const device::Device& device, const device::Roster& roster,
                                              std::span<const GroupRestriction> by_group);
/// By the MAC addresses of all devices; a device without one cannot be told from others. Without `doh_addresses`. At
/// most restricted_max of each kind: what is past that is left out.
[[nodiscard]] Restrictions restrictions_of(const device::Roster& roster, std::span<const GroupRestriction> by_group);

/// Everything that makes them impossible to carry out, a sentence each; empty: they can be.
[[nodiscard]] std::vector<std::string> find_problems(const Restrictions& restrictions);

[[nodiscard]] std::string_view to_string(Flows flows);

}  // namespace doline::redirect

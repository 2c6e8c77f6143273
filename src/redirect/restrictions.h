// Restrictions: which devices may not do everything: those that may connect only to what an answer gave them, or to
// what a lock names besides, and those whose encrypted DNS is refused or left though Options::encrypted says otherwise.
// With them the known DoH servers. Unlike the options these change while Doline runs, with the operator's file, with
// what is learned of devices, and with lists.
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

inline constexpr std::size_t restricted_max = 2'048;     ///< MAC addresses of each kind
inline constexpr std::size_t flow_locks_max = 256;       ///< devices whose connections are locked
inline constexpr std::size_t allowed_flows_max = 2'048;  ///< of all of them together
inline constexpr std::size_t doh_networks_max = 4'096;

/// What a device may connect to. `observe`: everything; what `only_resolved` would refuse is counted.
enum class Flows : std::uint8_t { any, observe, only_resolved };

/// What a group says of its devices.
struct GroupRestriction {
  Flows flows = Flows::any;
  std::optional<Encrypted> encrypted;  ///< absent: as Options::encrypted
  bool operator==(const GroupRestriction&) const = default;
};

/// A kind of connection that a locked device may open, whatever it has looked up.
struct AllowedFlow {
  IpPrefix network;           ///< of the far end; of length 0: any of its family
  std::uint8_t protocol = 0;  ///< IANA's number: 6 TCP, 17 UDP; 0: any
  std::uint16_t port = 0;     ///< of the far end; 0: any, and the only one of protocols without ports
  bool operator==(const AllowedFlow&) const = default;
};

/// What the lock of a device says of its connections (`doline device lock`).
struct FlowLock {
  std::string device;
  Flows flows = Flows::only_resolved;  ///< or `observe`
  std::vector<AllowedFlow> allowed;
};

/// What the MAC addresses of one locked device may connect to beside what answers give.
struct Allowance {
  std::vector<device::MacAddress> macs;  ///< of `only_resolved` or `observed`
  std::vector<AllowedFlow> flows;
  bool operator==(const Allowance&) const = default;
};

struct Restrictions {
  std::vector<device::MacAddress> only_resolved, observed;
  std::vector<Allowance> allowances;
  std::vector<device::MacAddress> may_encrypt;       ///< where Options::encrypted is `reject`
  std::vector<device::MacAddress> must_not_encrypt;  ///< where it is `leave`
  std::vector<device::MacAddress> log_encrypted;     ///< theirs is let through and recorded
  std::vector<IpPrefix> doh_networks;                ///< of known DoH servers; ascending, none within another
  bool operator==(const Restrictions&) const = default;

  [[nodiscard]] bool hold_flows() const { return !only_resolved.empty() || !observed.empty(); }
  /// Is encrypted DNS refused to anybody?
  [[nodiscard]] bool hold_encrypted(Encrypted otherwise) const {
    return otherwise == Encrypted::reject || !must_not_encrypt.empty();
  }
};

/// What holds for a device: of all groups that it, or one of its addresses, is in the strictest: of encrypted
/// DNS `reject`, then `log`, then `leave`. `by_group`: position =
/// GroupId; groups past its end say nothing. Of its lock the flows, where they are stricter.
[[nodiscard]] GroupRestriction restriction_of(const device::Device& device, const device::Roster& roster,
                                              std::span<const GroupRestriction> by_group,
                                              std::span<const FlowLock> locks = {});
/// By the MAC addresses of all devices; a device without one cannot be told from others. Without `doh_networks`. At
/// most restricted_max of each kind: what is past that is left out.
[[nodiscard]] Restrictions restrictions_of(const device::Roster& roster, std::span<const GroupRestriction> by_group,
                                           std::span<const FlowLock> locks = {});

/// Everything that makes them impossible to carry out, a sentence each; empty: they can be.
[[nodiscard]] std::vector<std::string> find_problems(const Restrictions& restrictions);

[[nodiscard]] std::string_view to_string(Flows flows);
/// `tcp 198.51.100.7 port 443`, `udp to anywhere (IPv4)`
[[nodiscard]] std::string describe(const AllowedFlow& flow);
/// `tcp`, `udp`, else IANA's number; of 0: `any protocol`.
[[nodiscard]] std::string protocol_name(std::uint8_t protocol);

}  // namespace doline::redirect

// Device, Group, Roster: who is asking.
//
// A Roster is an immutable value inside a snapshot: all configured and all discovered devices, the groups, and the
// address book that leads from a client's address to a device. Built by control with a RosterBuilder; read by workers
// without locks. Identification never fails: an address that nobody knows is the *unknown device* (id 0).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "device/mac_address.h"

namespace doline::device {

/// Position in this roster; 0 is the unknown device. Not stable across restarts: the log keys devices by name and MAC.
using DeviceId = Id<struct DeviceTag>;
/// Position in Roster::groups(); also the bit in a GroupMask.
using GroupId = Id<struct GroupTag, std::uint8_t>;
using GroupMask = std::uint64_t;

inline constexpr std::size_t groups_max = 64;
inline constexpr std::size_t devices_max = 65'536;
/// Of one MAC; past it the address seen longest ago goes. Privacy addresses (RFC 8981) are a few a day.
inline constexpr std::size_t addresses_per_mac_max = 64;
/// The name of the unknown device; no other device has it.
inline constexpr std::string_view unknown_device_name = "unknown";

/// What is kept of a device's queries. `anonymous`: counted and logged without client address, device and MAC.
enum class LogChoice : std::uint8_t { full, anonymous, none };

struct Group {
  std::string name;
  std::vector<IpPrefix> networks;  ///< clients in these belong to the group, whatever their device
  std::optional<LogChoice> log;
};

struct Device {
  DeviceId id;
  std::string name;            ///< the operator's, else lease host name, else heard, else vendor and MAC, else address
  bool is_configured = false;  ///< named in the YAML
  std::vector<MacAddress> macs;
  std::vector<IpAddress> addresses;  ///< configured and learned
  std::vector<std::string> client_ids;
  std::string hostname;    ///< as a lease or the YAML tells; may be empty
  std::string heard_name;  ///< as it announces itself, or PTR tells; may be empty. Only for people to read
  std::string vendor;      ///< of the first MAC; empty where unknown or locally administered
  GroupMask groups = 0;
  LogChoice log = LogChoice::full;  ///< its own, else the strictest of its groups
  bool has_own_log = false;         ///< the YAML says `log` for this very device
};

/// One row of the kernel's neighbour table, or of a lease file.
struct Sighting {
  IpAddress address;
  MacAddress mac;
  std::string hostname;    ///< of a lease; empty where the source knows none
  bool is_static = false;  ///< a lease that never ends: somebody wrote it
  std::string heard_name = {};
};

class Roster {
 public:
  /// The empty roster: only the unknown device.
  Roster();

  /// Never null; valid as long as this roster. By address; a client in a group's network that is no known device is the
  /// unknown device *of that network* (groups_of adds the groups).
  [[nodiscard]] const Device& identify(const IpAddress& client) const;
  /// EDNS option 65001 or DoH path, from trusted sources; falls back to the address.
  [[nodiscard]] const Device& identify(const IpAddress& client, std::string_view client_id) const;
  /// The device's own groups and those whose networks hold the client.
  [[nodiscard]] GroupMask groups_of(const Device& device, const IpAddress& client) const;
  /// The device's own choice, else the strictest of `groups` (as groups_of() gives them: a guest network's too).
  [[nodiscard]] LogChoice log_choice(const Device& device, GroupMask groups) const;

  [[nodiscard]] std::span<const Device> devices() const { return devices_; }  ///< [0] is the unknown device
  [[nodiscard]] std::span<const Group> groups() const { return groups_; }
  [[nodiscard]] const Device* find(std::string_view name) const;  ///< exact name; null where unknown
  [[nodiscard]] const Device* find(const MacAddress& mac) const;
  /// Of all MACs of its device, the one that was seen there last.
  [[nodiscard]] std::optional<MacAddress> mac_at(const IpAddress& client) const;
  [[nodiscard]] std::optional<GroupId> find_group(std::string_view name) const;

 private:
  friend class RosterBuilder;
  struct Claim {
    DeviceId device;
    bool by_configured_mac = false;  // then no client id is stronger
  };
  [[nodiscard]] const Claim* claim_on(const IpAddress& client) const;

  std::vector<Device> devices_;
  std::vector<Group> groups_;
  std::unordered_map<IpAddress, Claim> by_address_;
  std::vector<std::pair<IpPrefix, Claim>> by_prefix_;  // longest first
  std::unordered_map<MacAddress, DeviceId> by_mac_;
  std::unordered_map<IpAddress, MacAddress> macs_at_;
  std::unordered_map<std::string, DeviceId> by_client_id_;
};

/// One `devices:` entry of the YAML, checked, with what was said of the device at the command line.
struct DeviceSettings {
  std::string name;
  std::vector<MacAddress> macs;
  std::vector<IpPrefix> addresses;  ///< a CIDR names every client in it
  std::vector<std::string> client_ids;
  std::string hostname;
  std::vector<std::string> groups;
  std::optional<LogChoice> log;
  bool is_booked = false;  ///< no entry of the YAML: said at the command line
};

/// Everything a roster is made from; control keeps one and builds anew whenever it changes. Single-threaded.
///
/// Precedence of identification: configured MAC, then client id, then configured address, then configured host name (of
/// devices without a MAC), then discovered MAC. All addresses of one MAC are one device: a MAC that is seen at the
/// configured addresses of just one device, and that no device has configured, is that device's. Every other MAC is a
/// device of its own, named by host name, else by what it announces, else by vendor and MAC. Such a name never equals
/// the operator's for another device: what a device says of itself must not put it under another's rules.
class RosterBuilder {
 public:
  /// Groups first; at most groups_max.
  void add_group(Group group);
  void add_device(DeviceSettings settings);
  /// `vendor`: of this MAC, may be empty. Seen again, an address moves to its new MAC: give leases before the neighbour
  /// table, which knows better. At most devices_max; past that, sightings are counted in dropped() and the client stays
  /// unknown.
  void add_sighting(const Sighting& sighting, std::string_view vendor);
  [[nodiscard]] std::size_t dropped() const { return dropped_; }
  [[nodiscard]] std::shared_ptr<const Roster> build() const;

 private:
  struct Seen {
    std::vector<IpAddress> addresses;  // seen longest ago first
    std::string hostname, heard_name;
    std::string vendor;
  };
  std::vector<Group> groups_;
  std::vector<DeviceSettings> settings_;
  std::unordered_map<MacAddress, std::size_t> configured_macs_;  // index into settings_
  std::vector<MacAddress> macs_in_order_;                        // first seen first
  std::unordered_map<MacAddress, Seen> seen_;
  std::unordered_map<IpAddress, MacAddress> address_book_;
  std::size_t dropped_ = 0;
};

}  // namespace doline::device

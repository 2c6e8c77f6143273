// Device, Group, Roster: who is asking.
//
// A Roster is an immutable value inside a snapshot: all configured and all discovered devices, the groups, and the address
// book that leads from a client's address to a device. Built by control with a RosterBuilder; read by workers without locks.
// Identification never fails: an address that nobody knows is the *unknown device* (id 0).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
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

/// What is kept of a device's queries. `anonymous`: counted and logged without client address, device and MAC.
enum class LogChoice : std::uint8_t { full, anonymous, none };

struct Group {
  std::string name;
  std::vector<IpPrefix> networks;               ///< clients in these belong to the group, whatever their device
  std::optional<LogChoice> log;
};

struct Device {
  DeviceId id;
  std::string name;                             ///< the operator's, else lease host name, else vendor and MAC, else the address
  bool is_configured = false;                   ///< named in the YAML
  std::vector<MacAddress> macs;
  std::vector<IpAddress> addresses;             ///< configured and learned
  std::vector<std::string> client_ids;
  std::string hostname;                         ///< as a lease or the YAML tells; may be empty
  std::string vendor;                           ///< of the first MAC; empty where unknown or locally administered
  GroupMask groups = 0;
  LogChoice log = LogChoice::full;              ///< its own, else the strictest of its groups
};

/// One row of the kernel's neighbour table, or of a lease file.
struct Sighting {
  IpAddress address;
  MacAddress mac;
  std::string hostname;                         ///< empty where the source knows none
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

  [[nodiscard]] std::span<const Device> devices() const { return devices_; }   ///< [0] is the unknown device
  [[nodiscard]] std::span<const Group> groups() const { return groups_; }
  [[nodiscard]] const Device* find(std::string_view name) const;               ///< exact name; null where unknown
  [[nodiscard]] const Device* find(const MacAddress& mac) const;
  [[nodiscard]] std::optional<GroupId> find_group(std::string_view name) const;

 private:
  friend class RosterBuilder;
  std::vector<Device> devices_;
  std::vector<Group> groups_;
  std::unordered_map<IpAddress, DeviceId> by_address_;
  std::unordered_map<MacAddress, DeviceId> by_mac_;
  std::unordered_map<std::string, DeviceId> by_client_id_;
};

/// One `devices:` entry of the YAML, checked.
struct DeviceSettings {
  std::string name;
  std::vector<MacAddress> macs;
  std::vector<IpPrefix> addresses;              ///< a CIDR names every client in it
  std::vector<std::string> client_ids;
  std::string hostname;
  std::vector<std::string> groups;
  std::optional<LogChoice> log;
};

/// Everything a roster is made from; control keeps one and builds anew whenever it changes. Single-threaded.
/// Precedence of identification: MAC, then client id, then address (as doline.yml says).
class RosterBuilder {
 public:
  /// Groups first; at most groups_max.
  void add_group(Group group);
  void add_device(DeviceSettings settings);
  /// `vendor`: of this MAC, may be empty. Addresses of one MAC are one device; a MAC that no configured device owns makes a
  /// discovered device. Seen again, an address moves to its new MAC. At most devices_max; past that, sightings are counted
  /// in dropped() and the client stays unknown.
  void add_sighting(const Sighting& sighting, std::string_view vendor);
  [[nodiscard]] std::size_t dropped() const { return dropped_; }
  [[nodiscard]] std::shared_ptr<const Roster> build() const;

 private:
  struct Discovered {
    Sighting latest;
    std::string vendor;
  };
  std::vector<Group> groups_;
  std::vector<DeviceSettings> settings_;
  std::vector<MacAddress> macs_in_order_;                       ///< of discovered devices, oldest first
  std::unordered_map<MacAddress, Discovered> discovered_;
  std::unordered_map<IpAddress, MacAddress> address_book_;
  std::size_t dropped_ = 0;
};

}  // namespace doline::device

#include "device/roster.h"

#include <algorithm>
#include <unordered_set>

#include "base/check.h"

namespace doline::device {

namespace {

bool names_a_client(const Sighting& sighting) {
  const bool is_group_mac = (sighting.mac.octets[0] & 1) != 0;
  return !sighting.mac.is_zero() && !is_group_mac && !sighting.address.is_unspecified() &&
         !sighting.address.is_multicast() && !sighting.address.is_loopback();
}

/// The part that the vendor gave this very device: `13:9a:35`.
std::string tail_of(const MacAddress& mac) {
  return mac.to_string().substr(9);
}

bool is_lone_address(const IpPrefix& prefix) {
  return prefix.length() == (prefix.address().is_v4() ? 32 : 128);
}

std::string small_letters(std::string text) {
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return text;
}

template <class T>
void add_once(std::vector<T>& values, const T& value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

}  // namespace

// ── Roster ───────────────────────────────────────────────────────────────────────────────────────────────────────────

Roster::Roster() {
  Device unknown;
  unknown.name = unknown_device_name;
  devices_.push_back(std::move(unknown));
}

const Roster::Claim* Roster::claim_on(const IpAddress& client) const {
  if (const auto found = by_address_.find(client); found != by_address_.end()) return &found->second;
  for (const auto& [prefix, claim] : by_prefix_)
    if (prefix.contains(client)) return &claim;
  return nullptr;
}

const Device& Roster::identify(const IpAddress& client) const {
  const Claim* claim = claim_on(client);
  return devices_[claim ? claim->device.value : 0];
}

const Device& Roster::identify(const IpAddress& client, std::string_view client_id) const {
  const Claim* claim = claim_on(client);
  if (!client_id.empty() && !(claim && claim->by_configured_mac))
    if (const auto found = by_client_id_.find(std::string(client_id)); found != by_client_id_.end())
      return devices_[found->second.value];
  return devices_[claim ? claim->device.value : 0];
}

GroupMask Roster::groups_of(const Device& device, const IpAddress& client) const {
  GroupMask groups = device.groups;
  for (std::size_t i = 0; i < groups_.size(); ++i)
    for (const IpPrefix& network : groups_[i].networks)
      if (network.contains(client)) groups |= GroupMask{1} << i;
  return groups;
}

LogChoice Roster::log_choice(const Device& device, GroupMask groups) const {
  LogChoice strictest = device.log;
  if (device.has_own_log) return strictest;
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if ((groups >> i & 1) != 0) strictest = std::max(strictest, groups_[i].log.value_or(LogChoice::full));
  return strictest;
}

const Device* Roster::find(std::string_view name) const {
  const auto found =
      std::find_if(devices_.begin(), devices_.end(), [&](const Device& device) { return device.name == name; });
  return found == devices_.end() ? nullptr : &*found;
}

const Device* Roster::find(const MacAddress& mac) const {
  const auto found = by_mac_.find(mac);
  return found == by_mac_.end() ? nullptr : &devices_[found->second.value];
}

std::optional<MacAddress> Roster::mac_at(const IpAddress& client) const {
  const auto found = macs_at_.find(client);
  return found == macs_at_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<GroupId> Roster::find_group(std::string_view name) const {
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (groups_[i].name == name) return GroupId{static_cast<std::uint8_t>(i)};
  return std::nullopt;
}

// ── RosterBuilder ────────────────────────────────────────────────────────────────────────────────────────────────────

void RosterBuilder::add_group(Group group) {
  check(groups_.size() < groups_max);
  groups_.push_back(std::move(group));
}

void RosterBuilder::add_device(DeviceSettings settings) {
  for (const MacAddress& mac : settings.macs) configured_macs_.emplace(mac, settings_.size());
  settings_.push_back(std::move(settings));
}

void RosterBuilder::add_sighting(const Sighting& sighting, std::string_view vendor) {
  if (!names_a_client(sighting)) return;
  auto found = seen_.find(sighting.mac);
  if (found == seen_.end()) {
    if (macs_in_order_.size() >= devices_max && !configured_macs_.contains(sighting.mac)) {
      ++dropped_;
      return;
    }
    macs_in_order_.push_back(sighting.mac);
    found = seen_.emplace(sighting.mac, Seen{}).first;
  }
  Seen& seen = found->second;
  if (!sighting.hostname.empty()) seen.hostname = sighting.hostname;
  if (!sighting.heard_name.empty()) seen.heard_name = sighting.heard_name;
  if (!vendor.empty() && !sighting.mac.is_locally_administered()) seen.vendor = vendor;

  const auto [entry, is_new] = address_book_.try_emplace(sighting.address, sighting.mac);
  if (!is_new) {
    std::erase(seen_[entry->second].addresses, sighting.address);
    entry->second = sighting.mac;
  }
  seen.addresses.push_back(sighting.address);
  if (seen.addresses.size() > addresses_per_mac_max) {
    address_book_.erase(seen.addresses.front());
    seen.addresses.erase(seen.addresses.begin());
  }
}

std::shared_ptr<const Roster> RosterBuilder::build() const {
  const auto roster = std::make_shared<Roster>();
  roster->groups_ = groups_;
  roster->macs_at_ = address_book_;

  // 1. The configured devices, and what they claim: MACs, client ids, addresses.
  std::unordered_set<std::string> taken{std::string(unknown_device_name)};
  for (const DeviceSettings& settings : settings_) {
    const DeviceId id{static_cast<std::uint32_t>(roster->devices_.size())};
    Device device;
    device.id = id;
    device.name = settings.name;
    device.is_configured = !settings.is_booked;
    device.macs = settings.macs;
    device.client_ids = settings.client_ids;
    device.hostname = settings.hostname;
    for (const std::string& name : settings.groups)
      if (const auto group = roster->find_group(name)) device.groups |= GroupMask{1} << group->value;
    device.log = settings.log ? *settings.log : roster->log_choice(device, device.groups);
    device.has_own_log = settings.log.has_value();
    for (const MacAddress& mac : settings.macs) roster->by_mac_.emplace(mac, id);
    for (const std::string& client_id : settings.client_ids) roster->by_client_id_.emplace(client_id, id);
    for (const IpPrefix& prefix : settings.addresses) {
      if (is_lone_address(prefix)) {
        device.addresses.push_back(prefix.address());
        roster->by_address_.emplace(prefix.address(), Roster::Claim{id, false});
      } else {
        roster->by_prefix_.emplace_back(prefix, Roster::Claim{id, false});
      }
    }
    taken.insert(settings.name);
    roster->devices_.push_back(std::move(device));
  }
  // IPv4 lengths count within the mapped address, so that the longest prefix is the longest in either family.
  const auto bits = [](const IpPrefix& prefix) { return prefix.length() + (prefix.address().is_v4() ? 96 : 0); };
  std::stable_sort(roster->by_prefix_.begin(), roster->by_prefix_.end(),
                   [&](const auto& left, const auto& right) { return bits(left.first) > bits(right.first); });

  // 2. Whose the seen MACs are. First those that a device has configured: their addresses are its, whoever claims
  // these.
  const auto adopt = [&](Device& device, const Seen& seen) {
    for (const IpAddress& address : seen.addresses) add_once(device.addresses, address);
    if (device.hostname.empty()) device.hostname = seen.hostname;
    if (device.heard_name.empty()) device.heard_name = seen.heard_name;
    if (device.vendor.empty()) device.vendor = seen.vendor;
  };
  for (const DeviceSettings& settings : settings_)
    for (const MacAddress& mac : settings.macs)
      if (const auto seen = seen_.find(mac); seen != seen_.end()) {
        const DeviceId id = roster->by_mac_[mac];
        adopt(roster->devices_[id.value], seen->second);
        for (const IpAddress& address : seen->second.addresses) roster->by_address_[address] = {id, true};
      }

  // 3. Then the others: one device's, or their own. A host name is a client's own word: it counts only where the
  // operator says nothing better of the device, and an address is nobody's.
  std::unordered_map<std::string, DeviceId> by_hostname;
  for (std::size_t i = 0; i < settings_.size(); ++i)
    if (settings_[i].macs.empty() && !settings_[i].hostname.empty())
      by_hostname.emplace(small_letters(settings_[i].hostname), DeviceId{static_cast<std::uint32_t>(i + 1)});
  std::vector<const MacAddress*> discovered;
  std::unordered_map<std::string_view, int> hostname_uses, heard_uses;
  for (const MacAddress& mac : macs_in_order_) {
    if (configured_macs_.contains(mac)) continue;
    const Seen& seen = seen_.at(mac);
    std::vector<DeviceId> claimants;
    bool is_free = false;  // some address of it is nobody's
    for (const IpAddress& address : seen.addresses) {
      if (const auto claimed = roster->by_address_.find(address); claimed != roster->by_address_.end())
        add_once(claimants, claimed->second.device);
      else if (!roster->claim_on(address))
        is_free = true;
    }
    if (claimants.empty() && is_free && !seen.hostname.empty())
      if (const auto named = by_hostname.find(small_letters(seen.hostname)); named != by_hostname.end())
        claimants.push_back(named->second);
    if (claimants.size() == 1) {
      Device& device = roster->devices_[claimants[0].value];
      adopt(device, seen);
      device.macs.push_back(mac);
      roster->by_mac_.emplace(mac, device.id);
      for (const IpAddress& address : seen.addresses)
        roster->by_address_.try_emplace(address, Roster::Claim{device.id, false});
    } else if (is_free || seen.addresses.empty()) {
      discovered.push_back(&mac);
      if (!seen.hostname.empty())
        ++hostname_uses[seen.hostname];
      else if (!seen.heard_name.empty())
        ++heard_uses[seen.heard_name];
    }
  }
  for (const MacAddress* mac : discovered) {
    const Seen& seen = seen_.at(*mac);
    Device device;
    device.id = {static_cast<std::uint32_t>(roster->devices_.size())};
    device.macs = {*mac};
    device.hostname = seen.hostname;
    device.vendor = seen.vendor;
    device.heard_name = seen.heard_name;
    // A name that several have, or that is the operator's word for another, gets the MAC's tail, whoever came first:
    // so names do not depend on the order of sightings. Who is only heard takes no name from who has it of a lease.
    const bool is_heard = seen.hostname.empty();
    const std::string& called = is_heard ? seen.heard_name : seen.hostname;
    const int uses = hostname_uses[called] + (is_heard ? heard_uses[called] : 0);
    if (called.empty())
      device.name = seen.vendor.empty() ? mac->to_string() : seen.vendor + " " + tail_of(*mac);
    else
      device.name = uses > 1 || taken.contains(called) ? called + " " + tail_of(*mac) : called;
    if (taken.contains(device.name)) device.name += " " + mac->to_string();
    taken.insert(device.name);
    for (const IpAddress& address : seen.addresses) {
      if (roster->claim_on(address)) continue;
      device.addresses.push_back(address);
      roster->by_address_.emplace(address, Roster::Claim{device.id, false});
    }
    roster->by_mac_.emplace(*mac, device.id);
    roster->devices_.push_back(std::move(device));
  }
  return roster;
}

}  // namespace doline::device

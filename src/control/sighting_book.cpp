#include "control/sighting_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "device/lease_file.h"
#include "warden/scratch_device.h"

namespace doline::control {

namespace {

using device::MacAddress;

bool names_a_device(const MacAddress& mac) {
  return !mac.is_zero() && (mac.octets[0] & 1) == 0 && mac != warden::scratch_mac;
}
bool names_a_client(const IpAddress& address) {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
}

std::int64_t to_seconds(WallTime time) {
  return std::max<std::int64_t>(0, std::chrono::duration_cast<seconds>(time.time_since_epoch()).count());
}

std::int64_t to_day(WallTime time) {
  return to_seconds(std::chrono::floor<std::chrono::days>(time));
}

/// A time of a state file: neither before 1970 nor to come.
WallTime to_past(const nlohmann::json& value, WallTime now) {
  const std::int64_t count = value.is_number_unsigned() ? value.get<std::int64_t>() : 0;
  return WallTime(seconds(std::clamp<std::int64_t>(count, 0, to_seconds(now))));
}

std::string to_string(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

bool SightingBook::note(const device::Sighting& sighting, Source source, WallTime now) {
  if (!names_a_device(sighting.mac) || !names_a_client(sighting.address)) return false;
  const auto holder = holders_.find(sighting.address);
  const bool is_held = holder != holders_.end();
  if (is_held && holder->second != sighting.mac && source == Source::lease) {
    const auto& places = macs_.at(holder->second).places;
    const auto place =
        std::find_if(places.begin(), places.end(), [&](const Place& each) { return each.address == sighting.address; });
    check(place != places.end());
    if (place->source == Source::neighbour && now - place->seen < neighbour_believed) return false;
  }

  const auto [entry, is_new] = macs_.try_emplace(sighting.mac);
  Known& known = entry->second;
  bool is_changed = is_new;
  if (is_new) {
    known.first = now;
    known.vendor = vendors_.find(sighting.mac);
  }
  known.last = std::max(known.last, now);
  const bool is_name_believed = sighting.is_static || now - known.static_named >= static_name_believed;
  if (!sighting.hostname.empty() && is_name_believed) {
    is_changed = is_changed || sighting.hostname != known.hostname;
    known.hostname = sighting.hostname;
    if (sighting.is_static) known.static_named = now;
  }
  if (is_held && holder->second == sighting.mac) {
    for (Place& place : known.places) {
      if (place.address != sighting.address) continue;
      // A lease says that a device may be there, the kernel that it is: its word stays, with its time.
      if (source == Source::lease && place.source == Source::neighbour && now - place.seen < neighbour_believed) break;
      place.seen = std::max(place.seen, now);
      place.source = source;
    }
    return is_changed;
  }
  if (is_held) drop_place(MacAddress(holder->second), sighting.address);
  known.places.push_back({sighting.address, now, source});
  holders_[sighting.address] = sighting.mac;
  if (known.places.size() > device::addresses_per_mac_max) {
    const auto oldest = std::min_element(known.places.begin(), known.places.end(),
                                         [](const Place& left, const Place& right) { return left.seen < right.seen; });
    drop_place(sighting.mac, IpAddress(oldest->address));
  }
  thin_out();
  return true;
}

bool SightingBook::note_name(const MacAddress& mac, std::string name, Hearing hearing) {
  const auto known = macs_.find(mac);
  if (known == macs_.end()) return false;
  std::string& place = hearing == Hearing::announcement ? known->second.announced : known->second.pointed;
  if (name.empty() || place == name) return false;
  place = std::move(name);
  return true;
}

std::optional<MacAddress> SightingBook::holder_of(const IpAddress& address) const {
  const auto found = holders_.find(address);
  return found == holders_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<IpAddress> SightingBook::nameless() const {
  std::vector<IpAddress> addresses;
  for (const auto& [mac, known] : macs_)
    if (known.hostname.empty() && known.announced.empty())
      for (const Place& place : known.places) addresses.push_back(place.address);
  return addresses;
}

void SightingBook::drop_place(const MacAddress& mac, const IpAddress& address) {
  std::erase_if(macs_.at(mac).places, [&](const Place& place) { return place.address == address; });
  holders_.erase(address);
}

/// An eighth at once, so that a flood of new ones does not search the whole book for each.
void SightingBook::thin_out() {
  if (macs_.size() > book_macs_max) {
    std::vector<std::pair<WallTime, MacAddress>> by_age;
    for (const auto& [mac, known] : macs_) by_age.emplace_back(known.last, mac);
    std::sort(by_age.begin(), by_age.end());
    by_age.resize(book_macs_max / 8);
    for (const auto& [last, mac] : by_age) {
      for (const Place& place : macs_.at(mac).places) holders_.erase(place.address);
      macs_.erase(mac);
    }
  }
  if (holders_.size() > book_addresses_max) {
    std::vector<std::pair<WallTime, IpAddress>> by_age;
    for (const auto& [mac, known] : macs_)
      for (const Place& place : known.places) by_age.emplace_back(place.seen, place.address);
    std::sort(by_age.begin(), by_age.end());
    by_age.resize(book_addresses_max / 8);
    for (const auto& [seen, address] : by_age) drop_place(MacAddress(holders_.at(address)), address);
  }
}

bool SightingBook::forget(WallTime now) {
  const std::size_t before = holders_.size();
  for (auto& [mac, known] : macs_) {
    std::erase_if(known.places, [&](const Place& place) {
      const bool is_old = now - place.seen > address_kept;
      if (is_old) holders_.erase(place.address);
      return is_old;
    });
  }
  std::erase_if(macs_, [&](const Entry& entry) {
    const seconds kept = entry.first.is_locally_administered() ? made_up_mac_kept : mac_kept;
    return entry.second.places.empty() && now - entry.second.last > kept;
  });
  return holders_.size() != before;
}

std::size_t SightingBook::forget(const querylog::Forgetting& what, const device::Roster& roster) {
  const WallTime before = what.before.value_or(WallTime::max());
  const auto is_meant = [&](const MacAddress& mac, const Known& known) {
    const auto& names = what.devices;
    if (names.empty()) return true;
    const device::Device* device = roster.find(mac);
    // Of no address any more, it is no device of the roster.
    const std::string& name = device != nullptr         ? device->name
                              : !known.hostname.empty() ? known.hostname
                                                        : heard_name(known);
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<MacAddress> forgotten;
  for (auto& [mac, known] : macs_) {
    if (!is_meant(mac, known)) continue;
    std::erase_if(known.places, [&](const Place& place) {
      if (place.seen >= before) return false;
      holders_.erase(place.address);
      return true;
    });
    if (known.last < before)
      forgotten.push_back(mac);
    else
      known.first = std::max(known.first, before);
  }
  for (const MacAddress& mac : forgotten) macs_.erase(mac);
  return forgotten.size();
}

bool SightingBook::set_vendors(device::VendorTable vendors) {
  vendors_ = std::move(vendors);
  bool is_changed = false;
  for (auto& [mac, known] : macs_) {
    const std::string_view vendor = vendors_.find(mac);
    if (vendor.empty() || vendor == known.vendor) continue;
    known.vendor = vendor;
    is_changed = true;
  }
  return is_changed;
}

bool SightingBook::lacks_vendors() const {
  return std::any_of(macs_.begin(), macs_.end(), [](const Entry& entry) {
    return entry.second.vendor.empty() && !entry.first.is_locally_administered();
  });
}

std::vector<const SightingBook::Entry*> SightingBook::in_order() const {
  std::vector<const Entry*> entries;
  for (const Entry& entry : macs_) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(), [](const Entry* left, const Entry* right) {
    return std::pair(left->second.first, left->first) < std::pair(right->second.first, right->first);
  });
  return entries;
}

std::vector<SightingBook::Seen> SightingBook::seen_after(WallTime time) const {
  std::vector<Seen> seen;
  for (const auto& [mac, known] : macs_)
    for (const Place& place : known.places)
      if (place.source == Source::neighbour && place.seen > time) seen.push_back({mac, place.address, place.seen});
  return seen;
}

void SightingBook::fill(device::RosterBuilder& roster) const {
  for (const Entry* entry : in_order()) {
    const Known& known = entry->second;
    auto places = known.places;
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& left, const Place& right) { return left.seen < right.seen; });
    const std::string& heard = heard_name(known);
    for (const Place& place : places)
      roster.add_sighting({place.address, entry->first, known.hostname, false, heard}, known.vendor);
  }
}

std::string SightingBook::to_text(const MayKeep& may_keep) const {
  nlohmann::json devices = nlohmann::json::array();
  for (const Entry* entry : in_order()) {
    const Known& known = entry->second;
    nlohmann::json addresses = nlohmann::json::object();
    for (const Place& place : known.places)
      if (may_keep(entry->first, place.address)) addresses[place.address.to_string()] = to_day(place.seen);
    if (addresses.empty() && !(known.places.empty() && may_keep(entry->first, IpAddress()))) continue;
    nlohmann::json device{{"mac", entry->first.to_string()},
                          {"first", to_seconds(known.first)},
                          {"last", to_day(known.last)},
                          {"addresses", std::move(addresses)}};
    if (!known.hostname.empty()) device["hostname"] = known.hostname;
    if (!known.vendor.empty()) device["vendor"] = known.vendor;
    if (!known.announced.empty()) device["announced"] = known.announced;
    if (!known.pointed.empty()) device["pointed"] = known.pointed;
    devices.push_back(std::move(device));
  }
  if (devices.empty()) return "";
  return nlohmann::json{{"devices", std::move(devices)}}.dump(1, '\t', false,
                                                              nlohmann::json::error_handler_t::replace) +
         '\n';
}

void SightingBook::read_text(std::string_view text, WallTime now) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return;
  const auto devices = json.find("devices");
  if (devices == json.end() || !devices->is_array()) return;
  for (const auto& device : *devices) {
    if (!device.is_object()) continue;
    const auto mac = MacAddress::parse(to_string(device, "mac"));
    if (!mac || !names_a_device(*mac) || macs_.contains(*mac) || macs_.size() >= book_macs_max) continue;
    Known& known = macs_[*mac];
    known.first = to_past(device.value("first", nlohmann::json()), now);
    known.last = to_past(device.value("last", nlohmann::json()), now);
    known.hostname = device::to_hostname(to_string(device, "hostname"));
    known.announced = device::to_hostname(to_string(device, "announced"));
    known.pointed = device::to_hostname(to_string(device, "pointed"));
    // The table's word, where there is one; else what it said when it was last there.
    known.vendor = vendors_.find(*mac);
    if (known.vendor.empty() && !mac->is_locally_administered())
      known.vendor = to_string(device, "vendor").substr(0, device::vendor_name_octets_max);
    const auto addresses = device.find("addresses");
    if (addresses == device.end() || !addresses->is_object()) continue;
    for (const auto& [address_text, seen] : addresses->items()) {
      const auto address = IpAddress::parse(address_text);
      if (!address || !names_a_client(*address) || known.places.size() >= device::addresses_per_mac_max ||
          holders_.size() >= book_addresses_max)
        continue;
      if (!holders_.try_emplace(*address, *mac).second) continue;
      // Whatever it was then, it is no fresh word of the kernel's.
      known.places.push_back({*address, to_past(seen, now), Source::lease});
    }
  }
  forget(now);
}

}  // namespace doline::control

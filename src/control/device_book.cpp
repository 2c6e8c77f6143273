#include "control/device_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "config/printable.h"
#include "config/problem.h"
#include "control/json_fields.h"
#include "control/text_file.h"

namespace doline::control {

namespace {

using device::MacAddress;
using nlohmann::json;

constexpr std::size_t booked_name_octets_max = 255;  // of a device

std::string in_quotes(std::string_view name) {
  return "'" + config::printable(name) + "'";
}

WallTime time_of(const json& object, const char* key) {
  const auto found = object.find(key);
  const std::int64_t count = found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  return WallTime(seconds(std::clamp<std::int64_t>(count, 0, 253'402'300'799)));  // the year 9999
}

/// Names that do not parse are left out.
std::vector<dns::Name> names_of(const json& object, const char* key) {
  std::vector<dns::Name> names;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return names;
  for (const json& text : *found) {
    if (!text.is_string() || names.size() == policy::lock_names_max) continue;
    if (const auto name = dns::Name::parse(text.get<std::string>())) names.push_back(name->lowered());
  }
  return names;
}

json to_json(const std::vector<dns::Name>& names) {
  json all = json::array();
  for (const dns::Name& name : names) all.push_back(name.to_string());
  return all;
}

BookedLock lock_of(const json& object) {
  BookedLock lock;
  lock.names.subtrees = names_of(object, "subtrees");
  lock.names.names = names_of(object, "names");
  lock.names.mode = object.value("observe", json()) == true ? policy::Mode::observe : policy::Mode::enforce;
  const auto flows = object.find("flows");
  if (flows == object.end() || !flows->is_array()) return lock;
  lock.flows.emplace();
  for (const json& each : *flows)
    if (const auto flow = read_flow(each); flow && lock.flows->size() < lock_flows_max) lock.flows->push_back(*flow);
  return lock;
}

json to_json(const BookedLock& lock, WallTime since) {
  json object = {{"since", unix_seconds(since)},
                 {"observe", lock.names.mode == policy::Mode::observe},
                 {"subtrees", to_json(lock.names.subtrees)},
                 {"names", to_json(lock.names.names)}};
  if (!lock.flows) return object;
  json& flows = object["flows"] = json::array();
  for (const redirect::AllowedFlow& flow : *lock.flows) flows.push_back(control::to_json(flow));
  return object;
}

bool has(const BookedDevice& device, const MacAddress& mac) {
  return std::any_of(device.macs.begin(), device.macs.end(), [&](const BookedMac& one) { return one.mac == mac; });
}

}  // namespace

json to_json(const redirect::AllowedFlow& flow) {
  return {{"network", flow.network.to_string()}, {"protocol", flow.protocol}, {"port", flow.port}};
}

std::optional<redirect::AllowedFlow> read_flow(const json& object) {
  const auto network = object.is_object() ? IpPrefix::parse(text_of(object, "network")) : std::nullopt;
  if (!network) return std::nullopt;
  const auto number = [&](const char* key, std::uint64_t most) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? std::min(found->get<std::uint64_t>(), most) : 0;
  };
  return redirect::AllowedFlow{*network, static_cast<std::uint8_t>(number("protocol", 255)),
                               static_cast<std::uint16_t>(number("port", 65'535))};
}

DeviceBook::DeviceBook(std::filesystem::path file, std::string& complaint) : file_(std::move(file)) {
  std::error_code error;
  if (!std::filesystem::exists(file_, error)) return;
  const auto text = read_text_file(file_);
  const json all = text ? json::parse(*text, nullptr, false) : json();
  if (!text || !all.is_array()) {
    complaint = text ? file_.native() + " is damaged: no device is joined or locked by it." : text.error();
    return;
  }
  for (const json& one : all) {
    if (!one.is_object() || devices_.size() == booked_devices_max) continue;
    BookedDevice device;
    device.name = text_of(one, "device");
    if (device.name.empty() || device.name.size() > booked_name_octets_max || find(device.name) != nullptr) continue;
    if (const auto macs = one.find("macs"); macs != one.end() && macs->is_array())
      for (const json& each : *macs) {
        const auto mac = each.is_object() ? MacAddress::parse(text_of(each, "mac")) : std::nullopt;
        if (!mac || has(device, *mac) || device.macs.size() == booked_macs_max) continue;
        device.macs.push_back({*mac, time_of(each, "since"), each.value("joined", json()) == true});
      }
    if (const auto learning = one.find("learning"); learning != one.end() && learning->is_object())
      device.learning = Learning{time_of(*learning, "from"), time_of(*learning, "until")};
    if (const auto lock = one.find("lock"); lock != one.end() && lock->is_object()) {
      device.lock = lock_of(*lock);
      device.lock->names.device = device.name;
      device.locked_since = time_of(*lock, "since");
    }
    devices_.push_back(std::move(device));
  }
}

const BookedDevice* DeviceBook::find(std::string_view name) const {
  const auto found =
      std::find_if(devices_.begin(), devices_.end(), [&](const BookedDevice& device) { return device.name == name; });
  return found == devices_.end() ? nullptr : &*found;
}

BookedDevice* DeviceBook::find_entry(std::string_view name) {
  const auto found =
      std::find_if(devices_.begin(), devices_.end(), [&](const BookedDevice& device) { return device.name == name; });
  return found == devices_.end() ? nullptr : &*found;
}

std::vector<policy::Lock> DeviceBook::locks() const {
  std::vector<policy::Lock> locks;
  for (const BookedDevice& device : devices_)
    if (device.lock && locks.size() < policy::locks_max) locks.push_back(device.lock->names);
  return locks;
}

std::vector<redirect::FlowLock> DeviceBook::flow_locks() const {
  std::vector<redirect::FlowLock> locks;
  for (const BookedDevice& device : devices_) {
    if (!device.lock || !device.lock->flows || locks.size() == redirect::flow_locks_max) continue;
    const bool observes = device.lock->names.mode == policy::Mode::observe;
    locks.push_back(
        {device.name, observes ? redirect::Flows::observe : redirect::Flows::only_resolved, *device.lock->flows});
  }
  return locks;
}

std::vector<device::DeviceSettings> DeviceBook::add_to(std::vector<device::DeviceSettings> configured) const {
  std::set<MacAddress> taken;
  for (const device::DeviceSettings& device : configured) taken.insert(device.macs.begin(), device.macs.end());
  for (const BookedDevice& booked : devices_) {
    auto device = std::find_if(configured.begin(), configured.end(),
                               [&](const device::DeviceSettings& one) { return one.name == booked.name; });
    const bool is_of_file = device != configured.end() && !device->is_booked;
    // Where the YAML gives the name a MAC, it is that device's, and no longer of the one which the book had met.
    const bool keeps_own = !is_of_file || device->macs.empty();
    std::vector<MacAddress> macs;
    for (const BookedMac& one : booked.macs)
      if ((one.is_joined || keeps_own) && taken.insert(one.mac).second) macs.push_back(one.mac);
    if (macs.empty()) continue;
    if (device == configured.end()) {
      configured.emplace_back();
      device = configured.end() - 1;
      device->name = booked.name;
      device->is_booked = true;
    }
    device->macs.insert(device->macs.end(), macs.begin(), macs.end());
  }
  return configured;
}

/// The entry, made where there is none.
Result<BookedDevice*, std::string> DeviceBook::entry_of(const device::Device& device, WallTime now) {
  BookedDevice* found = find_entry(device.name);
  if (found == nullptr) {
    if (devices_.size() == booked_devices_max)
      return fail("There are " + std::to_string(booked_devices_max) + " devices in the book already.");
    found = &devices_.emplace_back();
    found->name = device.name;
  }
  for (const MacAddress& mac : device.macs)
    if (found->macs.size() < booked_macs_max && !has(*found, mac)) found->macs.push_back({mac, now, false});
  return found;
}

void DeviceBook::drop_empty() {
  std::erase_if(devices_, [](const BookedDevice& device) {
    return !device.learning && !device.lock &&
           std::none_of(device.macs.begin(), device.macs.end(), [](const BookedMac& one) { return one.is_joined; });
  });
}

Result<std::size_t, std::string> DeviceBook::join(const device::Device& device, std::string_view other,
                                                  const device::Roster& roster, WallTime now) {
  const std::string text(other);
  std::vector<MacAddress> macs;
  const device::Device* from = roster.find(text);
  const auto mac = MacAddress::parse(text);
  if (from == nullptr && mac) from = roster.find(*mac);
  if (from == nullptr && !mac) {
    auto found = find_device(roster, text);
    if (!found) return fail(found.error());
    from = *found;
  }
  if (from == &device) return fail(in_quotes(text) + " is " + in_quotes(device.name) + " already.");
  if (from != nullptr && (from->is_configured || from->id.value == 0)) {
    const BookedDevice* booked = find(from->name);
    const auto is_it = [&](const BookedMac& one) { return one.is_joined && one.mac == mac; };
    if (booked != nullptr && std::any_of(booked->macs.begin(), booked->macs.end(), is_it))
      return fail(in_quotes(text) + " is joined to " + in_quotes(from->name) + ": first `doline device separate " +
                  config::printable(from->name) + ' ' + mac->to_string() + "`.");
    return fail(in_quotes(from->name) + " is a device of the configuration: write its MAC under " +
                in_quotes(device.name) + " there.");
  }
  if (from != nullptr)
    if (const BookedDevice* booked = find(from->name); booked != nullptr && (booked->lock || booked->learning))
      return fail(in_quotes(from->name) + " is " + (booked->lock ? "locked" : "being learned") +
                  " itself: unlock it first.");
  if (mac && (mac->is_zero() || (mac->octets[0] & 1) != 0)) return fail(in_quotes(text) + " is not a device's MAC.");
  macs = mac ? std::vector{*mac} : from->macs;
  if (macs.empty()) return fail(in_quotes(text) + " has no MAC that Doline knows: it stands behind a router.");

  auto entry = entry_of(device, now);
  if (!entry) return fail(entry.error());
  if ((*entry)->macs.size() + macs.size() > booked_macs_max) {
    drop_empty();
    return fail(in_quotes(device.name) + " would have more than " + std::to_string(booked_macs_max) + " MACs.");
  }
  for (const MacAddress& one : macs) {
    for (BookedDevice& each : devices_)
      std::erase_if(each.macs, [&](const BookedMac& booked) { return booked.mac == one; });
    (*entry)->macs.push_back({one, now, true});
  }
  drop_empty();
  save();
  return macs.size();
}

std::size_t DeviceBook::separate(std::string_view name, std::optional<MacAddress> mac) {
  BookedDevice* entry = find_entry(name);
  if (entry == nullptr) return 0;
  const auto count =
      std::erase_if(entry->macs, [&](const BookedMac& one) { return one.is_joined && (!mac || one.mac == *mac); });
  drop_empty();
  if (count > 0) save();
  return count;
}

Result<void, std::string> DeviceBook::learn(const device::Device& device, Learning learning) {
  auto entry = entry_of(device, learning.from);
  if (!entry) return fail(entry.error());
  (*entry)->learning = learning;
  save();
  return {};
}

Result<void, std::string> DeviceBook::lock(const device::Device& device, BookedLock lock, WallTime now) {
  const auto locked = std::count_if(devices_.begin(), devices_.end(), [&](const BookedDevice& one) {
    return one.lock.has_value() && one.name != device.name;
  });
  if (static_cast<std::size_t>(locked) >= policy::locks_max)
    return fail(std::to_string(policy::locks_max) + " devices are locked already.");
  std::size_t flows = lock.flows ? lock.flows->size() : 0;
  for (const BookedDevice& one : devices_)
    if (one.lock && one.lock->flows && one.name != device.name) flows += one.lock->flows->size();
  if (flows > redirect::allowed_flows_max)
    return fail("All locks together may allow at most " + std::to_string(redirect::allowed_flows_max) +
                " connections beside those to what was looked up.");
  auto entry = entry_of(device, now);
  if (!entry) return fail(entry.error());
  lock.names.device = device.name;
  (*entry)->lock = std::move(lock);
  (*entry)->locked_since = now;
  // What it asks for from here on is told as an alarm, and nothing that it needs.
  if (auto& learning = (*entry)->learning) learning->until = std::min(learning->until, now);
  save();
  return {};
}

bool DeviceBook::unlock(std::string_view name) {
  BookedDevice* entry = find_entry(name);
  if (entry == nullptr || (!entry->lock && !entry->learning)) return false;
  entry->lock.reset();
  entry->learning.reset();
  drop_empty();
  save();
  return true;
}

void DeviceBook::save() {
  json all = json::array();
  for (const BookedDevice& device : devices_) all.push_back(control::to_json(device));
  unsaved_ = replace_text_file(file_, all.dump(1, '\t', false, json::error_handler_t::replace) + '\n', ".new");
}

json to_json(const BookedDevice& device) {
  json macs = json::array();
  for (const BookedMac& one : device.macs)
    macs.push_back({{"mac", one.mac.to_string()}, {"since", unix_seconds(one.since)}, {"joined", one.is_joined}});
  json object = {{"device", device.name}, {"macs", std::move(macs)}};
  if (device.learning)
    object["learning"] = {{"from", unix_seconds(device.learning->from)},
                          {"until", unix_seconds(device.learning->until)}};
  if (device.lock) object["lock"] = to_json(*device.lock, device.locked_since);
  return object;
}

std::string say_unknown(const std::string& what, const std::string& text, const std::vector<std::string_view>& known) {
  std::string sentence = "There is no " + what + " " + in_quotes(text);
  if (const auto near = config::find_nearest(text, known); !near.empty())
    return sentence + "; did you mean " + in_quotes(near) + "?";
  return sentence + '.';
}

Result<const device::Device*, std::string> find_device(const device::Roster& roster, const std::string& text) {
  const device::Device* found = roster.find(text);
  if (const auto mac = MacAddress::parse(text); !found && mac) found = roster.find(*mac);
  if (const auto address = IpAddress::parse(text); !found && address) found = &roster.identify(*address);
  if (found && found->id.value != 0) return found;
  std::vector<std::string_view> known;
  for (const device::Device& device : roster.devices().subspan(1)) known.push_back(device.name);
  return fail(say_unknown("device", text, known));
}

Result<BookedLock, std::string> read_lock(const json& request) {
  for (const char* key : {"subtrees", "names"})
    if (const auto names = request.find(key); names != request.end()) {
      if (!names->is_array() || names->size() > policy::lock_names_max)
        return fail("A lock names at most " + std::to_string(policy::lock_names_max) + " names of each kind.");
      for (const json& text : *names)
        if (!text.is_string() || !dns::Name::parse(text.get<std::string>()))
          return fail(in_quotes(text.is_string() ? text.get<std::string>() : text.dump()) + " is no name.");
    }
  if (const auto flows = request.find("flows"); flows != request.end()) {
    if (!flows->is_array() || flows->size() > lock_flows_max)
      return fail("A lock allows at most " + std::to_string(lock_flows_max) + " connections.");
    for (const json& flow : *flows)
      if (!read_flow(flow)) return fail(in_quotes(flow.dump()) + " says of no network that it may be connected to.");
  }
  BookedLock lock = lock_of(request);
  const auto is_root = [](const dns::Name& name) { return name.is_root(); };
  if (std::any_of(lock.names.subtrees.begin(), lock.names.subtrees.end(), is_root))
    return fail(std::string("All names are below the root: that would be no lock."));
  return lock;
}

}  // namespace doline::control

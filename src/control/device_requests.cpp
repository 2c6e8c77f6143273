#include "control/device_requests.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/printable.h"
#include "control/json_fields.h"

namespace doline::control {

namespace {

using nlohmann::json;

json to_json(const std::vector<LockAlarms::Alarm>& alarms) {
  json all = json::array();
  for (const LockAlarms::Alarm& alarm : alarms)
    all.push_back({{alarm.kind == LockAlarms::Kind::name ? "name" : "connection", alarm.what},
                   {"first", unix_seconds(alarm.first)},
                   {"refused", alarm.is_refused}});
  return all;
}

json describe(const device::Roster& roster, const device::Device& device) {
  json macs = json::array(), addresses = json::array(), groups = json::array();
  for (const device::MacAddress& mac : device.macs)
    macs.push_back({{"mac", mac.to_string()}, {"made_up", mac.is_locally_administered()}});
  for (const IpAddress& address : device.addresses) addresses.push_back(address.to_string());
  for (std::size_t group = 0; group < roster.groups().size(); ++group)
    if ((device.groups >> group & 1) != 0) groups.push_back(roster.groups()[group].name);
  constexpr const char* log_words[] = {"full", "anonymous", "none"};
  return {{"name", device.name},
          {"configured", device.is_configured},
          {"macs", std::move(macs)},
          {"addresses", std::move(addresses)},
          {"hostname", device.hostname},
          {"heard_name", device.heard_name},
          {"vendor", device.vendor},
          {"groups", std::move(groups)},
          {"log", log_words[static_cast<std::size_t>(device.log)]}};
}

/// What the device's log does not keep cannot be learned.
std::string learning_warning(const device::Device& device) {
  if (device.log == device::LogChoice::full) return "";
  return "Nothing can be learned of it: its queries are not logged under its name (`log`).";
}

std::string lock_warning(const device::Device& device) {
  if (!device.macs.empty()) return "";
  return "No MAC of it is known: under another address it is another device, and not locked.";
}

}  // namespace

json answer_device_request(const json& request, const device::Roster& roster, WallTime now, DeviceBook& book,
                           LockAlarms& alarms, std::string& changed) {
  const std::string wish = text_of(request, "ask");
  const std::string asked = text_of(request, "device");
  const auto found = find_device(roster, asked);
  // A book may speak of a device that nobody has seen since, and must be rid of what it says all the same.
  const BookedDevice* booked = book.find(asked);
  if (!found && booked == nullptr) return {{"error", found.error()}};
  const std::string name = found ? (*found)->name : booked->name;
  const std::string quoted = config::printable(name);
  json answer = {{"ok", true}};

  if (wish == "device.separate") {
    const std::string text = text_of(request, "mac");
    const auto mac = device::MacAddress::parse(text);
    if (!text.empty() && !mac) return {{"error", "'" + config::printable(text) + "' is no MAC."}};
    const std::size_t count = book.separate(name, mac);
    answer["separated"] = count;
    if (count > 0) changed = std::to_string(count) + " MACs are no longer joined to " + quoted + ".";
  } else if (wish == "device.unlock") {
    const bool was = book.unlock(name);
    answer["unlocked"] = was;
    alarms.forget(name);
    if (was) changed = quoted + " is not locked any more.";
  } else if (wish != "device.show" && !found) {
    return {{"error", found.error()}};
  } else if (wish == "device.join") {
    const auto joined = book.join(**found, text_of(request, "other"), roster, now);
    if (!joined) return {{"error", joined.error()}};
    answer["joined"] = *joined;
    changed = std::to_string(*joined) + " MACs are joined to " + quoted + ".";
  } else if (wish == "device.learn") {
    const auto period = request.find("seconds");
    const std::int64_t count = period != request.end() && period->is_number_integer() ? period->get<std::int64_t>() : 0;
    if (count <= 0 || count > learning_max.count())
      return {{"error", "It is learned for at least a second and at most " +
                            std::to_string(learning_max.count() / 86'400) + " days."}};
    const auto learned = book.learn(**found, {now, now + seconds(count)});
    if (!learned) return {{"error", learned.error()}};
    if (const std::string warning = learning_warning(**found); !warning.empty()) answer["warning"] = warning;
    changed = quoted + " is being learned.";
  } else if (wish == "device.lock") {
    auto lock = read_lock(request);
    if (!lock) return {{"error", lock.error()}};
    const bool observes = lock->names.mode == policy::Mode::observe;
    const auto locked = book.lock(**found, *std::move(lock), now);
    if (!locked) return {{"error", locked.error()}};
    alarms.forget(name);
    if (const std::string warning = lock_warning(**found); !warning.empty()) answer["warning"] = warning;
    changed = quoted + (observes ? " is locked, and observed only." : " is locked.");
  } else if (wish != "device.show") {
    return {{"error", "This Doline does not know the request '" + config::printable(wish.substr(0, 64)) + "'."}};
  }

  if (!changed.empty() && !book.unsaved().empty()) answer["warning"] = book.unsaved();
  if (found) answer["device"] = describe(roster, **found);
  if (const BookedDevice* after = book.find(name)) answer["book"] = to_json(*after);
  answer["alarms"] = to_json(alarms.of(name));
  return answer;
}

json to_request(const querylog::Forgetting& what) {
  json request = {{"ask", "sightings.forget"}, {"devices", what.devices}};
  if (what.before) request["before"] = unix_seconds(*what.before);
  return request;
}

querylog::Forgetting read_forgetting(const json& request) {
  querylog::Forgetting what;
  for (const json& name : request.value("devices", json::array()))
    if (name.is_string()) what.devices.push_back(name.get<std::string>());
  if (const auto before = request.find("before"); before != request.end() && before->is_number_integer())
    what.before = WallTime(seconds(std::clamp<std::int64_t>(before->get<std::int64_t>(), 0, 253'402'300'799)));
  return what;
}

json to_json(const DeviceBook& book, const LockAlarms& alarms) {
  json all = json::array();
  for (const BookedDevice& device : book.all()) {
    json one = to_json(device);
    // Names by the thousand are for `doline device show`.
    if (const auto lock = one.find("lock"); lock != one.end()) {
      for (const char* key : {"subtrees", "names", "flows"})
        if (lock->contains(key)) (*lock)[key] = (*lock)[key].size();
      one["alarms"] = alarms.of(device.name).size();
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace doline::control

#include <algorithm>
#include <map>
#include <unordered_map>

#include "config/sections.h"

namespace doline::config {

namespace {

using device::LogChoice;

constexpr std::size_t leases_max = 64;            // files
constexpr std::size_t device_values_max = 1'024;  // MACs, addresses or networks of one device or group

std::optional<LogChoice> read_log_choice(Reading& reading, const Node& node) {
  return read_word<LogChoice>(
      reading, node, "what is logged",
      {{"full", LogChoice::full}, {"anonymous", LogChoice::anonymous}, {"none", LogChoice::none}});
}

/// What may belong to one device only, and where it was first given.
template <class T>
class Owners {
 public:
  void add(Reading& reading, const Node& node, const T& value, const std::string& device) {
    const auto [found, is_new] = owners_.try_emplace(value, device, node.place.line);
    if (!is_new)
      reading.add(node, quote(node.text) + " already belongs to " + quote(found->second.first) + " (line " +
                            std::to_string(found->second.second) + ")");
  }

 private:
  std::map<T, std::pair<std::string, int>> owners_;
};

class DeviceSection {
 public:
  DeviceSection(Reading& reading, Live& live) : reading_(reading), live_(live) {}

  void read_groups(const Node& node) {
    if (expect_map(reading_, node, "names of groups") == nullptr) return;
    for (const auto& [key, value] : node.entries) {
      if (!is_given_name(reading_, key, "a group")) continue;
      device::Group group;
      group.name = key.text;
      const Keys keys(reading_, value, "groups.*");
      if (const Node* networks = keys.find("network"))
        for (const Node* network : to_list(reading_, *networks, device_values_max, "networks"))
          if (const auto prefix = read_prefix(reading_, *network)) group.networks.push_back(*prefix);
      if (const Node* log = keys.find("log")) group.log = read_log_choice(reading_, *log);
      read_restriction(keys);
      add_group(std::move(group), key);
    }
  }

  void read_devices(const Node& node) {
    if (expect_map(reading_, node, "names of devices") == nullptr) return;
    if (node.entries.size() >= device::devices_max)
      reading_.add(node, "more than " + std::to_string(device::devices_max - 1) + " devices");
    for (const auto& [key, value] : node.entries) {
      if (!is_given_name(reading_, key, "a device")) continue;
      if (key.text == device::unknown_device_name)
        reading_.add(key, quote(key.text) + " is the name of the device that nobody knows");
      live_.devices.push_back(read_device(key, value));
    }
  }

  void read_leases(const Node& node) {
    for (const Node* value : to_list(reading_, node, leases_max, "lease files"))
      if (const auto path = read_input_path(reading_, *value)) live_.leases.push_back(*path);
  }

  void read_discovery(const Node& node) {
    if (says_off(node)) return;
    const Keys keys(reading_, node, "discover");
    if (const Node* mdns = keys.find("mdns")) live_.hears_announcements = read_bool(reading_, *mdns).value_or(false);
    if (const Node* pointers = keys.find("ptr")) live_.asks_pointers = read_bool(reading_, *pointers).value_or(false);
  }

 private:
  /// Of the group that comes next.
  void read_restriction(const Keys& keys) {
    using redirect::Flows;
    redirect::GroupRestriction restriction;
    if (const Node* flows = keys.find("flows"))
      if (const auto word = read_word<Flows>(
              reading_, *flows, "what a group's devices may connect to",
              {{"any", Flows::any}, {"observe", Flows::observe}, {"only-resolved", Flows::only_resolved}}))
        restriction.flows = *word;
    if (const Node* encrypted = keys.find("encrypted")) restriction.encrypted = read_encrypted(reading_, *encrypted);
    live_.restrictions.resize(live_.groups.size());
    live_.restrictions.push_back(restriction);
  }

  void add_group(device::Group group, const Node& node) {
    if (live_.groups.size() == device::groups_max)
      reading_.add(node, "more than " + std::to_string(device::groups_max) + " groups");
    if (live_.groups.size() <= device::groups_max) live_.groups.push_back(std::move(group));
  }

  device::DeviceSettings read_device(const Node& name, const Node& node) {
    device::DeviceSettings settings;
    settings.name = name.text;
    const Keys keys(reading_, node, "devices.*");
    if (const Node* macs = keys.find("mac"))
      for (const Node* value : to_list(reading_, *macs, device_values_max, "MAC addresses")) read_mac(*value, settings);
    if (const Node* addresses = keys.find("address"))
      for (const Node* value : to_list(reading_, *addresses, device_values_max, "addresses"))
        if (const auto prefix = read_prefix(reading_, *value)) {
          addresses_.add(reading_, *value, *prefix, settings.name);
          settings.addresses.push_back(*prefix);
        }
    if (const Node* ids = keys.find("client_id"))
      for (const Node* value : to_list(reading_, *ids, device_values_max, "client ids"))
        if (const auto text = read_text(reading_, *value, "a client id")) {
          client_ids_.add(reading_, *value, *text, settings.name);
          settings.client_ids.push_back(*text);
        }
    if (const Node* hostname = keys.find("hostname"))
      if (const auto host = read_name(reading_, *hostname)) settings.hostname = host->to_string();
    if (const Node* groups = keys.find("groups"))
      for (const Node* value : to_list(reading_, *groups, device::groups_max, "groups"))
        read_membership(*value, settings);
    if (const Node* log = keys.find("log")) settings.log = read_log_choice(reading_, *log);
    return settings;
  }

  void read_mac(const Node& node, device::DeviceSettings& settings) {
    const auto text = read_text(reading_, node, "a MAC address");
    if (!text) return;
    const auto mac = device::MacAddress::parse(*text);
    if (!mac || mac->is_zero() || (mac->octets[0] & 1) != 0) {
      reading_.add(node, quote(*text) + " is not a device's MAC address", "\"94:51:3d:13:9a:35\" would be");
      return;
    }
    macs_.add(reading_, node, *mac, settings.name);
    settings.macs.push_back(*mac);
  }

  void read_membership(const Node& node, device::DeviceSettings& settings) {
    const auto text = read_text(reading_, node, "a group's name");
    if (!text || !is_given_name(reading_, node, "a group")) return;
    if (find_named(live_.groups, *text) == nullptr) {
      device::Group group;
      group.name = *text;
      add_group(std::move(group), node);
    }
    if (std::find(settings.groups.begin(), settings.groups.end(), *text) != settings.groups.end())
      reading_.add(node, quote(*text) + " stands here twice");
    settings.groups.push_back(*text);
  }

  Reading& reading_;
  Live& live_;
  Owners<device::MacAddress> macs_;
  Owners<IpPrefix> addresses_;
  Owners<std::string> client_ids_;
};

}  // namespace

void read_devices(Reading& reading, const Keys& top, Settings& settings) {
  DeviceSection section(reading, settings.live);
  if (const Node* node = top.find("groups")) section.read_groups(*node);
  if (const Node* node = top.find("devices")) section.read_devices(*node);
  if (const Node* node = top.find("leases")) section.read_leases(*node);
  if (const Node* node = top.find("discover")) section.read_discovery(*node);
}

}  // namespace doline::config

#include "resolver/device_names.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace doline::resolver {

namespace {

constexpr std::array<std::string_view, 3> refused_labels{"localhost", "wpad", "isatap"};

/// In small letters; nothing where it is no label of letters, digits and hyphens, or could be taken for a number.
std::optional<std::string> label_of(std::string_view text) {
  if (text.empty() || text.size() > dns::label_octets_max || text.front() == '-' || text.back() == '-') return {};
  std::string label(text);
  bool has_letter = false;
  for (char& letter : label) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
    const bool is_letter = letter >= 'a' && letter <= 'z';
    if (!is_letter && !(letter >= '0' && letter <= '9') && letter != '-') return {};
    has_letter |= is_letter;
  }
  if (!has_letter || std::find(refused_labels.begin(), refused_labels.end(), label) != refused_labels.end()) return {};
  return label;
}

std::vector<response::LocalRecord> addresses_of(const device::Device& device) {
  std::vector<response::LocalRecord> records;
  for (auto address = device.addresses.rbegin(); address != device.addresses.rend(); ++address)
    if (address->is_unicast() && !address->is_loopback() && !address->is_link_local() &&
        records.size() < device_addresses_max)
      records.push_back(response::address_record(*address));
  return records;
}

}  // namespace

void name_devices(const device::Roster& roster, const dns::Name& domain, response::LocalRecords::Builder& builder) {
  std::vector<response::LocalName> names;
  std::unordered_set<std::string> taken;
  const auto add = [&](const device::Device& device, std::string_view text) {
    const auto label = label_of(text);
    if (!label || taken.contains(*label)) return;
    const auto alone = dns::Name::parse(*label);
    const auto whole = dns::Name::parse(domain.is_root() ? *label : *label + '.' + domain.to_string());
    if (!alone || !whole || builder.has(*alone) || builder.has(*whole)) return;
    auto records = addresses_of(device);
    if (records.empty()) return;
    taken.insert(*label);
    names.push_back({*whole, false, records});  // first, so that the way back leads to it
    names.push_back({*alone, false, std::move(records)});
  };
  for (const bool is_configured : {true, false})
    for (const device::Device& device : roster.devices()) {
      if (device.id.value == 0 || device.is_configured != is_configured) continue;
      if (device.is_configured) add(device, device.name);
      add(device, device.hostname);
    }
  builder.add_source(names);
}

}  // namespace doline::resolver

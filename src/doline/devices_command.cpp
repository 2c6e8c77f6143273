#include "doline/devices_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "control/device_book.h"
#include "doline/exit_status.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using querylog::DeviceSummary;

constexpr std::size_t lines_max = 6;  // of one device in the table; --json shows all

/// What a MAC tells of its device beside itself.
std::string describe_maker(const std::optional<device::MacAddress>& mac, const std::string& vendor) {
  if (mac && mac->is_locally_administered()) return "(made-up MAC)";
  return printable(vendor);
}

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

void add_rows(TextTable& table, const DeviceSummary& device, const geo::ResolverBook& resolvers) {
  const std::size_t most = std::max({device.addresses.size(), device.meant_to_ask.size(), device.macs.size()});
  const std::size_t lines = std::clamp<std::size_t>(most, 1, lines_max);
  for (std::size_t line = 0; line < lines; ++line) {
    const auto cell = [&](std::size_t count, const auto& print) -> std::string {
      if (line >= count) return "";
      if (line + 1 == lines_max && count > lines_max) return "... " + std::to_string(count - line) + " more";
      return print(line);
    };
    const std::string address =
        cell(device.addresses.size(), [&](std::size_t at) { return device.addresses[at].to_string(); });
    const std::string meant = cell(device.meant_to_ask.size(), [&](std::size_t at) {
      return std::to_string(device.meant_to_ask[at].queries) + "x " +
             printable(describe_resolver(device.meant_to_ask[at].endpoint, resolvers));
    });
    const std::string mac = cell(device.macs.size(), [&](std::size_t at) { return device.macs[at].to_string(); });
    const std::string maker = line < device.macs.size() ? describe_maker(device.macs[line], "") : "";
    if (line == 0)
      table.add({device.name.empty() ? "(anonymous)" : printable(device.name),
                 device.mac ? device.mac->to_string() : "", describe_maker(device.mac, device.vendor), address,
                 to_local_text(device.first_seen), to_local_text(device.last_seen), std::to_string(device.queries),
                 std::to_string(device.intercepted), meant});
    else
      table.add({"", mac, maker, address, "", "", "", "", meant});
  }
}

}  // namespace

std::string to_json(const DeviceSummary& device, const geo::ResolverBook& resolvers) {
  ordered_json object;
  object["device"] = text_or_null(device.name);
  object["mac"] = device.mac ? ordered_json(device.mac->to_string()) : ordered_json(nullptr);
  object["macs"] = ordered_json::array();
  for (const device::MacAddress& mac : device.macs)
    object["macs"].push_back({{"mac", mac.to_string()}, {"made_up", mac.is_locally_administered()}});
  object["vendor"] = text_or_null(device.vendor);
  object["hostname"] = text_or_null(device.hostname);
  object["groups"] = device.groups;
  object["addresses"] = ordered_json::array();
  for (const IpAddress& address : device.addresses) object["addresses"].push_back(address.to_string());
  object["first_seen"] = to_utc_text(device.first_seen);
  object["last_seen"] = to_utc_text(device.last_seen);
  object["queries"] = device.queries;
  object["intercepted"] = device.intercepted;
  object["not_forwarded"] = device.not_forwarded;
  object["meant_to_ask"] = ordered_json::array();
  for (const querylog::ForeignResolver& resolver : device.meant_to_ask) {
    const geo::PublicResolver* known = resolvers.find(resolver.endpoint.address);
    object["meant_to_ask"].push_back(
        {{"address", resolver.endpoint.address.to_string()},
         {"port", resolver.endpoint.port},
         {"known_as", known == nullptr ? ordered_json(nullptr)
                                       : ordered_json({{"operator", known->operator_name},
                                                       {"country", text_or_null(known->country)}})},
         {"queries", resolver.queries}});
  }
  return object.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

std::string to_json(const querylog::Stay& stay) {
  ordered_json object = {{"device", text_or_null(stay.name)},
                         {"mac", stay.mac ? ordered_json(stay.mac->to_string()) : ordered_json(nullptr)},
                         {"made_up", stay.mac && stay.mac->is_locally_administered()},
                         {"vendor", text_or_null(stay.vendor)},
                         {"hostname", text_or_null(stay.hostname)},
                         {"groups", stay.groups},
                         {"address", stay.address ? ordered_json(stay.address->to_string()) : ordered_json(nullptr)},
                         {"first", to_utc_text(stay.first)},
                         {"last", to_utc_text(stay.last)},
                         {"queries", stay.queries}};
  return object.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

namespace {

int run_history(const DevicesArguments& arguments, const device::Roster& roster, querylog::LogReader& log,
                const Clock& clock, std::ostream& out, std::ostream& err) {
  std::string name = arguments.history;
  std::vector<device::MacAddress> macs;
  if (const auto device = control::find_device(roster, name)) {
    name = (*device)->name;
    macs = (*device)->macs;
  } else if (const auto mac = device::MacAddress::parse(name)) {
    macs = {*mac};
  }
  const auto stays = log.history(name, macs);
  if (!stays) return complain("devices", arguments.database, stays.error(), err);
  if (arguments.json) {
    for (const querylog::Stay& stay : *stays) out << to_json(stay) << '\n';
  } else if (!stays->empty()) {
    const std::string zone = printable(local_zone(clock.now().wall));
    TextTable table({"FROM (" + zone + ")", "TO", "NAME", "MAC", "VENDOR", "HOST NAME", "ADDRESS", "QUERIES"});
    for (const querylog::Stay& stay : *stays)
      table.add({to_local_text(stay.first), to_local_text(stay.last), printable(stay.name),
                 stay.mac ? stay.mac->to_string() : "", describe_maker(stay.mac, stay.vendor), printable(stay.hostname),
                 stay.address ? stay.address->to_string() : "", std::to_string(stay.queries)});
    table.print(out);
  }
  out.flush();
  if (!stays->empty()) return exit_ok;
  if (!arguments.json)
    err << "Nothing is kept of " << printable(arguments.history) << " in " << printable(arguments.database.string())
        << ".\n";
  return exit_no;
}

}  // namespace

int run_devices(const DevicesArguments& arguments, const geo::ResolverBook& resolvers, const device::Roster& roster,
                const Clock& clock, std::ostream& out, std::ostream& err) {
  auto reader = querylog::LogReader::open(arguments.database);
  if (!reader) return complain("devices", arguments.database, reader.error(), err);
  if (!arguments.history.empty()) return run_history(arguments, roster, *reader, clock, out, err);
  std::vector<std::vector<device::MacAddress>> same;
  for (const device::Device& device : roster.devices())
    if (device.macs.size() > 1) same.push_back(device.macs);
  const auto devices = reader->devices(same);
  if (!devices) return complain("devices", arguments.database, devices.error(), err);
  if (arguments.json) {
    for (const DeviceSummary& device : *devices) out << to_json(device, resolvers) << '\n';
  } else if (!devices->empty()) {
    const std::string zone = printable(local_zone(clock.now().wall));
    TextTable table({"DEVICE", "MAC", "VENDOR", "ADDRESSES", "FIRST SEEN (" + zone + ")", "LAST SEEN", "QUERIES",
                     "INTERCEPTED", "MEANT TO ASK"});
    for (const DeviceSummary& device : *devices) add_rows(table, device, resolvers);
    table.print(out);
  }
  out.flush();
  if (!devices->empty()) return exit_ok;
  if (!arguments.json)
    err << "No device has asked anything yet: there is none in " << printable(arguments.database.string()) << ".\n";
  return exit_no;
}

}  // namespace doline

#include "doline/devices_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "doline/exit_status.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using querylog::DeviceSummary;

constexpr std::size_t lines_max = 6;  // of one device in the table; --json shows all

void add_rows(TextTable& table, const DeviceSummary& device, const geo::ResolverBook& resolvers) {
  const std::size_t most = std::max(device.addresses.size(), device.meant_to_ask.size());
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
    if (line == 0)
      table.add({device.name.empty() ? "(anonymous)" : printable(device.name),
                 device.mac ? device.mac->to_string() : "", printable(device.vendor), address,
                 to_local_text(device.first_seen), to_local_text(device.last_seen), std::to_string(device.queries),
                 std::to_string(device.intercepted), meant});
    else
      table.add({"", "", "", address, "", "", "", "", meant});
  }
}

}  // namespace

std::string to_json(const DeviceSummary& device, const geo::ResolverBook& resolvers) {
  ordered_json object;
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  object["device"] = text_or_null(device.name);
  object["mac"] = device.mac ? ordered_json(device.mac->to_string()) : ordered_json(nullptr);
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

int run_devices(const DevicesArguments& arguments, const geo::ResolverBook& resolvers, const Clock& clock,
                std::ostream& out, std::ostream& err) {
  auto reader = querylog::LogReader::open(arguments.database);
  if (!reader) return complain("devices", arguments.database, reader.error(), err);
  const auto devices = reader->devices();
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
  if (!arguments.json) err << "No device has asked anything yet.\n";
  return exit_no;
}

}  // namespace doline

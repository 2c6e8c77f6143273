#include "doline/status_command.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "control/command_socket.h"
#include "doline/exit_status.h"
#include "doline/pause_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"

namespace doline {

namespace {

using nlohmann::json;

std::string octets(std::uint64_t size) {
  if (size < 10'000) return fmt::format("{} octets", size);
  if (size < 10'000'000) return fmt::format("{:.1f} KiB", static_cast<double>(size) / 1'024);
  return fmt::format("{:.1f} MiB", static_cast<double>(size) / 1'048'576);
}

std::string duration(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7'200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h", seconds / 3'600);
  return fmt::format("{} days", seconds / 86'400);
}

std::string text(const json& value) {
  return value.is_string() ? printable(value.get<std::string>()) : value.dump();
}

std::uint64_t figure(const json& object, const char* key) {
  return object.value(key, std::uint64_t{0});
}

std::string serving(const json& status) {
  std::string line;
  for (const json& endpoint : status.at("serving")) line += (line.empty() ? "" : ", ") + text(endpoint);
  return line;
}

/// Of a device that was joined, is learned or locked.
std::string booked_line(const json& device) {
  std::string line;
  const auto add = [&](const std::string& what) { line += (line.empty() ? "" : "; ") + what; };
  std::size_t joined = 0;
  for (const json& mac : device.at("macs")) joined += mac.value("joined", false) ? 1 : 0;
  if (joined > 0) add(fmt::format("{} MAC{} joined", joined, joined == 1 ? "" : "s"));
  if (const auto learning = device.find("learning"); learning != device.end())
    add("learned until " + printable(to_zoned_text(WallTime(seconds(learning->value("until", std::int64_t{0}))))));
  if (const auto lock = device.find("lock"); lock != device.end())
    add(fmt::format("locked to {} names{}{}, {} others asked for", figure(*lock, "subtrees") + figure(*lock, "names"),
                    lock->contains("flows") ? fmt::format(" and {} connections", figure(*lock, "flows")) : "",
                    lock->value("observe", false) ? " (observed only)" : "", figure(device, "alarms")));
  return fmt::format("  {:<12} {}\n", text(device.at("device")), line);
}

}  // namespace

std::string describe_status(const json& status) {
  const json& queries = status.at("queries");
  const json& cache = status.at("cache");
  std::string page = fmt::format("Doline {} (process {}) is {}, up {}, generation {}\n", text(status.at("version")),
                                 figure(status, "pid"), text(status.at("state")),
                                 duration(figure(status, "up_seconds")), figure(status, "generation"));
  for (const json& shortcoming : status.at("shortcomings")) page += "  ! " + text(shortcoming) + '\n';
  const json& interception = status.at("interception");
  for (const json& key : status.at("waiting_for_restart")) {
    const bool may_be_applied = key == "redirect" && interception.value("mode", "off") != "off";
    page += std::string("  ! waits for ") +
            (may_be_applied ? "`doline redirect apply`, or a restart where mode or ports differ: " : "a restart: ") +
            text(key) + '\n';
  }
  page += fmt::format("configuration  {}\nserving        {} (UDP and TCP), {} workers, {} of memory\n",
                      text(status.at("settings")), serving(status), figure(status, "workers"),
                      octets(figure(status, "resident_octets")));
  page += fmt::format("queries        {} received, {} answered, {} waiting; {} dropped by a rule, {} not understood\n",
                      figure(queries, "received"), figure(queries, "answered"), figure(queries, "waiting"),
                      figure(queries, "dropped_by_verdict"),
                      figure(queries, "rejected") + figure(queries, "dropped_malformed"));
  page += fmt::format("answered       {} forwarded, {} from cache, {} by Doline itself, {} stale, {} failed\n",
                      figure(queries, "forwarded"), figure(queries, "from_cache"), figure(queries, "synthesized"),
                      figure(queries, "stale"), figure(queries, "failed"));
  page += fmt::format("cache          {} answers, {}\n", figure(cache, "entries"), octets(figure(cache, "octets")));
  page += fmt::format("interception   {} (mode {}), {} queries caught{}\n", text(interception.at("state")),
                      text(interception.at("mode")), figure(queries, "intercepted"),
                      text(interception.at("reason")).empty() ? "" : ": " + text(interception.at("reason")));
  if (const std::size_t others = interception.value("interference", json::array()).size(); others > 0)
    page +=
        fmt::format("interference   {} found on this machine: `doline redirect status` tells, with the cure\n", others);
  const json& gate = interception.at("gate");
  if (figure(gate, "only_resolved") + figure(gate, "observed") > 0)
    page +=
        fmt::format("gate           {} MAC addresses only-resolved, {} connections refused; {} observed, {} would be\n",
                    figure(gate, "only_resolved"), figure(gate, "refused"), figure(gate, "observed"),
                    figure(gate, "would_refuse")) +
        fmt::format("admission      {} answers told to the kernel first, {} not (in time)\n",
                    figure(queries, "admitted"), figure(queries, "unadmitted")) +
        (text(interception.at("mode")) == "remote"
             ? "               held are only devices that have this machine as their gateway\n"
             : "");
  for (const json& device : gate.value("devices", json::array()))
    page += fmt::format("  {:<12} {} connections refused, {} would be; {} of encrypted DNS refused\n",
                        text(device.at("device")), figure(device, "refused"), figure(device, "would_refuse"),
                        figure(device, "encrypted"));
  for (const json& exemption : status.at("exemptions")) {
    const auto until = exemption.at("until");
    page += "set aside      " +
            describe_exemption(
                exemption.value("device", ""), exemption.value("group", ""), exemption.value("name", ""),
                until.is_number() ? std::optional(WallTime(seconds(until.get<std::int64_t>()))) : std::nullopt) +
            '\n';
  }
  page += fmt::format("devices        {}\n", figure(status, "devices"));
  for (const json& device : status.value("device_book", json::array())) page += booked_line(device);
  const json& log = status.at("querylog");
  if (log.is_object())
    page +=
        fmt::format("query log      {}, {} written, {} lost, {}\n", text(log.at("state")), figure(log, "written"),
                    figure(log, "lost_at_ring") + figure(log, "lost_at_database"), octets(figure(log, "size_octets")));
  else
    page += "query log      off\n";
  if (const json& flows = status.at("flows"); flows.is_object()) {
    page += fmt::format("flows          {}{} connections, {} without lookup, {} lost",
                        flows.value("watching", false) ? "" : "no longer watched; ", figure(flows, "seen"),
                        figure(flows, "without_lookup"), figure(flows, "lost"));
    if (const auto left_out = figure(flows, "left_out"); left_out > 0)
      page += fmt::format("; {} left out of devices that began too many, most of {}", left_out,
                          text(flows.at("left_out_most_of")));
    if (const auto audited = figure(flows, "audited"); audited > 0)
      page += fmt::format("; {} queries to foreign resolvers seen", audited);
    page += '\n';
  }
  page += fmt::format("lists          {} names in all\n", figure(status, "list_names"));
  for (const json& list : status.at("lists"))
    page +=
        fmt::format("  {:<12} {:>9} names  {}\n", text(list.at("name")), figure(list, "names"), text(list.at("state")));
  page += "upstreams\n";
  for (const json& server : status.at("upstreams"))
    page += fmt::format("  {:<12} {:<24} {:<5} {:>7.1f} ms  {} asked, {} answered, {} failed\n",
                        text(server.at("route")), text(server.at("server")), server.value("up", false) ? "up" : "DOWN",
                        static_cast<double>(figure(server, "round_trip_us")) / 1'000, figure(server, "asked"),
                        figure(server, "answered"), figure(server, "failed"));
  return page;
}

int run_status(const StatusArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto settings = choose_places(arguments.settings, err);
  if (!settings) return settings.error();
  const auto status = control::ask(settings->fixed.control_socket, {{"ask", "status"}});
  if (!status) {
    err << "doline status: " << printable(status.error().text) << '\n';
    return status.error().kind == control::AskFault::Kind::no_permission ? exit_no_permission : exit_unavailable;
  }
  if (arguments.json)
    out << status->dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  else
    out << describe_status(*status);
  return status->value("state", "") == "well" ? exit_ok : exit_no;
}

}  // namespace doline

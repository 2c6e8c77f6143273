#include "doline/lists_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "blocklist/list_file.h"
#include "control/command_socket.h"
#include "control/text_file.h"
#include "doline/exit_status.h"
#include "doline/terminal_text.h"

namespace doline {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string age_of(const json& time, WallTime now) {
  if (!time.is_number_integer()) return "";
  const auto age = std::chrono::duration_cast<seconds>(now.time_since_epoch()).count() - time.get<std::int64_t>();
  if (age < 120) return std::to_string(std::max<std::int64_t>(age, 0)) + " s";
  if (age < 7'200) return std::to_string(age / 60) + " min";
  if (age < 172'800) return std::to_string(age / 3'600) + " h";
  return std::to_string(age / 86'400) + " days";
}

std::string serial_of(const json& list) {
  const auto serial = list.find("serial");
  return serial != list.end() && serial->is_number() ? ", serial " + std::to_string(serial->get<std::uint32_t>()) : "";
}

int ask_running(const ListsArguments& arguments, const json& wish, json& answer, std::ostream& err) {
  const auto settings = choose_places(arguments.settings, err);
  if (!settings) return settings.error();
  const auto asked = control::ask(settings->fixed.control_socket, wish);
  if (!asked) {
    err << "doline lists: " << printable(asked.error().text) << '\n';
    return asked.error().kind == control::AskFault::Kind::no_permission ? exit_no_permission : exit_unavailable;
  }
  answer = *asked;
  return exit_ok;
}

int show_lists(const ListsArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  json status;
  if (const int result = ask_running(arguments, {{"ask", "status"}}, status, err); result != exit_ok) return result;
  const json& lists = status.at("lists");
  bool are_well = true;
  for (const json& list : lists) are_well = are_well && list.value("error", "").empty();
  if (arguments.json) {
    for (const json& list : lists) out << list.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    return are_well ? exit_ok : exit_no;
  }
  const WallTime now = clock.now().wall;
  TextTable table({"list", "kind", "format", "names", "rules", "exceptions", "skipped", "age", "octets", "state"});
  for (const json& list : lists) {
    const auto figure = [&](const char* key) { return grouped(list.value(key, std::uint64_t{0})); };
    const json& format = list.at("format");
    const json& time = list.at("last_fetch").is_null() ? list.at("modified") : list.at("last_fetch");
    table.add({printable(list.value("name", "")), printable(list.value("kind", "")),
               format.is_string() ? printable(format.get<std::string>()) : "", figure("names"), figure("rules"),
               figure("exceptions"), figure("problems"), age_of(time, now), figure("octets"),
               printable(list.value("state", "")) + serial_of(list)});
  }
  table.print(out);
  for (const json& list : lists) {
    const std::string name = printable(list.value("name", ""));
    if (const std::string error = list.value("error", ""); !error.empty())
      out << name << ": " << printable(error) << '\n';
    for (const auto& [reason, count] : list.at("skipped").items())
      out << name << ": skipped " << grouped(count.get<std::uint64_t>()) << ": " << printable(reason) << '\n';
  }
  return are_well ? exit_ok : exit_no;
}

int check_file(const ListsArguments& arguments, std::ostream& out, std::ostream& err) {
  std::optional<blocklist::ListFormat> format;
  if (!arguments.format.empty()) {
    format = blocklist::parse_list_format(arguments.format);
    if (!format) {
      err << "doline lists check: '" << printable(arguments.format) << "' is no list's format.\n";
      return exit_wrong_usage;
    }
  }
  const auto text = control::read_list_text(arguments.file);
  if (!text) {
    err << "doline lists check: " << printable(text.error()) << '\n';
    return exit_no_input;
  }
  if (!format) format = blocklist::recognise(*text);
  if (!format) {
    err << "doline lists check: " << printable(arguments.file.native())
        << (text->empty() ? " is empty.\n" : " looks like none of the formats of lists.\n");
    return exit_no;
  }
  const std::string file = printable(arguments.file.native());
  const auto print = [&](std::uint32_t line, const char* key, const std::string& what, std::uint32_t column) {
    if (arguments.json) {
      ordered_json object = {{"line", line}};
      if (column > 0) object["column"] = column;
      object[key] = what;
      out << object.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    } else {
      out << file << ':' << line << (column > 0 ? ':' + std::to_string(column) : "") << ": " << printable(what) << '\n';
    }
  };
  const auto result = blocklist::read_list(
      *text, *format, false,
      [&](const blocklist::Entry& entry) {
        if (arguments.all) print(entry.line, "says", to_string(entry), 0);
      },
      [&](const blocklist::LineProblem& problem) {
        print(problem.line, "skipped", std::string(blocklist::to_string(problem.fault)), problem.column);
      });
  if (arguments.json) {
    ordered_json object = {{"format", to_string(*format)},    {"lines", result.lines},
                           {"entries", result.entries},       {"rules", result.rules},
                           {"exceptions", result.exceptions}, {"skipped", result.problems}};
    out << object.dump() << '\n';
  } else {
    out << file << ": format " << to_string(*format) << ", " << grouped(result.lines)
        << " lines: " << grouped(result.entries - result.rules) << " plain names, " << grouped(result.rules)
        << " rules (" << grouped(result.exceptions) << " exceptions), " << grouped(result.problems) << " skipped\n";
  }
  return result.entries > 0 ? exit_ok : exit_no;
}

}  // namespace

int run_lists(const ListsArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  switch (arguments.verb) {
    case ListsArguments::Verb::show:
      return show_lists(arguments, clock, out, err);
    case ListsArguments::Verb::check:
      return check_file(arguments, out, err);
    case ListsArguments::Verb::refresh: {
      json answer;
      const int result = ask_running(arguments, {{"ask", "lists.refresh"}, {"list", arguments.name}}, answer, err);
      if (result != exit_ok) return result;
      if (const std::string error = answer.value("error", ""); !error.empty()) {
        err << "doline lists: " << printable(error) << '\n';
        return exit_no;
      }
      out << (arguments.name.empty() ? "Every list" : printable(arguments.name))
          << " is being fetched anew; `doline lists` shows how it went.\n";
      return result;
    }
  }
  return exit_wrong_usage;
}

}  // namespace doline

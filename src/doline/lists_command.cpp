#include "doline/lists_command.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "blocklist/list_file.h"
#include "blocklist/unpacker.h"
#include "control/command_socket.h"
#include "control/text_file.h"
#include "doline/exit_status.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "querylog/log_reader.h"

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

int ask_running(const config::Settings& settings, const json& wish, json& answer, std::ostream& err) {
  const auto asked = control::ask(settings.fixed.control_socket, wish);
  if (!asked) {
    err << "doline lists: " << printable(asked.error().text) << '\n';
    using Kind = control::AskFault::Kind;
    return asked.error().kind == Kind::no_permission ? exit_no_permission
           : asked.error().kind == Kind::refused     ? exit_no
                                                     : exit_unavailable;
  }
  answer = *asked;
  return exit_ok;
}

/// By the query log, as far back as it goes; nothing where there is none, or none that this user may read.
std::optional<querylog::ListHits> count_hits(const config::Settings& settings) {
  if (!settings.fixed.query_log) return std::nullopt;
  auto reader = querylog::LogReader::open(settings.fixed.query_log->path);
  if (!reader) return std::nullopt;
  auto hits = reader->list_hits();
  return hits ? std::optional(std::move(*hits)) : std::nullopt;
}

int show_lists(const ListsArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  const auto settings = choose_places(arguments.settings, err);
  if (!settings) return settings.error();
  json status;
  if (const int result = ask_running(*settings, {{"ask", "status"}}, status, err); result != exit_ok) return result;
  json& lists = status.at("lists");
  const auto hits = count_hits(*settings);
  const auto hits_of = [&](const json& list) -> std::uint64_t {
    const auto found = hits->hits.find(list.value("name", ""));
    return found == hits->hits.end() ? 0 : found->second;
  };
  bool are_well = true;
  for (const json& list : lists) are_well = are_well && list.value("error", "").empty();
  if (arguments.json) {
    for (json& list : lists) {
      list["hits"] = hits ? json(hits_of(list)) : json(nullptr);
      list["hits_since"] = hits && hits->since ? json(to_utc_text(*hits->since)) : json(nullptr);
    }
    for (const json& list : lists) out << list.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    return are_well ? exit_ok : exit_no;
  }
  const WallTime now = clock.now().wall;
  TextTable table(
      {"list", "kind", "format", "names", "rules", "exceptions", "skipped", "hits", "age", "octets", "state"});
  for (const json& list : lists) {
    const auto figure = [&](const char* key) { return grouped(list.value(key, std::uint64_t{0})); };
    const json& format = list.at("format");
    const json& time = list.at("last_fetch").is_null() ? list.at("modified") : list.at("last_fetch");
    table.add({printable(list.value("name", "")), printable(list.value("kind", "")),
               format.is_string() ? printable(format.get<std::string>()) : "", figure("names"), figure("rules"),
               figure("exceptions"), figure("problems"), hits ? grouped(hits_of(list)) : "-", age_of(time, now),
               figure("octets"), printable(list.value("state", "")) + serial_of(list)});
  }
  table.print(out);
  if (hits && hits->since)
    out << "hits: queries since " << to_local_text(*hits->since)
        << " whose name, or what it led to, the list names (devices with `log: none` are not counted)\n";
  else if (!hits)
    out << "hits: not known: there is no query log that this user may read\n";
  for (const json& list : lists) {
    const std::string name = printable(list.value("name", ""));
    if (const std::string error = list.value("error", ""); !error.empty())
      out << name << ": " << printable(error) << '\n';
    for (const auto& [reason, count] : list.at("skipped").items())
      out << name << ": skipped " << grouped(count.get<std::uint64_t>()) << ": " << printable(reason) << '\n';
  }
  return are_well ? exit_ok : exit_no;
}

/// A pipe too: `/dev/stdin`, `<(curl ...)`.
Result<std::string, std::string> read_file_or_pipe(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_fifo(file, error)) return control::read_list_text(file);
  std::ifstream pipe(file, std::ios::binary);
  std::string text, piece(65'536, '\0');
  while (pipe.read(piece.data(), static_cast<std::streamsize>(piece.size())), pipe.gcount() > 0) {
    text.append(piece, 0, static_cast<std::size_t>(pipe.gcount()));
    if (text.size() > control::text_file_octets_max) return fail(file.native() + " cannot be read: it has no end.");
  }
  auto unpacked = blocklist::unpack_all(std::move(text), control::list_text_octets_max);
  if (!unpacked) return fail(file.native() + " cannot be read: " + std::string(to_string(unpacked.error())) + '.');
  return std::move(*unpacked);
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
  const auto text = read_file_or_pipe(arguments.file);
  if (!text) {
    err << "doline lists check: " << printable(text.error()) << '\n';
    return exit_no_input;
  }
  if (!format) format = blocklist::recognise(*text);
  if (!format) {
    err << "doline lists check: " << printable(arguments.file.native()) << ' ' << blocklist::why_unrecognised(*text)
        << ".\n";
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
      const auto settings = choose_places(arguments.settings, err);
      if (!settings) return settings.error();
      json answer;
      const int result = ask_running(*settings, {{"ask", "lists.refresh"}, {"list", arguments.name}}, answer, err);
      if (result != exit_ok) return result;
      out << (arguments.name.empty() ? "Every list" : printable(arguments.name))
          << " is being fetched anew; `doline lists` shows how it went.\n";
      return result;
    }
  }
  return exit_wrong_usage;
}

}  // namespace doline

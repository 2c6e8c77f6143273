#include "doline/device_command.h"

#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "control/command_socket.h"
#include "control/device_book.h"
#include "control/text_file.h"
#include "doline/device_review.h"
#include "doline/exit_status.h"
#include "doline/flows_command.h"
#include "doline/judging.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "policy/lock.h"

namespace doline {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using DeviceVerb = DeviceArguments::Verb;

constexpr const char* suffix_list = "/usr/share/publicsuffix/public_suffix_list.dat";
constexpr std::size_t alarms_shown = 20;

std::string dump(const auto& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string time_text(const json& object, const char* key) {
  return printable(to_zoned_text(WallTime(seconds(object.value(key, std::int64_t{0})))));
}

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : std::string();
}

dns::PublicSuffixes read_suffixes() {
  const auto list = control::read_text_file(suffix_list);
  return list ? dns::PublicSuffixes::read(*list) : dns::PublicSuffixes::guess();
}

/// What a command says of a device, from the settings' files.
struct Evidence {
  config::Settings settings;
  std::filesystem::path database;
  querylog::LogFilter filter;
  KnownAddresses known;
  DeviceReview review;
  bool watches = false;          ///< connections are recorded
  bool is_held_already = false;  ///< what no look-up explains has been refused, and is nothing that it needs
};

/// The period, and what the query log has of it; or an exit status, told on `err`.
Result<Evidence, int> look_at(const DeviceArguments& arguments, WallTime now, std::ostream& err) {
  const auto complain_of = [&](const std::string& what) {
    err << "doline device: " << printable(what) << '\n';
    return fail(exit_wrong_usage);
  };
  Evidence evidence;
  auto settings = choose_places(arguments.settings, err);
  if (!settings) return fail(settings.error());
  evidence.settings = std::move(*settings);
  const config::Settings& chosen = evidence.settings;
  evidence.database = arguments.database;
  if (evidence.database.empty()) {
    if (!chosen.fixed.query_log) {
      err << "doline device: " << printable(chosen.file.native())
          << " says `querylog: off`: nothing is learned without a query log.\n";
      return fail(exit_no_input);
    }
    evidence.database = chosen.fixed.query_log->path;
  }

  std::string complaint;
  const control::DeviceBook book(chosen.fixed.state / "device-book.json", complaint);
  if (!complaint.empty()) err << "doline device: " << printable(complaint) << '\n';
  const auto roster = read_devices(chosen, book, now);
  querylog::LogFilter& filter = evidence.filter;
  // A device that has gone is in the log under its name all the same.
  std::string name = arguments.device;
  // The running Doline knows addresses that it has not written down.
  const auto running = control::ask(chosen.fixed.control_socket, {{"ask", "device.show"}, {"device", name}});
  const json shown = running ? running->value("device", json::object()) : json::object();
  name = shown.value("name", name);
  for (const json& one : shown.value("macs", json::array()))
    if (const auto mac = device::MacAddress::parse(one.value("mac", ""))) filter.macs.push_back(*mac);
  const auto device = control::find_device(*roster, name);
  if (device) {
    name = (*device)->name;
    if (filter.macs.empty()) filter.macs = (*device)->macs;
    evidence.is_held_already =
        redirect::restriction_of(**device, *roster, chosen.live.restrictions).flows == redirect::Flows::only_resolved;
  }
  filter.devices = {name};
  const control::BookedDevice* booked = book.find(name);
  evidence.watches = chosen.fixed.redirect && chosen.fixed.redirect->watch;
  if (booked != nullptr && booked->learning) {
    filter.since = booked->learning->from;
    if (booked->learning->until < now) filter.until = booked->learning->until;
  }
  if (!arguments.since.empty()) {
    filter.since = parse_time(arguments.since, now);
    filter.until.reset();
    if (!filter.since) return complain_of("--since " + arguments.since + ": no time; 24h, 7d, today, 2026-11-01 are.");
  }
  if (!arguments.until.empty() && !(filter.until = parse_time(arguments.until, now)))
    return complain_of("--until " + arguments.until + ": no time; 24h, 7d, today, 2026-11-01 are.");
  if (!filter.since && arguments.verb == DeviceVerb::lock)
    return complain_of(name + " has not been learned: `doline device learn " + name + " --for 14d`, or say --since.");

  auto reader = querylog::LogReader::open(evidence.database);
  if (!reader) return fail(complain("device", evidence.database, reader.error(), err));
  if (const auto list = control::read_text_file(chosen.live.resolver_list))
    evidence.known.resolvers = std::move(geo::ResolverBook::read(*list).book);
  evidence.known.places = open_places(chosen.live, err);
  auto review = review_device(*reader, filter, read_suffixes(), evidence.known.resolvers, evidence.known.places);
  if (!review) return fail(complain("device", evidence.database, review.error(), err));
  auto flows = querylog::FlowReader::open(evidence.database);
  if (!flows) return fail(complain("device", evidence.database, flows.error(), err));
  querylog::FlowFilter connections;
  connections.devices = filter.devices;
  connections.macs = filter.macs;
  connections.since = filter.since;
  connections.until = filter.until;
  // Since it was locked it has been refused what it should not learn by trying.
  if (booked != nullptr && booked->lock && booked->lock->flows)
    connections.until = std::min(filter.until.value_or(WallTime::max()), booked->locked_since);
  if (const auto added = review_connections(*flows, connections, *review); !added)
    return fail(complain("device", evidence.database, added.error(), err));
  if (!device && shown.empty() && booked == nullptr && review->queries + review->connected == 0)
    return complain_of(device.error());
  evidence.review = std::move(*review);
  return evidence;
}

// ── review ───────────────────────────────────────────────────────────────────────────────────────────────────────────

std::string joined(const std::set<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

std::string counted(const std::map<std::string, std::uint64_t>& counts) {
  std::string all;
  for (const auto& [word, count] : counts) all += (all.empty() ? "" : ", ") + std::to_string(count) + "x " + word;
  return all;
}

std::string describe_period(const querylog::LogFilter& filter) {
  return (filter.since ? "from " + printable(to_zoned_text(*filter.since)) : "from the log's beginning") +
         (filter.until ? " to " + printable(to_zoned_text(*filter.until)) : " until now");
}

void print_review(const DeviceArguments& arguments, const Evidence& evidence, WallTime now, std::ostream& out) {
  if (arguments.json) {
    for (const ReviewedGroup& group : evidence.review.groups) {
      ordered_json object = {{"registrable", group.registrable.to_string()},
                             {"queries", group.queries},
                             {"let_through", group.let_through},
                             {"first", to_utc_text(group.first)},
                             {"last", to_utc_text(group.last)},
                             {"verdicts", group.verdicts},
                             {"places", group.places},
                             {"meant_for", group.meant_for},
                             {"names", ordered_json::array()}};
      for (const ReviewedName& name : group.names)
        object["names"].push_back(
            {{"name", name.name.to_string()}, {"queries", name.queries}, {"let_through", name.let_through}});
      out << dump(object) << '\n';
    }
    for (const ReviewedConnection& one : evidence.review.connections)
      out << dump(ordered_json{{"address", one.address.to_string()},
                               {"protocol", one.protocol},
                               {"port", one.port},
                               {"connections", one.times},
                               {"octets_out", one.octets_out},
                               {"octets_in", one.octets_in},
                               {"first", to_utc_text(one.first)},
                               {"last", to_utc_text(one.last)},
                               {"names", one.names},
                               {"explanations", one.explanations},
                               {"needs_flow", one.needs_flow},
                               {"place", whose_text(one.address, evidence.known)}})
          << '\n';
    return;
  }
  const std::string first = "FIRST (" + printable(local_zone(now)) + ")";
  TextTable table({"NAMES OF", "QUERIES", "NAMES", "VERDICTS", first, "LAST", "ANSWERED WITH", "MEANT FOR"});
  for (const ReviewedGroup& group : evidence.review.groups) {
    table.add({printable(group.registrable.to_string()), std::to_string(group.queries),
               std::to_string(group.names.size()), counted(group.verdicts), to_local_text(group.first),
               to_local_text(group.last), printable(joined(group.places)), printable(counted(group.meant_for))});
    if (!arguments.names) continue;
    for (const ReviewedName& name : group.names)
      table.add({"  " + printable(name.name.to_string()), std::to_string(name.queries), "", "", "", "", "", ""});
  }
  if (!evidence.review.groups.empty()) table.print(out);
  if (!evidence.review.connections.empty()) {
    TextTable connected({"CONNECTED TO", "PORT", "TIMES", "WHOSE", "LOOKED UP AS", first, "LAST"});
    for (const ReviewedConnection& one : evidence.review.connections)
      connected.add({one.address.to_string(), protocol_text(one.protocol) + " " + std::to_string(one.port),
                     std::to_string(one.times), printable(whose_text(one.address, evidence.known)),
                     printable(one.names.empty() ? joined(one.explanations) : joined(one.names)),
                     to_local_text(one.first), to_local_text(one.last)});
    out << '\n';
    connected.print(out);
    const auto& connections = evidence.review.connections;
    const auto needed =
        std::count_if(connections.begin(), connections.end(), [](const auto& one) { return one.needs_flow; });
    out << needed << " of these connections no look-up explains"
        << (evidence.is_held_already ? "; it is refused them already, and a lock would not allow them.\n"
                                     : ": a lock would allow them by address, protocol and port.\n");
  }
  out << evidence.review.queries << " queries, " << describe_period(evidence.filter) << ".\n";
  if (evidence.review.passed_over > 0)
    out << evidence.review.passed_over << " queries of names beyond the first " << reviewed_names_max
        << " are not shown.\n";
}

// ── lock ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What was let through, as the request has it; names below one of `without` are left out.
struct Permits {
  std::vector<std::string> subtrees, names;
  std::size_t refused_before = 0;  // groups of which nothing was let through
};

/// `198.51.100.0/24,udp,123`; protocol and port may be missing.
std::optional<redirect::AllowedFlow> parse_flow(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto network = IpPrefix::parse(parts[0]);
  if (!network || parts.size() > 3) return std::nullopt;
  redirect::AllowedFlow flow{*network};
  const auto number_in = [](const std::string& digits, auto& to) {
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
    return fault == std::errc() && end == digits.data() + digits.size() && to != 0;
  };
  if (parts.size() > 1) {
    for (const std::uint8_t known : {IPPROTO_TCP, IPPROTO_UDP})
      if (redirect::protocol_name(known) == parts[1]) flow.protocol = known;
    if (flow.protocol == 0 && !number_in(parts[1], flow.protocol)) return std::nullopt;
  }
  if (parts.size() > 2 && !number_in(parts[2], flow.port)) return std::nullopt;
  return flow;
}

/// What the device connected to without a look-up, most often first, then what the operator adds; nothing: its
/// connections are not held. Says on `err` what is left out.
std::optional<std::vector<redirect::AllowedFlow>> flows_of(const Evidence& evidence, const DeviceArguments& arguments,
                                                           std::vector<redirect::AllowedFlow> given,
                                                           std::ostream& err) {
  if (arguments.names_only) return std::nullopt;
  if (!evidence.watches && given.empty()) {
    err << "doline device: connections are not recorded (`flows: {watch: true}`): the lock holds names only.\n";
    return std::nullopt;
  }
  std::size_t left_out = 0;
  for (const ReviewedConnection& one : evidence.review.connections) {
    if (!one.needs_flow || evidence.is_held_already) continue;
    if (given.size() == control::lock_flows_max) {
      ++left_out;
      continue;
    }
    given.push_back({{one.address, one.address.is_v4() ? 32 : 128}, one.protocol, one.port});
  }
  if (left_out > 0)
    err << "doline device: " << left_out << " connections beyond the " << control::lock_flows_max
        << " most frequent are left out of the lock.\n";
  return given;
}

Permits permits_of(const DeviceReview& review, bool exact, const std::vector<dns::Name>& without) {
  Permits permits;
  const auto is_out = [&](const dns::Name& name) {
    return std::any_of(without.begin(), without.end(), [&](const dns::Name& one) { return name.is_within(one); });
  };
  for (const ReviewedGroup& group : review.groups) {
    if (group.let_through == 0) {
      ++permits.refused_before;
      continue;
    }
    // Where a name below it is left out, it cannot stand for all of them.
    const bool is_split = std::any_of(without.begin(), without.end(), [&](const dns::Name& one) {
      return one.is_within(group.registrable) && !(one == group.registrable);
    });
    if (!exact && group.covers_below && !is_split) {
      if (!is_out(group.registrable)) permits.subtrees.push_back(group.registrable.to_string());
      continue;
    }
    for (const ReviewedName& name : group.names)
      if (name.let_through > 0 && !is_out(name.name)) permits.names.push_back(name.name.to_string());
  }
  return permits;
}

Result<json, int> lock_request(const DeviceArguments& arguments, WallTime now, std::ostream& err) {
  const auto parse_names = [&](const std::vector<std::string>& texts, const char* option, std::vector<dns::Name>& to) {
    for (const std::string& one : texts) {
      const auto name = dns::Name::parse(one);
      if (!name) {
        err << "doline device: " << option << ' ' << printable(one) << ": " << dns::to_string(name.error()) << '\n';
        return false;
      }
      to.push_back(name->lowered());
    }
    return true;
  };
  std::vector<dns::Name> also, without;
  if (!parse_names(arguments.also, "--also", also) || !parse_names(arguments.without, "--without", without))
    return fail(exit_wrong_usage);
  std::vector<redirect::AllowedFlow> given;
  for (const std::string& one : arguments.flows) {
    const auto flow = parse_flow(one);
    if (!flow) {
      err << "doline device: --flow " << printable(one)
          << ": no connection; 198.51.100.7 or 198.51.100.0/24,udp,123 are.\n";
      return fail(exit_wrong_usage);
    }
    given.push_back(*flow);
  }
  const auto evidence = look_at(arguments, now, err);
  if (!evidence) return fail(evidence.error());
  Permits permits = permits_of(evidence->review, arguments.exact, without);
  for (const dns::Name& name : also)
    if (std::find(permits.subtrees.begin(), permits.subtrees.end(), name.to_string()) == permits.subtrees.end())
      permits.subtrees.push_back(name.to_string());
  if (permits.subtrees.empty() && permits.names.empty()) {
    err << "doline device: nothing that " << printable(arguments.device) << " looked up was let through, "
        << describe_period(evidence->filter) << ": a lock would refuse it everything. Name what it may with --also.\n";
    return fail(exit_no);
  }
  if (permits.refused_before > 0)
    err << "doline device: names of " << permits.refused_before
        << " owners were never let through and are left out of the lock.\n";
  if (!arguments.exact && read_suffixes().is_guess())
    err << "doline device: without the package publicsuffix it is guessed which names are one owner's.\n";
  json request = {{"subtrees", permits.subtrees}, {"names", permits.names}, {"observe", arguments.observe}};
  if (const auto flows = flows_of(*evidence, arguments, std::move(given), err)) {
    request["flows"] = json::array();
    for (const redirect::AllowedFlow& flow : *flows) request["flows"].push_back(control::to_json(flow));
  }
  return request;
}

// ── show ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

void print_lock(const json& lock, std::ostream& out) {
  out << "locked      since " << time_text(lock, "since")
      << (lock.value("observe", false) ? ", observed only: nothing is refused\n" : "\n");
  for (const json& name : lock.at("subtrees"))
    out << "            " << printable(name.get<std::string>()) << " and all below it\n";
  for (const json& name : lock.at("names")) out << "            " << printable(name.get<std::string>()) << " alone\n";
  const auto flows = lock.find("flows");
  if (flows == lock.end()) {
    out << "            its connections are not held\n";
    return;
  }
  out << "            and connect to what it is answered";
  for (const json& each : *flows)
    if (const auto flow = control::read_flow(each)) out << "\n            " << redirect::describe(*flow);
  out << '\n';
}

void print_device(const json& answer, std::ostream& out) {
  if (const auto device = answer.find("device"); device != answer.end()) {
    out << text(*device, "name") << (device->value("configured", false) ? "\n" : ", not in the configuration\n");
    for (const json& mac : device->at("macs"))
      out << "MAC         " << text(mac, "mac")
          << (mac.value("made_up", false) ? "  (made up by the device: it may use another one any day)\n" : "\n");
    for (const json& address : device->at("addresses"))
      out << "address     " << printable(address.get<std::string>()) << '\n';
    for (const auto& [label, key] : {std::pair("host name   ", "hostname"), std::pair("announced   ", "heard_name"),
                                     std::pair("vendor      ", "vendor")})
      if (const std::string value = text(*device, key); !value.empty()) out << label << value << '\n';
    for (const json& group : device->at("groups")) out << "group       " << printable(group.get<std::string>()) << '\n';
    if (const std::string log = text(*device, "log"); log != "full") out << "logged      " << log << '\n';
  }
  if (const auto book = answer.find("book"); book != answer.end()) {
    for (const json& mac : book->at("macs"))
      if (mac.value("joined", false))
        out << "joined      " << text(mac, "mac") << "  on " << time_text(mac, "since") << '\n';
    if (const auto learning = book->find("learning"); learning != book->end())
      out << "learned     from " << time_text(*learning, "from") << " to " << time_text(*learning, "until") << '\n';
    if (const auto lock = book->find("lock"); lock != book->end()) print_lock(*lock, out);
  }
  std::size_t shown = 0;
  const json& alarms = answer.at("alarms");
  for (const json& alarm : alarms) {
    if (++shown > alarms_shown) break;
    out << (alarm.value("refused", true) ? "refused     " : "would refuse  ")
        << text(alarm, alarm.contains("name") ? "name" : "connection") << "  first on " << time_text(alarm, "first")
        << '\n';
  }
  if (alarms.size() > alarms_shown)
    out << "            and " << alarms.size() - alarms_shown << " more; all: doline log --verdict refuse\n";
}

// ── asking the running Doline ────────────────────────────────────────────────────────────────────────────────────────

Result<json, int> ask_doline(const DeviceArguments& arguments, const json& request, std::ostream& err) {
  const auto settings = choose_places(arguments.settings, err);
  if (!settings) return fail(settings.error());
  auto answer = control::ask(settings->fixed.control_socket, request);
  if (answer) {
    if (const std::string warning = text(*answer, "warning"); !warning.empty())
      err << "doline device: " << warning << '\n';
    return std::move(*answer);
  }
  err << "doline device: " << printable(answer.error().text) << '\n';
  using Kind = control::AskFault::Kind;
  return fail(answer.error().kind == Kind::no_permission ? exit_no_permission
              : answer.error().kind == Kind::refused     ? exit_wrong_usage
                                                         : exit_unavailable);
}

Result<json, int> request_of(const DeviceArguments& arguments, WallTime now, std::ostream& err) {
  json request = json::object();
  switch (arguments.verb) {
    case DeviceVerb::join:
      request = {{"ask", "device.join"}, {"other", arguments.other}};
      break;
    case DeviceVerb::separate:
      request = {{"ask", "device.separate"}, {"mac", arguments.other}};
      break;
    case DeviceVerb::learn: {
      const auto duration = parse_duration(arguments.duration);
      if (!duration || *duration < seconds(1) || *duration > control::learning_max) {
        err << "doline device: --for " << printable(arguments.duration) << " is no time from 1s to "
            << control::learning_max / std::chrono::hours(24) << "d: 12h, 14d, 2w are.\n";
        return fail(exit_wrong_usage);
      }
      request = {{"ask", "device.learn"}, {"seconds", duration->count()}};
      break;
    }
    case DeviceVerb::lock: {
      auto lock = lock_request(arguments, now, err);
      if (!lock) return lock;
      request = std::move(*lock);
      request["ask"] = "device.lock";
      break;
    }
    case DeviceVerb::unlock:
      request = {{"ask", "device.unlock"}};
      break;
    case DeviceVerb::show:
    case DeviceVerb::review:
      request = {{"ask", "device.show"}};
      break;
  }
  request["device"] = arguments.device;
  return request;
}

/// One line of what was done; `show` prints all.
int print_answer(const DeviceArguments& arguments, const json& answer, std::ostream& out) {
  const auto book = answer.value("book", json::object());
  const std::string name =
      printable(answer.value("device", json::object()).value("name", book.value("device", arguments.device)));
  const auto lock = book.value("lock", json::object());
  switch (arguments.verb) {
    case DeviceVerb::join:
      out << "Joined to " << name << ": what is said of it holds for " << printable(arguments.other)
          << " from now on.\n";
      return exit_ok;
    case DeviceVerb::separate: {
      const auto count = answer.value("separated", std::uint64_t{0});
      out << (count == 0 ? "Nothing was joined there.\n" : "Separated: each is a device of its own again.\n");
      return count == 0 ? exit_no : exit_ok;
    }
    case DeviceVerb::learn:
      out << "What " << name << " looks up until " << time_text(answer.at("book").at("learning"), "until")
          << " counts. Then: doline device review " << name << '\n';
      if (!lock.empty())
        out << "It stays locked meanwhile"
            << (lock.value("observe", false)
                    ? ", observed only.\n"
                    : ": what the lock refuses is not learned. Without it: first unlock, then learn.\n");
      return exit_ok;
    case DeviceVerb::lock:
      out << name
          << (arguments.observe ? " is observed: what a lock would refuse is logged and told, not refused.\n"
                                : " is locked: it may do what follows, the rest is refused.\n");
      print_lock(lock, out);
      return exit_ok;
    case DeviceVerb::unlock: {
      const bool was = answer.value("unlocked", false);
      out << (was ? name + " may look up what the rules let it.\n" : name + " was not locked.\n");
      return was ? exit_ok : exit_no;
    }
    case DeviceVerb::show:
    case DeviceVerb::review:
      break;
  }
  print_device(answer, out);
  return exit_ok;
}

}  // namespace

int run_device(const DeviceArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  const WallTime now = clock.now().wall;
  if (arguments.verb == DeviceVerb::review) {
    const auto evidence = look_at(arguments, now, err);
    if (!evidence) return evidence.error();
    print_review(arguments, *evidence, now, out);
    return evidence->review.queries + evidence->review.connected == 0 ? exit_no : exit_ok;
  }
  const auto request = request_of(arguments, now, err);
  if (!request) return request.error();
  const auto answer = ask_doline(arguments, *request, err);
  if (!answer) return answer.error();
  if (!arguments.json) return print_answer(arguments, *answer, out);
  out << dump(*answer) << '\n';
  const bool was_nothing =
      (arguments.verb == DeviceVerb::separate && answer->value("separated", std::uint64_t{0}) == 0) ||
      (arguments.verb == DeviceVerb::unlock && !answer->value("unlocked", false));
  return was_nothing ? exit_no : exit_ok;
}

}  // namespace doline

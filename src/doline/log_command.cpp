#include "doline/log_command.h"

#include <algorithm>
#include <cctype>
#include <deque>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <thread>

#include "control/device_book.h"
#include "dns/presentation.h"
#include "doline/exit_status.h"
#include "doline/judging.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using querylog::LogRow;

constexpr std::size_t rows_before_widths = 400;  // looked at to make the columns wide enough
constexpr std::size_t answers_shown = 4;
constexpr milliseconds follow_every{250};
constexpr std::uint64_t rows_before_following = 10;

std::optional<IpAddress> address_in(const querylog::Answer& answer) {
  const bool is_address = (answer.type == dns::RecordType::a && answer.rdata.size() == 4) ||
                          (answer.type == dns::RecordType::aaaa && answer.rdata.size() == 16);
  return is_address ? std::optional(IpAddress::from_octets(answer.rdata)) : std::nullopt;
}

/// `--country` and `--asn`: the log does not know them, so that rows are looked at one by one.
class PlaceFilter {
 public:
  /// The sentence of what is wrong, or nothing.
  std::optional<std::string> fill(const LogArguments& arguments) {
    asns_ = arguments.asns;
    for (const std::string& text : arguments.countries) {
      const auto country = geo::Country::parse(text);
      if (!country) return "--country " + text + ": two letters (CN, DE)";
      countries_.push_back(*country);
    }
    return std::nullopt;
  }
  /// What cannot be known without `geo`: a sentence, or nothing.
  [[nodiscard]] std::string lack(const geo::PlaceBook& places) const {
    std::string text;
    if (!countries_.empty() && !places.knows_countries())
      text =
          "in which country an address is, is not known: `geo: {country: FILE}` would tell. Of resolvers that were "
          "meant the list of resolvers tells it";
    if (!asns_.empty() && !places.knows_asns())
      text += std::string(text.empty() ? "" : "; and ") +
              "of which AS an address is, is not known: `geo: {asn: FILE}` would tell";
    return text;
  }
  [[nodiscard]] bool takes(const LogRow& row, const KnownAddresses& known) const {
    if (countries_.empty() && asns_.empty()) return true;
    const auto is_there = [&](const IpAddress& address, geo::Country country) {
      return (countries_.empty() || holds(countries_, country)) &&
             (asns_.empty() || holds(asns_, known.places.asn_of(address)));
    };
    if (row.original_destination) {  // as `meant_for` in a rule
      const IpAddress& address = row.original_destination->address;
      const geo::PublicResolver* resolver = known.resolvers.find(address);
      const geo::Country country = resolver != nullptr ? geo::Country::parse(resolver->country).value_or(geo::Country())
                                                       : known.places.country_of(address);
      if (is_there(address, country)) return true;
    }
    const auto leads_there = [&](const querylog::Answer& answer) {
      const auto address = address_in(answer);
      return address && is_there(*address, known.places.country_of(*address));
    };
    return std::any_of(row.answers.begin(), row.answers.end(), leads_there) ||
           std::any_of(row.withheld.begin(), row.withheld.end(), leads_there);
  }

 private:
  template <class T>
  static bool holds(const std::vector<T>& values, const T& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
  }
  std::vector<geo::Country> countries_;
  std::vector<std::uint32_t> asns_;
};

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char letter) { return std::tolower(letter); });
  return result;
}

/// `114.114.114.114`, `operator:Google` or simply `google`, `country:CN`.
bool add_meant_for(const std::string& text, const geo::ResolverBook& resolvers, std::vector<IpAddress>& addresses) {
  if (const auto address = IpAddress::parse(text)) {
    addresses.push_back(*address);
    return true;
  }
  const bool is_country = text.starts_with("country:");
  const std::string wanted = lowered(text.substr(is_country ? 8 : text.starts_with("operator:") ? 9 : 0));
  const std::size_t before = addresses.size();
  for (const auto& [address, resolver] : resolvers.all())
    if (lowered(is_country ? resolver.country : resolver.operator_name) == wanted) addresses.push_back(address);
  return addresses.size() > before;
}

/// The sentence of what is wrong, or nothing.
std::optional<std::string> fill_filter(const LogArguments& arguments, const geo::ResolverBook& resolvers, WallTime now,
                                       querylog::LogFilter& filter) {
  filter.devices = arguments.devices;
  filter.groups = arguments.groups;
  filter.only_intercepted = arguments.intercepted;
  for (const std::string& text : arguments.names) {
    querylog::NameFilter name;
    name.below = text.starts_with("*.");
    const auto parsed = dns::Name::parse(std::string_view(text).substr(name.below ? 2 : 0));
    if (!parsed) return "--name " + text + ": " + std::string(dns::to_string(parsed.error()));
    name.name = *parsed;
    filter.names.push_back(name);
  }
  for (const std::string& text : arguments.types) {
    const auto type = dns::parse_record_type(text);
    if (!type) return "--type " + text + ": no record type (A, AAAA, HTTPS, TYPE65, ...)";
    filter.types.push_back(*type);
  }
  for (const std::string& text : arguments.verdicts) {
    const auto verdict = querylog::parse_verdict_kind(lowered(text));
    if (!verdict)
      return "--verdict " + text +
             ": one of forward, block, rewrite, nxdomain, nodata, refuse, drop, truncate, rebinding, rejected, "
             "audited";
    filter.verdicts.push_back(*verdict);
  }
  for (const std::string& text : arguments.clients) {
    const auto address = IpAddress::parse(text);
    if (!address) return "--client " + text + ": no IP address";
    filter.clients.push_back(*address);
  }
  for (const std::string& text : arguments.answers) {
    const auto address = IpAddress::parse(text);
    if (!address) return "--answer " + text + ": no IP address";
    filter.answers.push_back(*address);
  }
  for (const std::string& text : arguments.meant_for)
    if (!add_meant_for(text, resolvers, filter.meant_for))
      return "--meant-for " + text + ": neither an IP address nor the operator of a resolver we know (or country:CN)";
  if (!arguments.since.empty()) {
    filter.since = parse_time(arguments.since, now);
    if (!filter.since)
      return "--since " + arguments.since + ": a time like 24h, 7d, today, 2026-11-01 or 2026-11-01T12:30Z";
  }
  if (!arguments.until.empty()) {
    filter.until = parse_time(arguments.until, now);
    if (!filter.until) return "--until " + arguments.until + ": a time like 2h, today, 2026-11-01 or 2026-11-01T12:30Z";
  }
  if (arguments.limit && *arguments.limit > log_rows_max)
    return "--limit " + std::to_string(*arguments.limit) + ": at most " + std::to_string(log_rows_max) +
           "; 0 means all";
  if (arguments.follow && filter.until) return std::string("--follow has no end, and --until names one");
  return std::nullopt;
}

/// The names that the log does not know, with the nearest that it does.
void tell_unknown(const LogArguments& arguments, querylog::LogReader& reader, std::ostream& err) {
  const auto names = reader.known_names();
  if (!names) return;
  const auto tell = [&](const char* what, const std::vector<std::string>& asked, const std::set<std::string>& known) {
    for (const std::string& text : asked)
      if (!known.contains(text))
        err << "In this log: " << printable(control::say_unknown(what, text, {known.begin(), known.end()})) << '\n';
  };
  tell("device", arguments.devices, names->devices);
  tell("group", arguments.groups, names->groups);
}

std::string verdict_text(const LogRow& row) {
  // Nothing was forwarded of what the house itself has answered.
  const bool is_local = row.source == querylog::Source::local && row.verdict == querylog::VerdictKind::forward;
  std::string text(is_local ? "local" : querylog::to_string(row.verdict));
  std::string lists;
  for (const std::string& list : row.lists) lists += (lists.empty() ? "" : ", ") + list;
  if (row.rule == "lists")
    text += " (list " + lists + ")";
  else if (row.rule != "otherwise" && !row.rule.empty())
    text += " (" + row.rule + (lists.empty() ? "" : "; list " + lists) + ")";
  if (row.observed) {
    text += " [would " + std::string(querylog::to_string(*row.observed));
    if (!row.observed_rule.empty()) text += ": " + (row.observed_rule == "lists" ? "list " + lists : row.observed_rule);
    text += "]";
  }
  return text;
}

std::string answers_text(const LogRow& row, const geo::PlaceBook& places) {
  if (row.verdict == querylog::VerdictKind::audited) return "(not seen)";
  if (row.source == querylog::Source::none) return "(no response)";
  std::string text = row.code == dns::ResponseCode::noerror ? "" : dns::to_string(row.code);
  if (!row.withheld.empty()) text += (text.empty() ? "" : " ") + std::string("instead of");
  const auto& answers = row.withheld.empty() ? row.answers : row.withheld;
  std::size_t shown = 0;
  for (const querylog::Answer& answer : answers) {
    if (shown++ == answers_shown) {
      text += " ... " + std::to_string(answers.size() - answers_shown) + " more";
      break;
    }
    if (!text.empty()) text += text.ends_with("instead of") ? " " : ", ";
    // The type stands where it is not plain from the question.
    if (answer.type != row.qtype && answer.type != dns::RecordType::a && answer.type != dns::RecordType::aaaa)
      text += dns::to_string(answer.type) + " ";
    text += dns::rdata_to_string(answer.type, answer.rdata);
    if (const auto address = address_in(answer))
      if (const std::string place = place_text(*address, places); !place.empty()) text += " (" + place + ")";
  }
  if (row.answers_shortened) return text.empty() ? "(truncated)" : text + " ...";
  return text.empty() ? "(no data)" : text;
}

std::string meant_for_text(const Endpoint& endpoint, const KnownAddresses& known) {
  std::string text = describe_resolver(endpoint, known.resolvers);
  if (known.resolvers.find(endpoint.address) == nullptr)
    if (const std::string place = place_text(endpoint.address, known.places); !place.empty())
      text += " (" + place + ")";
  return text;
}

std::vector<std::string> cells_of(const LogRow& row, const KnownAddresses& known) {
  return {to_local_text(row.time),
          row.device.empty() ? "(anonymous)" : printable(row.device),
          row.qname.to_string() + " " + dns::to_string(row.qtype),
          row.original_destination ? printable(meant_for_text(*row.original_destination, known)) : "",
          printable(verdict_text(row)),
          printable(answers_text(row, known.places))};
}

/// Where rows go: a line of JSON each, or a table whose widths the first rows settle.
class Printer {
 public:
  Printer(const LogArguments& arguments, const KnownAddresses& known, WallTime now, std::ostream& out)
      : is_json_(arguments.json),
        known_(known),
        out_(out),
        table_({"TIME (" + printable(local_zone(now)) + ")", "DEVICE", "ASKED", "MEANT FOR", "VERDICT", "ANSWERS"}) {}

  /// False where nobody reads any more.
  bool print(const LogRow& row) {
    if (is_json_) {
      out_ << to_json(row, known_) << '\n';
    } else {
      table_.add(cells_of(row, known_));
      if (has_widths_ || table_.waiting() >= rows_before_widths) print_table();
    }
    return out_.good();
  }
  bool flush() {
    if (!is_json_ && table_.waiting() > 0) print_table();
    out_.flush();
    return out_.good();
  }

 private:
  void print_table() {
    table_.print(out_);
    has_widths_ = true;
  }

  const bool is_json_;
  const KnownAddresses& known_;
  std::ostream& out_;
  TextTable table_;
  bool has_widths_ = false;
};

}  // namespace

std::string describe_resolver(const Endpoint& endpoint, const geo::ResolverBook& resolvers) {
  std::string text = endpoint.port == 53 ? endpoint.address.to_string() : endpoint.to_string();
  if (const geo::PublicResolver* known = resolvers.find(endpoint.address)) {
    text += " (" + known->operator_name;
    if (!known->country.empty()) text += ", " + known->country;
    text += ")";
  }
  return text;
}

std::string to_json(const LogRow& row, const KnownAddresses& known) {
  ordered_json object;
  const auto add_place = [&](ordered_json& to, const IpAddress& address, const std::string& before) {
    if (const auto country = known.places.country_of(address); country.is_known())
      to[before + "country"] = country.to_string();
    if (const std::uint32_t asn = known.places.asn_of(address); asn != 0) to[before + "asn"] = asn;
  };
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  object["time"] = to_utc_text(row.time);
  object["device"] = text_or_null(row.device);
  object["mac"] = row.mac ? ordered_json(row.mac->to_string()) : ordered_json(nullptr);
  object["vendor"] = text_or_null(row.vendor);
  object["groups"] = row.groups;
  object["client"] = row.client ? ordered_json(row.client->to_string()) : ordered_json(nullptr);
  object["original_destination"] = nullptr;
  object["original_port"] = nullptr;
  object["known_as"] = nullptr;
  if (row.original_destination) {
    object["original_destination"] = row.original_destination->address.to_string();
    object["original_port"] = row.original_destination->port;
    if (const geo::PublicResolver* resolver = known.resolvers.find(row.original_destination->address))
      object["known_as"] = {{"operator", resolver->operator_name}, {"country", text_or_null(resolver->country)}};
    add_place(object, row.original_destination->address, "original_");
  }
  object["intercepted_by"] = row.original_destination
                                 ? ordered_json(std::string(device::to_string(row.destination_source)))
                                 : ordered_json(nullptr);
  object["transport"] = std::string(querylog::to_string(row.transport));
  object["qname"] = row.qname.to_string();
  object["qtype"] = dns::to_string(row.qtype);
  object["verdict"] = std::string(querylog::to_string(row.verdict));
  object["rule"] = text_or_null(row.rule);
  object["lists"] = row.lists;
  object["observed"] = nullptr;
  if (row.observed)
    object["observed"] = {{"verdict", std::string(querylog::to_string(*row.observed))},
                          {"rule", text_or_null(row.observed_rule)}};
  object["source"] = std::string(querylog::to_string(row.source));
  object["rcode"] = dns::to_string(row.code);
  const auto add_answers = [&](const char* key, const std::vector<querylog::Answer>& answers) {
    object[key] = ordered_json::array();
    for (const querylog::Answer& answer : answers) {
      ordered_json one = {{"name", answer.owner.to_string()},
                          {"type", dns::to_string(answer.type)},
                          {"rdata", dns::rdata_to_string(answer.type, answer.rdata)}};
      if (const auto address = address_in(answer)) add_place(one, *address, "");
      object[key].push_back(std::move(one));
    }
  };
  add_answers("answers", row.answers);
  add_answers("withheld", row.withheld);
  object["answers_shortened"] = row.answers_shortened;
  object["ttl"] = row.ttl ? ordered_json(*row.ttl) : ordered_json(nullptr);
  object["upstream"] = row.upstream ? ordered_json(row.upstream->to_string()) : ordered_json(nullptr);
  object["latency_us"] = row.latency_us;
  object["dnssec"] = std::string(querylog::to_string(row.dnssec));
  // ASCII only, and U+FFFD for what is not UTF-8: a line is safe on any terminal, and always JSON.
  return object.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

int complain(std::string_view command, const std::filesystem::path& database, querylog::DatabaseFault fault,
             std::ostream& err) {
  err << "doline " << command << ": " << printable(database.string()) << ": " << querylog::to_string(fault) << ".\n";
  switch (fault) {
    case querylog::DatabaseFault::missing:
      err << "Doline makes it as soon as it runs with `querylog:` in its configuration (`querylog: off` keeps none).\n"
             "If it lies elsewhere, name it: --database FILE.\n";
      break;
    case querylog::DatabaseFault::no_permission:
    case querylog::DatabaseFault::read_only:
      err << "Only those who run Doline may read what a household looks up: try sudo, or join the file's group.\n";
      return exit_no_permission;
    case querylog::DatabaseFault::newer_schema:
      err << "Use the Doline that wrote it, or a newer one.\n";
      break;
    case querylog::DatabaseFault::older_schema:
      err << "Start this Doline once; it brings the file up to date.\n";
      break;
    case querylog::DatabaseFault::foreign:
      err << "It is no query log; name the right file: --database FILE.\n";
      break;
    case querylog::DatabaseFault::corrupt:
      err << "When Doline runs it sets a damaged log aside (FILE.corrupt-TIME) and begins a new one. What can be saved "
             "of it: "
             "sqlite3 FILE .recover\n";
      break;
    case querylog::DatabaseFault::locked:
    case querylog::DatabaseFault::disk_full:
    case querylog::DatabaseFault::io_error:
      err << "Try again; if it stays, look at the disk and at who has the file open.\n";
      return exit_disk;
  }
  return exit_no_input;
}

int run_log(const LogArguments& arguments, const KnownAddresses& known, const Clock& clock, std::ostream& out,
            std::ostream& err, std::stop_token stop) {
  const WallTime now = clock.now().wall;
  querylog::LogFilter filter;
  PlaceFilter places;
  auto problem = fill_filter(arguments, known.resolvers, now, filter);
  if (!problem) problem = places.fill(arguments);
  if (problem) {
    err << "doline log: " << printable(*problem) << "\n";
    return exit_wrong_usage;
  }
  auto reader = querylog::LogReader::open(arguments.database);
  if (!reader) return complain("log", arguments.database, reader.error(), err);

  if (const std::string lack = places.lack(known.places); !lack.empty()) err << "doline log: " << lack << ".\n";

  Printer printer(arguments, known, now, out);
  std::uint64_t limit = arguments.follow                                     ? rows_before_following
                        : arguments.since.empty() && arguments.until.empty() ? log_rows_default
                                                                             : 0;
  if (arguments.follow && !arguments.since.empty()) limit = 0;
  if (arguments.limit) limit = *arguments.limit;

  // Marked before the rows so far are read, so that none falls between; one that comes both ways is shown once.
  std::set<std::uint64_t> shown;  // numbers
  if (arguments.follow)
    if (const auto marked = reader->follow(filter, [](const LogRow&) { return true; }); !marked)
      return complain("log", arguments.database, marked.error(), err);

  std::uint64_t count = 0;
  Result<std::uint64_t, querylog::DatabaseFault> done = 0;
  const auto show = [&](const LogRow& row) {
    if (!places.takes(row, known)) return true;
    if (arguments.follow) shown.insert(row.number);
    ++count;
    return printer.print(row);
  };
  if (limit == 0) {
    done = reader->read(filter, querylog::Order::oldest_first, show);
  } else {
    std::deque<LogRow> newest;
    done = reader->read(filter, querylog::Order::newest_first, [&](const LogRow& row) {
      if (places.takes(row, known)) newest.push_front(row);
      return newest.size() < limit;
    });
    for (const LogRow& row : newest)
      if (!show(row)) break;
  }
  bool has_taker = printer.flush();
  if (!done) return complain("log", arguments.database, done.error(), err);

  while (arguments.follow && has_taker && !stop.stop_requested()) {
    const auto more = reader->follow(filter, [&](const LogRow& row) {
      if (shown.erase(row.number) > 0 || !places.takes(row, known)) return true;
      ++count;
      return printer.print(row);
    });
    if (!more) return complain("log", arguments.database, more.error(), err);
    has_taker = printer.flush();
    std::this_thread::sleep_for(follow_every);
  }
  if (count > 0 || arguments.follow) return exit_ok;
  if (!arguments.json) {
    err << "Nothing found in " << printable(arguments.database.string()) << ".\n";
    tell_unknown(arguments, *reader, err);
  }
  return exit_no;
}

}  // namespace doline

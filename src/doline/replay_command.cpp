#include "doline/replay_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "control/exemption_book.h"
#include "control/list_keeper.h"
#include "control/sighting_book.h"
#include "control/text_file.h"
#include "doline/exit_status.h"
#include "doline/judging.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "policy/decide.h"
#include "policy/rebinding.h"
#include "querylog/log_reader.h"

namespace doline {

namespace {

using dns::RecordType;
using nlohmann::ordered_json;
using querylog::kind_of;
using querylog::LogRow;
using querylog::VerdictKind;

/// Beyond, changes of further names are counted together.
constexpr std::size_t changes_max = 200'000;
constexpr std::uint64_t progress_every = 50'000;

struct Change {
  std::string device;
  dns::Name name;
  VerdictKind was, would;
  bool operator==(const Change&) const = default;
};
struct HashOfChange {
  std::size_t operator()(const Change& change) const {
    return std::hash<std::string>()(change.device) * 31 +
           change.name.hash(static_cast<std::uint64_t>(change.was) << 8 | static_cast<std::uint64_t>(change.would));
  }
};
struct Times {
  std::uint64_t queries = 0;
  policy::RuleId rule = policy::no_rule;  // that would decide, of the latest
  WallTime latest{};
};

/// The same for all of a minute.
class LocalClock {
 public:
  explicit LocalClock(const policy::RuleBook& rules) {
    for (const policy::Rule& rule : rules.rules()) {
      has_times_ = has_times_ || !rule.when.between.empty() || rule.when.days != policy::every_day;
      for (const policy::Period& period : rule.when.between)
        boundaries_.insert(boundaries_.end(), {period.from_minute, period.to_minute});
    }
    std::sort(boundaries_.begin(), boundaries_.end());
  }
  /// For all times with one of these, the same rules are in force.
  std::uint32_t slot_of(WallTime time) {
    if (!has_times_) return 0;
    const auto [minute, weekday] = at(time);
    const auto behind = std::upper_bound(boundaries_.begin(), boundaries_.end(), minute);
    return static_cast<std::uint32_t>(behind - boundaries_.begin()) * 7 + static_cast<std::uint32_t>(weekday);
  }
  policy::LocalTime at(WallTime time) {
    if (time < minute_ || time >= minute_ + std::chrono::minutes(1)) {
      minute_ = std::chrono::floor<std::chrono::minutes>(time);
      local_ = policy::to_local_time(time);
    }
    return local_;
  }

 private:
  bool has_times_ = false;
  std::vector<int> boundaries_;  // minutes of a day at which rules come into force or go
  WallTime minute_{};
  policy::LocalTime local_ = policy::to_local_time(WallTime());
};

/// What upstream had said, as far as the log says: what the client got, or what a verdict kept from it.
struct Upstreams {
  void read(const LogRow& row) {
    addresses.clear();
    targets.clear();
    const bool is_ours = row.source == querylog::Source::synthesized || row.source == querylog::Source::local;
    for (const querylog::Answer& answer : !row.withheld.empty() || is_ours ? row.withheld : row.answers) {
      const auto& rdata = answer.rdata;
      const bool is_service = answer.type == RecordType::https || answer.type == RecordType::svcb;
      if ((answer.type == RecordType::a && rdata.size() == 4) ||
          (answer.type == RecordType::aaaa && rdata.size() == 16))
        addresses.push_back(IpAddress::from_octets(rdata));
      else if (is_service || answer.type == RecordType::cname || answer.type == RecordType::ptr)
        if (const auto target =
                dns::Name::from_wire(dns::Octets(rdata).subspan(is_service && rdata.size() > 2 ? 2 : 0));
            target && !target->is_root())
          targets.push_back(target->lowered());
    }
  }
  std::vector<IpAddress> addresses;
  std::vector<dns::Name> targets;
};

/// As the resolver has it: not what a route of `forward` to servers of this house says.
bool is_rebinding(const config::Live& live, const dns::Name& lowered, const std::vector<IpAddress>& addresses) {
  if (!policy::is_rebinding(live.rebinding, lowered, addresses)) return false;
  const auto zone = std::find_if(live.forward_zones.begin(), live.forward_zones.end(),
                                 [&](const resolver::ForwardZone& each) { return lowered.is_within(each.suffix); });
  if (zone == live.forward_zones.end() || zone->route.value == 0) return true;
  const auto& servers = live.upstream.routes[zone->route.value].servers;
  return !std::all_of(servers.begin(), servers.end(),
                      [](const Endpoint& server) { return policy::is_inward(server.address); });
}

/// Whose query it was, as far as the log says.
const device::Device& find_device(const device::Roster& roster, const LogRow& row) {
  if (row.mac)
    if (const auto* device = roster.find(*row.mac)) return *device;
  if (const auto* device = roster.find(row.device); device != nullptr && !row.device.empty()) return *device;
  return row.client ? roster.identify(*row.client) : roster.devices().front();
}

struct Anew {
  VerdictKind would = VerdictKind::forward;
  policy::RuleId rule = policy::no_rule;  // that would decide
};

/// The path of the resolver from decide to review, with what the log knows of the query and of upstream's answer.
/// `said` is room to work in.
Anew judge_anew(const Judging& judging, const config::Live& live, const LogRow& row, policy::LocalTime time,
                Upstreams& said) {
  const device::Device& device = find_device(*judging.roster, row);
  const IpAddress client = row.client.value_or(IpAddress());
  device::Destination destination;
  if (row.original_destination) destination = {*row.original_destination, row.destination_source};
  dns::Question question{row.qname, row.qtype, dns::RecordClass::in};
  policy::Asking asking{.device = device,
                        .groups = judging.roster->groups_of(device, client),
                        .client = client,
                        .question = question,
                        .lowered_qname = question.qname,
                        .destination = destination,
                        .time = time,
                        .resolvers = judging.resolvers.get(),
                        .places = judging.places.get()};
  policy::Verdict verdict = policy::decide(*judging.rules, *judging.lists, asking);
  VerdictKind would = kind_of(verdict.action);
  // A CNAME among the local records led to another name, as no rule and no list said.
  const bool was_alias = row.verdict == VerdictKind::rewrite && (row.rule.empty() || row.rule == "otherwise");
  if (verdict.forwards()) {
    said.read(row);
    if (!said.addresses.empty()) {
      asking.answer_addresses = said.addresses;
      if (is_rebinding(live, row.qname, said.addresses))
        would = VerdictKind::rebinding;
      else if (auto found = policy::review(*judging.rules, *judging.lists, asking, verdict.reason.rule).verdict)
        would = kind_of((verdict = *std::move(found)).action);
      asking.answer_addresses = {};
    }
    asking.led_from = &row.qname;
    for (const dns::Name& target : said.targets) {
      if (would != VerdictKind::forward || verdict.reason.rule != policy::no_rule) break;
      question.qname = target;
      if (auto found = policy::judge_target(*judging.rules, *judging.lists, asking))
        would = kind_of((verdict = *std::move(found)).action);
    }
  } else if (row.source == querylog::Source::local && verdict.lets_local_records()) {
    would = VerdictKind::forward;
  }
  if (was_alias && verdict.lets_local_records()) would = VerdictKind::rewrite;
  return {would, verdict.reason.rule};
}

}  // namespace

int run_replay(const ReplayArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  const WallTime now = clock.now().wall;
  querylog::LogFilter filter;
  const auto complain_of = [&](const char* option, const std::string& text) {
    err << "doline replay: --" << option << ' ' << printable(text) << ": no time; 24h, 7d, today, 2026-11-01 are.\n";
    return exit_wrong_usage;
  };
  if (!(filter.since = parse_time(arguments.since, now))) return complain_of("since", arguments.since);
  if (!arguments.until.empty() && !(filter.until = parse_time(arguments.until, now)))
    return complain_of("until", arguments.until);
  if (!arguments.device.empty()) filter.devices = {arguments.device};
  const auto settings = choose_settings(arguments.settings, err);
  if (!settings) return settings.error();
  std::filesystem::path database = arguments.database;
  if (database.empty()) {
    if (!settings->fixed.query_log) {
      err << "doline replay: " << printable(settings->file.native())
          << " says `querylog: off`: name a log with --database.\n";
      return exit_no_input;
    }
    database = settings->fixed.query_log->path;
  }
  auto reader = querylog::LogReader::open(database);
  if (!reader) return complain("replay", database, reader.error(), err);
  const Judging judging = prepare_judging(*settings, now, err);

  std::unordered_map<Change, Times, HashOfChange> changes;
  LocalClock local(*judging.rules);
  Upstreams said;
  std::uint64_t judged = 0, passed_over = 0, changed = 0, uncounted = 0, shown_at = progress_every;
  const auto slot_of = [&](WallTime time) { return local.slot_of(time); };
  const auto read = reader->read_alike(filter, slot_of, [&](const LogRow& row, std::uint64_t queries) {
    if (arguments.shows_progress && judged + passed_over >= shown_at) {
      err << '\r' << judged << " queries judged, " << changed << " would change" << std::flush;
      shown_at = judged + passed_over + progress_every;
    }
    // Kept back by a Doline whose log does not tell what.
    const bool was_reviewed =
        row.verdict != VerdictKind::forward && row.source == querylog::Source::synthesized && row.upstream.has_value();
    if (row.verdict == VerdictKind::rejected || (was_reviewed && row.withheld.empty())) {
      passed_over += queries;
      return true;
    }
    const Anew anew = judge_anew(judging, settings->live, row, local.at(row.time), said);
    // By what a list says of its name servers, perhaps: the log does not keep these.
    if (anew.would == VerdictKind::forward && !row.withheld.empty() && !row.lists.empty() &&
        judging.lists->lists_servers()) {
      passed_over += queries;
      return true;
    }
    judged += queries;
    if (anew.would == row.verdict) return true;
    changed += queries;
    Change change{row.device, row.qname, row.verdict, anew.would};
    const auto known = changes.find(change);
    if (known == changes.end() && changes.size() == changes_max) {
      uncounted += queries;
      return true;
    }
    Times& times = known != changes.end() ? known->second : changes[std::move(change)];
    times.queries += queries;
    if (row.time >= times.latest) {
      times.latest = row.time;
      times.rule = anew.rule;
    }
    return true;
  });
  if (arguments.shows_progress && judged > progress_every) err << '\r' << std::string(60, ' ') << '\r' << std::flush;
  if (!read) return complain("replay", database, read.error(), err);

  std::vector<const std::pair<const Change, Times>*> most;
  for (const auto& entry : changes) most.push_back(&entry);
  std::sort(most.begin(), most.end(), [](const auto* left, const auto* right) {
    const auto key = [](const auto& entry) {
      return std::tie(entry.first.device, entry.first.name, entry.first.was, entry.first.would);
    };
    if (left->second.queries != right->second.queries) return left->second.queries > right->second.queries;
    return key(*left) < key(*right);
  });
  const std::size_t shown = arguments.limit == 0 ? most.size() : std::min<std::size_t>(most.size(), arguments.limit);
  if (arguments.json) {
    for (std::size_t at = 0; at < shown; ++at) {
      const auto& [change, times] = *most[at];
      out << ordered_json({{"device", change.device},
                           {"name", change.name.to_string()},
                           {"was", to_string(change.was)},
                           {"would_be", to_string(change.would)},
                           {"by", rule_place(*judging.rules, times.rule)},
                           {"queries", times.queries}})
                 .dump(-1, ' ', false, ordered_json::error_handler_t::replace)
          << '\n';
    }
    out << ordered_json({{"judged", judged},
                         {"passed_over", passed_over},
                         {"would_change", changed},
                         {"changes", most.size()},
                         {"not_itemised", uncounted}})
               .dump()
        << '\n';
  } else {
    if (shown > 0) {
      TextTable table({"queries", "device", "name", "was", "would be", "by"});
      for (std::size_t at = 0; at < shown; ++at) {
        const auto& [change, times] = *most[at];
        table.add({std::to_string(times.queries), change.device.empty() ? "(anonymous)" : printable(change.device),
                   change.name.to_string(), std::string(to_string(change.was)), std::string(to_string(change.would)),
                   printable(rule_place(*judging.rules, times.rule))});
      }
      table.print(out);
    }
    out << judged << " queries judged anew: " << changed << " would be answered otherwise";
    if (passed_over > 0) out << "; " << passed_over << " were rejected, or the log does not tell enough of them";
    if (shown < most.size()) out << "; " << most.size() - shown << " more kinds of change are shown with --limit 0";
    out << ".\n";
  }
  if (changed != 0) return exit_no;
  return judging.lacks_lists ? exit_no_input : exit_ok;
}

}  // namespace doline

#include "doline/replay_command.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <tuple>

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
#include "querylog/log_reader.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using querylog::kind_of;
using querylog::LogRow;
using querylog::VerdictKind;

/// Beyond, changes of further names are counted together.
constexpr std::size_t changes_max = 200'000;
constexpr std::uint64_t progress_every = 50'000;

struct Change {
  std::string device, name;
  std::string was, would;
  auto operator<=>(const Change&) const = default;
};
struct Times {
  std::uint64_t queries = 0;
  std::string rule;  // that would decide, of the latest
};

/// Whose query it was, as far as the log says.
const device::Device& find_device(const device::Roster& roster, const LogRow& row) {
  if (row.mac)
    if (const auto* device = roster.find(*row.mac)) return *device;
  if (const auto* device = roster.find(row.device); device != nullptr && !row.device.empty()) return *device;
  return row.client ? roster.identify(*row.client) : roster.devices().front();
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

  std::map<Change, Times> changes;
  std::vector<IpAddress> answered;
  std::uint64_t judged = 0, passed_over = 0, changed = 0, uncounted = 0;
  const auto read = reader->read(filter, querylog::Order::oldest_first, [&](const LogRow& row) {
    if (arguments.shows_progress && (judged + passed_over) % progress_every == 0 && judged > 0)
      err << '\r' << judged << " queries judged, " << changed << " would change" << std::flush;
    if (row.verdict == VerdictKind::rejected) {
      ++passed_over;
      return true;
    }
    ++judged;
    const device::Device& device = find_device(*judging.roster, row);
    const IpAddress client = row.client.value_or(IpAddress());
    device::Destination destination;
    if (row.original_destination) destination = {*row.original_destination, row.destination_source};
    dns::Question question{row.qname, row.qtype, dns::RecordClass::in};
    policy::Asking asking{.device = device,
                          .groups = judging.roster->groups_of(device, client),
                          .client = client,
                          .question = question,
                          .lowered_qname = row.qname,
                          .destination = destination,
                          .time = policy::to_local_time(row.time),
                          .resolvers = judging.resolvers.get(),
                          .places = judging.places.get()};
    policy::Verdict verdict = policy::decide(*judging.rules, *judging.lists, asking);
    answered.clear();
    for (const querylog::Answer& answer : row.answers)
      if ((answer.type == dns::RecordType::a && answer.rdata.size() == 4) ||
          (answer.type == dns::RecordType::aaaa && answer.rdata.size() == 16))
        answered.push_back(IpAddress::from_octets(answer.rdata));
    if (verdict.forwards() && !answered.empty()) {
      asking.answer_addresses = answered;
      if (auto found = policy::review(*judging.rules, *judging.lists, asking, verdict.reason.rule).verdict)
        verdict = *std::move(found);
    }
    const VerdictKind would = kind_of(verdict.action);
    // An answer that the review stopped was asked for by a name that was forwarded.
    const bool was_reviewed =
        row.verdict != VerdictKind::forward && row.source == querylog::Source::synthesized && row.upstream.has_value();
    if (would == row.verdict || (was_reviewed && would == VerdictKind::forward)) return true;
    ++changed;
    Change change{row.device, row.qname.to_string(), std::string(to_string(row.verdict)),
                  std::string(to_string(would))};
    const auto known = changes.find(change);
    if (known == changes.end() && changes.size() == changes_max) {
      ++uncounted;
      return true;
    }
    Times& times = known != changes.end() ? known->second : changes[std::move(change)];
    ++times.queries;
    times.rule = rule_place(*judging.rules, verdict.reason.rule);
    return true;
  });
  if (arguments.shows_progress && judged > progress_every) err << '\r' << std::string(60, ' ') << '\r' << std::flush;
  if (!read) return complain("replay", database, read.error(), err);

  std::vector<const std::pair<const Change, Times>*> most;
  for (const auto& entry : changes) most.push_back(&entry);
  std::stable_sort(most.begin(), most.end(),
                   [](const auto* left, const auto* right) { return left->second.queries > right->second.queries; });
  const std::size_t shown = arguments.limit == 0 ? most.size() : std::min<std::size_t>(most.size(), arguments.limit);
  if (arguments.json) {
    for (std::size_t at = 0; at < shown; ++at) {
      const auto& [change, times] = *most[at];
      out << ordered_json({{"device", change.device},
                           {"name", change.name},
                           {"was", change.was},
                           {"would_be", change.would},
                           {"by", times.rule},
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
                   printable(change.name), change.was, change.would, printable(times.rule)});
      }
      table.print(out);
    }
    out << judged << " queries judged anew: " << changed << " would be answered otherwise";
    if (shown < most.size()) out << "; " << most.size() - shown << " more kinds of change are shown with --limit 0";
    out << ".\n";
  }
  return changed == 0 ? exit_ok : exit_no;
}

}  // namespace doline

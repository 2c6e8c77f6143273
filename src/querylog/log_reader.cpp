#include "querylog/log_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "querylog/schema.h"

namespace doline::querylog {

namespace {

constexpr milliseconds reading_patience{2000};
constexpr std::int64_t page_rows = 512;
constexpr std::size_t cursors_max = 64;            // of one read; beyond, a scan is cheaper
constexpr std::int64_t late_at_most = 15'000'000;  // microseconds that a record may come behind its time

using Ids = std::vector<std::int64_t>;

std::string hex(std::span<const std::uint8_t> octets) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "x'";
  for (const std::uint8_t octet : octets) text.append({digits[octet >> 4], digits[octet & 15]});
  return text + "'";
}

std::string hex(std::string_view text) {
  return hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

/// `(1,2,3)`: only numbers and octets of ours are ever written into SQL.
template <class Values, class Print>
std::string list_of(const Values& values, Print print) {
  std::string text = "(";
  for (const auto& value : values) text += (text.size() > 1 ? "," : "") + print(value);
  return text + ")";
}
std::string list_of(const Ids& ids) {
  return list_of(ids, [](std::int64_t id) { return std::to_string(id); });
}
std::string list_of(const std::vector<IpAddress>& addresses) {
  return list_of(addresses, [](const IpAddress& address) { return hex(address.octets()); });
}
template <class Enum>
std::string numbers_of(const std::vector<Enum>& values) {
  return list_of(values, [](Enum value) { return std::to_string(static_cast<int>(value)); });
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::optional<IpAddress> address_of(std::span<const std::uint8_t> octets) {
  if (octets.size() != 4 && octets.size() != 16) return std::nullopt;
  return IpAddress::from_octets(octets);
}

std::optional<device::MacAddress> mac_of(std::span<const std::uint8_t> octets) {
  device::MacAddress mac;
  if (octets.size() != mac.octets.size()) return std::nullopt;
  std::copy(octets.begin(), octets.end(), mac.octets.begin());
  return mac;
}

std::string names_matching(const std::vector<NameFilter>& names) {
  std::string select;
  for (const NameFilter& filter : names) {
    const std::string key = to_name_key(filter.name);
    if (!select.empty()) select += " UNION ALL ";
    select += "SELECT id FROM name WHERE ";
    // A label's length octet is at most 63: 0xff is behind every longer key.
    select += filter.below ? "key > " + hex(key) + " AND key < " + hex(key + "\xff") : "key = " + hex(key);
  }
  return select;
}

struct Range {
  std::int64_t begin = 0, end = 0;  // ts, end exclusive
};

/// What of a row is looked up in dictionaries later.
struct RawRow {
  LogRow row;
  std::int64_t ts = 0, device = 0, client = 0, destination = 0, name = 0, rule = 0, lists = 0, observed_rule = 0,
               answer = 0, upstream = 0;
};

constexpr const char* columns =
    "ts, device, client, destination, destination_source, transport, name, qtype, verdict, rule, lists, observed, "
    "observed_rule, "
    "source, rcode, answer, ttl, upstream, latency_us, dnssec";

RawRow raw_row(const Statement& from) {
  RawRow raw;
  raw.ts = from.integer(0);
  raw.device = from.integer(1);
  raw.client = from.integer(2);
  raw.destination = from.integer(3);
  raw.name = from.integer(6);
  raw.rule = from.integer(9);
  raw.lists = from.integer(10);
  raw.observed_rule = from.integer(12);
  raw.answer = from.integer(15);
  raw.upstream = from.integer(17);
  LogRow& row = raw.row;
  row.time = WallTime(microseconds(raw.ts));
  row.destination_source = static_cast<device::DestinationSource>(from.integer(4));
  row.transport = static_cast<Transport>(from.integer(5));
  row.qtype = static_cast<dns::RecordType>(from.integer(7));
  row.verdict = static_cast<VerdictKind>(from.integer(8));
  if (!from.is_null(11)) row.observed = static_cast<VerdictKind>(from.integer(11));
  row.source = static_cast<Source>(from.integer(13));
  row.code = static_cast<dns::ResponseCode>(from.integer(14));
  if (!from.is_null(16)) row.ttl = static_cast<std::uint32_t>(from.integer(16));
  row.latency_us = static_cast<std::uint32_t>(from.integer(18));
  row.dnssec = static_cast<Dnssec>(from.integer(19));
  return raw;
}

}  // namespace

struct LogReader::Impl {
  std::filesystem::path file;
  Database database;
  ino_t inode = 0;
  Statement begin, commit, find_device, find_endpoint, find_name, find_text, find_answer;

  // of follow()
  bool is_following = false;
  std::int64_t followed_to = 0;
  std::int64_t followed_version = 0;             // PRAGMA data_version when it was last looked at
  std::unordered_set<std::int64_t> handed_over;  // of the last late_at_most

  Result<void, DatabaseFault> open() {
    auto opened = Database::open(file, Database::Access::read, reading_patience);
    if (!opened) return fail(opened.error());
    database = std::move(*opened);
    inode = inode_of_file();
    if (const auto checked = check_schema(database); !checked) return checked;
    const std::pair<Statement*, const char*> statements[] = {
        {&begin, "BEGIN"},
        {&commit, "COMMIT"},
        {&find_device, "SELECT name, mac, vendor, groups FROM device WHERE id = ?1"},
        {&find_endpoint, "SELECT address, port FROM endpoint WHERE id = ?1"},
        {&find_name, "SELECT key FROM name WHERE id = ?1"},
        {&find_text, "SELECT text FROM text WHERE id = ?1"},
        {&find_answer, "SELECT octets FROM answer WHERE id = ?1"},
    };
    for (const auto& [statement, sql] : statements) {
      auto prepared = database.prepare(sql);
      if (!prepared) return fail(prepared.error());
      *statement = std::move(*prepared);
    }
    return {};
  }

  void close() {
    for (Statement* statement : {&begin, &commit, &find_device, &find_endpoint, &find_name, &find_text, &find_answer})
      *statement = Statement();
    database = Database();
  }

  ino_t inode_of_file() const {
    struct stat status{};
    return ::stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  Result<Ids, DatabaseFault> ids(const std::string& sql) {
    auto statement = database.prepare(sql);
    if (!statement) return fail(statement.error());
    Ids found;
    for (;;) {
      const auto row = statement->step();
      if (!row) return fail(row.error());
      if (!*row) return found;
      found.push_back(statement->integer(0));
    }
  }

  // ── what to read ───────────────────────────────────────────────────────────────────────────────────────────────────

  struct Plan {
    std::string conditions;        // ` AND ...`
    const char* column = nullptr;  // one cursor for each of `keys`, on this column's index
    Ids keys;
    std::vector<Range> ranges;          // ascending
    std::vector<std::string> look_ups;  // the SQL that it was made with
  };

  Result<Ids, DatabaseFault> ids(Plan& plan, std::string sql) {
    auto found = ids(sql);
    plan.look_ups.push_back(std::move(sql));
    return found;
  }

  Result<Plan, DatabaseFault> plan(const LogFilter& filter) {
    Plan plan;
    if (!filter.types.empty()) plan.conditions += " AND qtype IN " + numbers_of(filter.types);
    if (!filter.verdicts.empty()) plan.conditions += " AND verdict IN " + numbers_of(filter.verdicts);
    if (!filter.clients.empty())
      plan.conditions +=
          " AND client IN (SELECT id FROM endpoint WHERE address IN " + list_of(filter.clients) + " AND port = 0)";
    if (filter.only_intercepted) plan.conditions += " AND destination IS NOT NULL";
    if (!filter.devices.empty() || !filter.groups.empty()) {
      auto devices = devices_matching(filter);
      if (!devices) return fail(devices.error());
      use(plan, "device", std::move(*devices));
    }
    if (!filter.meant_for.empty()) {
      auto destinations = ids(plan, "SELECT id FROM endpoint WHERE address IN " + list_of(filter.meant_for));
      if (!destinations) return fail(destinations.error());
      use(plan, "destination", std::move(*destinations));
    }
    std::optional<Ids> hours;
    if (!filter.names.empty()) {
      const std::string names = names_matching(filter.names);
      plan.conditions += " AND name IN (" + names + ")";
      auto asked = ids(plan, "SELECT DISTINCT hour FROM name_hour WHERE name IN (" + names + ") ORDER BY hour");
      if (!asked) return fail(asked.error());
      hours = std::move(*asked);
    }
    if (!filter.answers.empty()) {
      const std::string addresses = list_of(filter.answers);
      plan.conditions += " AND answer IN (SELECT answer FROM answer_address WHERE address IN " + addresses + ")";
      auto answered =
          ids(plan,
              "SELECT DISTINCT hour FROM answer_address AS a JOIN answer ON answer.id = a.answer JOIN name_hour ON "
              "name_hour.name = answer.name AND hour BETWEEN first_hour AND last_hour WHERE a.address IN " +
                  addresses + " ORDER BY hour");
      if (!answered) return fail(answered.error());
      if (hours) {
        Ids both;
        std::set_intersection(hours->begin(), hours->end(), answered->begin(), answered->end(),
                              std::back_inserter(both));
        hours = std::move(both);
      } else {
        hours = std::move(*answered);
      }
    }
    const Range all{filter.since ? filter.since->time_since_epoch().count() : INT64_MIN,
                    filter.until ? filter.until->time_since_epoch().count() : INT64_MAX};
    if (!hours) {
      plan.ranges.push_back(all);
      return plan;
    }
    for (const std::int64_t hour : *hours) {
      const Range range{std::max(all.begin, begin_of_hour(hour)), std::min(all.end, begin_of_hour(hour + 1))};
      if (range.begin >= range.end) continue;
      if (!plan.ranges.empty() && plan.ranges.back().end == range.begin)
        plan.ranges.back().end = range.end;
      else
        plan.ranges.push_back(range);
    }
    return plan;
  }

  /// By the column's index where that is worth it, else as a condition.
  static void use(Plan& plan, const char* column, Ids keys) {
    if (plan.column == nullptr && keys.size() <= cursors_max) {
      plan.column = column;
      plan.keys = std::move(keys);
    } else {
      plan.conditions += std::string(" AND ") + column + " IN " + list_of(keys);
    }
  }

  Result<Ids, DatabaseFault> devices_matching(const LogFilter& filter) {
    auto all = database.prepare("SELECT id, name, groups FROM device");
    if (!all) return fail(all.error());
    Ids found;
    for (;;) {
      const auto row = all->step();
      if (!row) return fail(row.error());
      if (!*row) return found;
      const auto name = all->text(1);
      const auto groups = lines_of(all->text(2));
      const bool has_name = filter.devices.empty() ||
                            std::find(filter.devices.begin(), filter.devices.end(), name) != filter.devices.end();
      const bool has_group =
          filter.groups.empty() ||
          std::find_first_of(groups.begin(), groups.end(), filter.groups.begin(), filter.groups.end()) != groups.end();
      if (has_name && has_group) found.push_back(all->integer(0));
    }
  }

  /// One for each cursor.
  static std::vector<std::string> selects_of(const Plan& plan, Order order) {
    const std::string rest = "ts >= ?1 AND ts < ?2" + plan.conditions + " ORDER BY ts " +
                             (order == Order::newest_first ? "DESC" : "ASC") + " LIMIT ?3";
    const std::string select = std::string("SELECT ") + columns + " FROM query ";
    if (plan.column == nullptr) return {select + "NOT INDEXED WHERE " + rest};
    std::vector<std::string> selects;
    for (const std::int64_t key : plan.keys)
      selects.push_back(select + "INDEXED BY query_by_" + plan.column + " WHERE " + plan.column + " = " +
                        std::to_string(key) + " AND " + rest);
    return selects;
  }

  Result<std::vector<std::string>, DatabaseFault> explain(const LogFilter& filter, Order order) {
    auto planned = plan(filter);
    if (!planned) return fail(planned.error());
    std::vector<std::string> steps;
    auto statements = std::move(planned->look_ups);
    for (std::string& select : selects_of(*planned, order)) statements.push_back(std::move(select));
    for (const std::string& sql : statements) {
      auto explained = database.prepare("EXPLAIN QUERY PLAN " + sql);
      if (!explained) return fail(explained.error());
      for (;;) {
        const auto row = explained->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        steps.emplace_back(explained->text(3));
      }
    }
    return steps;
  }

  // ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  Result<std::uint64_t, DatabaseFault> read(const LogFilter& filter, Order order,
                                            const std::function<bool(const LogRow&)>& take) {
    auto planned = plan(filter);
    if (!planned) return fail(planned.error());
    const bool newest_first = order == Order::newest_first;
    std::vector<Statement> cursors;
    for (const std::string& select : selects_of(*planned, order)) {
      auto cursor = database.prepare(select);
      if (!cursor) return fail(cursor.error());
      cursors.push_back(std::move(*cursor));
    }
    if (newest_first) std::reverse(planned->ranges.begin(), planned->ranges.end());
    std::uint64_t count = 0;
    for (Range range : planned->ranges) {
      for (;;) {
        std::vector<RawRow> page;
        const auto fetched = fetch(cursors, range, newest_first, page);
        if (!fetched) {
          (void)database.execute("ROLLBACK");
          return fail(fetched.error());
        }
        for (const RawRow& raw : page) {
          ++count;
          if (!take(raw.row)) return count;
        }
        if (page.size() < page_rows) break;
        (newest_first ? range.end : range.begin) = newest_first ? page.back().ts : page.back().ts + 1;
      }
    }
    return count;
  }

  /// Up to page_rows rows, complete, in one read that has ended on return.
  Result<void, DatabaseFault> fetch(std::vector<Statement>& cursors, const Range& range, bool newest_first,
                                    std::vector<RawRow>& page) {
    if (const auto begun = begin.run(); !begun) return begun;
    for (Statement& cursor : cursors) {
      const ResetAtEnd reset(cursor);
      cursor.bind(1, range.begin).bind(2, range.end).bind(3, page_rows);
      for (;;) {
        const auto row = cursor.step();
        if (!row) return fail(row.error());
        if (!*row) break;
        page.push_back(raw_row(cursor));
      }
    }
    if (cursors.size() > 1) {
      std::sort(page.begin(), page.end(), [&](const RawRow& left, const RawRow& right) {
        return newest_first ? left.ts > right.ts : left.ts < right.ts;
      });
      if (page.size() > page_rows) page.resize(page_rows);
    }
    // Ids may be given anew once retention has taken their entry: they mean something only within this read.
    Dictionaries dictionaries;
    for (RawRow& raw : page)
      if (const auto done = complete(raw, dictionaries); !done) return done;
    return commit.run();
  }

  struct Dictionaries {
    std::unordered_map<std::int64_t, LogRow> devices;  // only what identifies
    std::unordered_map<std::int64_t, Endpoint> endpoints;
    std::unordered_map<std::int64_t, dns::Name> names;
    std::unordered_map<std::int64_t, std::string> texts;
  };

  /// Runs `found` on the row of `statement` with this id, if there is one.
  template <class Found>
  Result<void, DatabaseFault> look_up(Statement& statement, std::int64_t id, Found found) {
    const ResetAtEnd reset(statement);
    const auto row = statement.bind(1, id).step();
    if (!row) return fail(row.error());
    if (*row) found();
    return {};
  }

  Result<void, DatabaseFault> complete(RawRow& raw, Dictionaries& known) {
    LogRow& row = raw.row;
    Result<void, DatabaseFault> outcome;
    const auto note = [&outcome](const Result<void, DatabaseFault>& step) {
      if (!step && outcome) outcome = step;
    };
    const auto endpoint = [&](std::int64_t id) {
      auto [place, is_new] = known.endpoints.try_emplace(id);
      if (is_new)
        note(look_up(find_endpoint, id, [&] {
          if (const auto address = address_of(find_endpoint.octets(0)))
            place->second = {*address, static_cast<std::uint16_t>(find_endpoint.integer(1))};
        }));
      return place->second;
    };
    const auto text = [&](std::int64_t id) -> const std::string& {
      auto [place, is_new] = known.texts.try_emplace(id);
      if (is_new && id != 0) note(look_up(find_text, id, [&] { place->second = find_text.text(0); }));
      return place->second;
    };
    auto [device, is_new_device] = known.devices.try_emplace(raw.device);
    if (is_new_device)
      note(look_up(find_device, raw.device, [&] {
        device->second.device = find_device.text(0);
        device->second.mac = mac_of(find_device.octets(1));
        device->second.vendor = find_device.text(2);
        device->second.groups = lines_of(find_device.text(3));
      }));
    row.device = device->second.device;
    row.mac = device->second.mac;
    row.vendor = device->second.vendor;
    row.groups = device->second.groups;
    if (raw.client != 0) row.client = endpoint(raw.client).address;
    if (raw.destination != 0) row.original_destination = endpoint(raw.destination);
    if (raw.upstream != 0) row.upstream = endpoint(raw.upstream);
    auto [name, is_new_name] = known.names.try_emplace(raw.name);
    if (is_new_name) note(look_up(find_name, raw.name, [&] { name->second = from_name_key(find_name.text(0)); }));
    row.qname = name->second;
    row.rule = text(raw.rule);
    row.observed_rule = text(raw.observed_rule);
    row.lists = lines_of(text(raw.lists));
    if (raw.answer != 0)
      note(look_up(find_answer, raw.answer, [&] {
        DecodedAnswers decoded = decode_answers(find_answer.octets(0), row.qname);
        row.answers = std::move(decoded.answers);
        row.answers_shortened = decoded.is_shortened;
      }));
    return outcome;
  }

  // ── follow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  Result<std::uint64_t, DatabaseFault> follow(LogFilter filter, const std::function<bool(const LogRow&)>& take) {
    if (is_following &&
        (!database.is_open() || inode_of_file() != inode)) {  // set aside or deleted: on with the new one
      close();
      followed_version = 0;
      if (const auto opened = open(); !opened) {
        close();
        // Between two files there is none; the next call finds the new one.
        if (opened.error() == DatabaseFault::missing || opened.error() == DatabaseFault::older_schema) return 0;
        return fail(opened.error());
      }
    }
    if (!is_following) {
      const auto last = database.integer("SELECT coalesce(max(ts), 0) FROM query");
      if (!last) return fail(last.error());
      followed_to = *last;
      const auto recent = ids("SELECT ts FROM query WHERE ts > " + std::to_string(followed_to - late_at_most));
      if (!recent) return fail(recent.error());
      handed_over.insert(recent->begin(), recent->end());
      is_following = true;
      return 0;
    }
    const auto version = database.integer("PRAGMA data_version");
    if (!version) return fail(version.error());
    if (*version == followed_version) return 0;  // nobody has written
    filter.since = WallTime(microseconds(followed_to - late_at_most + 1));
    filter.until.reset();
    std::uint64_t count = 0;
    std::int64_t newest = followed_to;
    const auto done = read(filter, Order::oldest_first, [&](const LogRow& row) {
      const std::int64_t ts = row.time.time_since_epoch().count();
      newest = std::max(newest, ts);
      if (!handed_over.insert(ts).second) return true;
      ++count;
      return take(row);
    });
    if (!done) return done;
    followed_to = newest;
    followed_version = *version;
    std::erase_if(handed_over, [&](std::int64_t ts) { return ts <= followed_to - late_at_most; });
    return count;
  }

  // ── devices ────────────────────────────────────────────────────────────────────────────────────────────────────────

  Result<std::vector<DeviceSummary>, DatabaseFault> devices() {
    if (const auto begun = begin.run(); !begun) return fail(begun.error());
    auto summaries = summarise();
    if (!summaries)
      (void)database.execute("ROLLBACK");
    else if (const auto ended = commit.run(); !ended)
      return fail(ended.error());
    return summaries;
  }

  Result<std::vector<DeviceSummary>, DatabaseFault> summarise() {
    auto identities = database.prepare(
        "SELECT id, name, mac, vendor, hostname, groups, h.queries, h.intercepted, h.not_forwarded, h.first, h.last "
        "FROM device JOIN "
        "(SELECT device, sum(queries) AS queries, sum(queries * intercepted) AS intercepted, sum(queries * (verdict <> "
        "0)) AS "
        "not_forwarded, min(first) AS first, max(last) AS last FROM device_hour GROUP BY device) AS h ON h.device = "
        "device.id "
        "ORDER BY mac IS NULL, h.last DESC");
    if (!identities) return fail(identities.error());
    std::vector<DeviceSummary> summaries;
    std::unordered_map<std::int64_t, std::size_t> summary_of;  // device.id
    std::unordered_map<device::MacAddress, std::size_t> by_mac;
    std::unordered_map<std::string, std::size_t> by_name;
    for (;;) {
      const auto row = identities->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      const std::string name(identities->text(1));
      const auto mac = mac_of(identities->octets(2));
      // Identities with a MAC come first, the latest first: the first one names the summary.
      std::size_t at = summaries.size();
      if (mac)
        at = by_mac.try_emplace(*mac, at).first->second;
      else if (const auto known = by_name.find(name); known != by_name.end())
        at = known->second;
      if (at == summaries.size()) {
        DeviceSummary& summary = summaries.emplace_back();
        summary.name = name;
        summary.mac = mac;
        summary.vendor = identities->text(3);
        summary.hostname = identities->text(4);
        summary.groups = lines_of(identities->text(5));
        summary.first_seen = WallTime::max();
        summary.last_seen = WallTime::min();
        by_name.try_emplace(name, at);
      }
      summary_of[identities->integer(0)] = at;
      DeviceSummary& summary = summaries[at];
      summary.queries += static_cast<std::uint64_t>(identities->integer(6));
      summary.intercepted += static_cast<std::uint64_t>(identities->integer(7));
      summary.not_forwarded += static_cast<std::uint64_t>(identities->integer(8));
      summary.first_seen = std::min(summary.first_seen, WallTime(microseconds(identities->integer(9))));
      summary.last_seen = std::max(summary.last_seen, WallTime(microseconds(identities->integer(10))));
    }
    auto resolvers = database.prepare(
        "SELECT device, address, port, sum(queries) FROM destination_hour JOIN endpoint ON endpoint.id = destination "
        "GROUP BY device, "
        "destination");
    if (!resolvers) return fail(resolvers.error());
    std::vector<std::map<Endpoint, std::uint64_t>> meant(summaries.size());
    for (;;) {
      const auto row = resolvers->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      const auto summary = summary_of.find(resolvers->integer(0));
      const auto address = address_of(resolvers->octets(1));
      if (summary == summary_of.end() || !address) continue;
      meant[summary->second][{*address, static_cast<std::uint16_t>(resolvers->integer(2))}] +=
          static_cast<std::uint64_t>(resolvers->integer(3));
    }
    auto clients = database.prepare(
        "SELECT device, address FROM client_hour JOIN endpoint ON endpoint.id = client ORDER BY hour DESC, address");
    if (!clients) return fail(clients.error());
    for (;;) {
      const auto row = clients->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      const auto summary = summary_of.find(clients->integer(0));
      const auto address = address_of(clients->octets(1));
      if (summary == summary_of.end() || !address) continue;
      auto& addresses = summaries[summary->second].addresses;
      if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) addresses.push_back(*address);
    }
    for (std::size_t at = 0; at < summaries.size(); ++at) {
      auto& to = summaries[at].meant_to_ask;
      for (const auto& [endpoint, queries] : meant[at]) to.push_back({endpoint, queries});
      std::sort(to.begin(), to.end(), [](const ForeignResolver& left, const ForeignResolver& right) {
        return left.queries != right.queries ? left.queries > right.queries : left.endpoint < right.endpoint;
      });
    }
    std::sort(summaries.begin(), summaries.end(), [](const DeviceSummary& left, const DeviceSummary& right) {
      return left.last_seen != right.last_seen ? left.last_seen > right.last_seen : left.name < right.name;
    });
    return summaries;
  }
};

LogReader::LogReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;
LogReader::~LogReader() = default;

Result<LogReader, DatabaseFault> LogReader::open(const std::filesystem::path& file) {
  auto impl = std::make_unique<Impl>();
  impl->file = file;
  if (const auto opened = impl->open(); !opened) return fail(opened.error());
  return LogReader(std::move(impl));
}

Result<std::uint64_t, DatabaseFault> LogReader::read(const LogFilter& filter, Order order,
                                                     const std::function<bool(const LogRow&)>& take) {
  return impl_->read(filter, order, take);
}

Result<std::uint64_t, DatabaseFault> LogReader::follow(const LogFilter& filter,
                                                       const std::function<bool(const LogRow&)>& take) {
  return impl_->follow(filter, take);
}

Result<std::vector<std::string>, DatabaseFault> LogReader::explain(const LogFilter& filter, Order order) {
  return impl_->explain(filter, order);
}

Result<std::vector<DeviceSummary>, DatabaseFault> LogReader::devices() {
  return impl_->devices();
}

}  // namespace doline::querylog

#include "querylog/log_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

#include "querylog/schema.h"
#include "querylog/segment_table.h"
#include "querylog/store.h"

namespace doline::querylog {

namespace {

constexpr milliseconds reading_patience{2000};
// Of one read: few at first, since most who ask for the newest want a hundred.
constexpr std::size_t page_rows_first = 128;
constexpr std::size_t page_rows_max = 8'192;
constexpr std::size_t known_names_max = 65'536;  // remembered from page to page, at some 300 octets
constexpr std::size_t known_answers_max = 32'768;
constexpr std::size_t alike_rows = 262'144;  // of one read that puts those together that are alike

using Ids = std::vector<std::uint32_t>;

std::string hex(std::span<const std::uint8_t> octets) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "x'";
  for (const std::uint8_t octet : octets) text.append({digits[octet >> 4], digits[octet & 15]});
  return text + "'";
}

std::string hex(std::string_view text) {
  return hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

/// Only octets of ours are ever written into SQL.
std::string list_of(const std::vector<IpAddress>& addresses) {
  std::string text = "(";
  for (const IpAddress& address : addresses) text += (text.size() > 1 ? "," : "") + hex(address.octets());
  return text + ")";
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

/// Which values of one column are looked for: ascending.
struct Wanted {
  Column column;
  Ids values;
};

/// A row as it stands in a segment.
struct RawRow {
  std::int64_t time = 0, number = 0;
  Values values{};

  [[nodiscard]] std::uint32_t operator[](Column column) const { return values[static_cast<std::size_t>(column)]; }
};

/// Rows have an order even where they have one time.
bool is_earlier(const RawRow& left, const RawRow& right) {
  return left.time != right.time ? left.time < right.time : left.number < right.number;
}

/// All that needs no dictionary.
void write_plain(const RawRow& raw, LogRow& row) {
  row.number = static_cast<std::uint64_t>(raw.number);
  row.time = WallTime(microseconds(raw.time));
  row.destination_source = static_cast<device::DestinationSource>(raw[Column::destination_source]);
  row.transport = static_cast<Transport>(raw[Column::transport]);
  row.qtype = static_cast<dns::RecordType>(raw[Column::qtype]);
  row.verdict = static_cast<VerdictKind>(raw[Column::verdict]);
  row.observed.reset();
  if (raw[Column::observed] != 0) row.observed = static_cast<VerdictKind>(raw[Column::observed] - 1);
  row.source = static_cast<Source>(raw[Column::source]);
  row.code = static_cast<dns::ResponseCode>(raw[Column::rcode]);
  row.ttl.reset();
  if (raw[Column::answer] != 0) row.ttl = raw[Column::ttl];
  row.latency_us = raw[Column::latency_us];
  row.dnssec = static_cast<Dnssec>(raw[Column::dnssec]);
}

/// What read_alike() tells apart, and nothing else; `slot` where the time of a row would stand.
Values alike_values(const RawRow& raw, std::uint32_t slot) {
  Values kept{};
  const auto put = [&](Column column, std::uint32_t value) { kept[static_cast<std::size_t>(column)] = value; };
  for (const Column column :
       {Column::device, Column::client, Column::destination, Column::destination_source, Column::name, Column::qtype,
        Column::verdict, Column::lists, Column::source, Column::answer, Column::withheld})
    put(column, raw[column]);
  put(Column::time, slot);
  if (static_cast<VerdictKind>(raw[Column::verdict]) == VerdictKind::rewrite) put(Column::rule, raw[Column::rule]);
  const auto source = static_cast<Source>(raw[Column::source]);
  if (source == Source::cache || source == Source::stale)
    put(Column::source, static_cast<std::uint32_t>(Source::upstream));
  else if (source != Source::upstream)
    put(Column::upstream, raw[Column::upstream]);
  return kept;
}

/// Rows of one name and answer stand together: what these ids mean is looked up once.
bool stands_before(const RawRow& left, const RawRow& right) {
  for (const Column column : {Column::name, Column::answer})
    if (left[column] != right[column]) return left[column] < right[column];
  return left.values < right.values;
}

/// For each place of the set, whether it is wanted; empty where none is. Both ascend.
std::vector<bool> wanted_places(std::span<const std::uint32_t> set, const Ids& wanted) {
  std::vector<bool> places;
  const auto found = [&](std::size_t place) {
    places.resize(set.size());
    places[place] = true;
  };
  if (set.empty()) {  // all are 0
    if (!wanted.empty() && wanted.front() == 0) places.assign(1, true);
    return places;
  }
  if (wanted.size() < set.size() / 8) {
    for (const std::uint32_t value : wanted)
      if (const auto at = std::lower_bound(set.begin(), set.end(), value); at != set.end() && *at == value)
        found(static_cast<std::size_t>(at - set.begin()));
    return places;
  }
  auto next = wanted.begin();
  for (std::size_t place = 0; place < set.size(); ++place) {
    next = std::lower_bound(next, wanted.end(), set[place]);
    if (next == wanted.end()) break;
    if (*next == set[place]) found(place);
  }
  return places;
}

}  // namespace

struct LogReader::Impl {
  std::filesystem::path file;
  Database database;
  SegmentTable segments;
  ino_t inode = 0;
  Statement begin, commit, find_device, find_endpoint, find_name, find_text, find_answer;

  struct Dictionaries {
    std::unordered_map<std::uint32_t, LogRow> devices;  // only what identifies
    std::unordered_map<std::uint32_t, Endpoint> endpoints;
    std::unordered_map<std::uint32_t, dns::Name> names;
    std::unordered_map<std::uint32_t, std::string> texts;
    std::unordered_map<std::uint32_t, std::vector<std::string>> list_names;
    struct Answered {
      DecodedAnswers answers;
      std::optional<std::uint32_t> name;  // with which they were decoded
    };
    std::unordered_map<std::uint32_t, Answered> answers;
    std::int64_t version = 0;  // PRAGMA data_version when they were filled
  };

  Dictionaries dictionary;

  std::vector<SegmentTable::Entry> directory;  // of all segments
  std::int64_t directory_version = 0;          // PRAGMA data_version when it was read
  std::uint64_t segments_read = 0;

  // of follow()
  bool is_following = false;
  std::int64_t followed_to = 0;       // the number of the next row
  std::int64_t followed_version = 0;  // PRAGMA data_version when it was last looked at

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
    auto table = SegmentTable::open(database);
    if (!table) return fail(table.error());
    segments = std::move(*table);
    directory_version = 0;
    dictionary = {};
    return {};
  }

  void close() {
    for (Statement* statement : {&begin, &commit, &find_device, &find_endpoint, &find_name, &find_text, &find_answer})
      *statement = Statement();
    segments = SegmentTable();
    database = Database();
  }

  ino_t inode_of_file() const {
    struct stat status{};
    return ::stat(file.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  /// `work` sees one state of the file.
  template <class Work>
  Result<void, DatabaseFault> in_one_read(Work work) {
    if (const auto begun = begin.run(); !begun) return begun;
    if (const Result<void, DatabaseFault> done = work(); !done) {
      (void)database.execute("ROLLBACK");
      return done;
    }
    return commit.run();
  }

  /// In a read: brings `directory` up to date.
  Result<void, DatabaseFault> look_at_directory() {
    const auto version = database.integer("PRAGMA data_version");
    if (!version) return fail(version.error());
    if (*version == directory_version) return {};
    auto all = segments.all();
    if (!all) return fail(all.error());
    directory = std::move(*all);
    directory_version = *version;
    return {};
  }

  Result<Ids, DatabaseFault> ids(const std::string& sql) {
    auto statement = database.prepare(sql);
    if (!statement) return fail(statement.error());
    Ids found;
    for (;;) {
      const auto row = statement->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      found.push_back(static_cast<std::uint32_t>(statement->integer(0)));
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  // ── what to read ───────────────────────────────────────────────────────────────────────────────────────────────────

  /// In a read: what ids mean, they mean only within it.
  Result<std::vector<Wanted>, DatabaseFault> wanted_of(const LogFilter& filter) {
    std::vector<Wanted> wanted;
    const auto want_numbers = [&](Column column, const auto& numbers) {
      if (numbers.empty()) return;
      Ids values;
      for (const auto number : numbers) values.push_back(static_cast<std::uint32_t>(number));
      std::sort(values.begin(), values.end());
      wanted.push_back({column, std::move(values)});
    };
    want_numbers(Column::qtype, filter.types);
    want_numbers(Column::verdict, filter.verdicts);
    Result<void, DatabaseFault> outcome;
    const auto want = [&](Column column, Result<Ids, DatabaseFault> values) {
      if (values)
        wanted.push_back({column, std::move(*values)});
      else if (outcome)
        outcome = fail(values.error());
    };
    if (!filter.devices.empty() || !filter.macs.empty() || !filter.groups.empty())
      want(Column::device, devices_matching(filter));
    if (!filter.clients.empty())
      want(Column::client,
           ids("SELECT id FROM endpoint WHERE address IN " + list_of(filter.clients) + " AND port = 0"));
    if (!filter.meant_for.empty())
      want(Column::destination, ids("SELECT id FROM endpoint WHERE address IN " + list_of(filter.meant_for)));
    if (!filter.names.empty()) want(Column::name, ids(names_matching(filter.names)));
    if (!filter.answers.empty()) want(Column::answer, answers_with(filter.answers));
    if (!outcome) return fail(outcome.error());
    return wanted;
  }

  /// Looks through all: whoever asks this has time, and who writes has none for an index.
  Result<Ids, DatabaseFault> answers_with(const std::vector<IpAddress>& addresses) {
    std::string holds_one;
    for (const IpAddress& address : addresses)
      holds_one += (holds_one.empty() ? "instr(octets, " : " OR instr(octets, ") + hex(address.octets()) + ")";
    auto likely = database.prepare("SELECT id, octets FROM answer WHERE " + holds_one + " ORDER BY id");
    if (!likely) return fail(likely.error());
    Ids found;
    for (;;) {
      const auto row = likely->step();
      if (!row) return fail(row.error());
      if (!*row) return found;
      const auto answered = answer_addresses(likely->octets(1));
      if (std::find_first_of(answered.begin(), answered.end(), addresses.begin(), addresses.end()) != answered.end())
        found.push_back(static_cast<std::uint32_t>(likely->integer(0)));
    }
  }

  Result<Ids, DatabaseFault> devices_matching(const LogFilter& filter) {
    auto all = database.prepare("SELECT id, name, groups, mac FROM device ORDER BY id");
    if (!all) return fail(all.error());
    Ids found;
    for (;;) {
      const auto row = all->step();
      if (!row) return fail(row.error());
      if (!*row) return found;
      const auto name = all->text(1);
      const auto groups = lines_of(all->text(2));
      const auto mac = mac_of(all->octets(3));
      const bool has_name = (filter.devices.empty() && filter.macs.empty()) ||
                            std::find(filter.devices.begin(), filter.devices.end(), name) != filter.devices.end() ||
                            (mac && std::find(filter.macs.begin(), filter.macs.end(), *mac) != filter.macs.end());
      const bool has_group =
          filter.groups.empty() ||
          std::find_first_of(groups.begin(), groups.end(), filter.groups.begin(), filter.groups.end()) != groups.end();
      if (has_name && has_group) found.push_back(static_cast<std::uint32_t>(all->integer(0)));
    }
  }

  /// Adds what matches of a segment. `is_here` says of a time and a number whether it is looked for.
  template <class IsHere>
  Result<void, DatabaseFault> add_matches(const SegmentTable::Entry& entry, const LogFilter& filter,
                                          const std::vector<Wanted>& wanted, IsHere is_here,
                                          std::vector<RawRow>& rows) {
    Segment segment;
    const auto has_head = wanted.empty() && !filter.only_intercepted ? Result<bool, DatabaseFault>(true)
                                                                     : segments.read_head(entry.number, segment);
    if (!has_head) return fail(has_head.error());
    std::vector<std::vector<bool>> places;
    for (const Wanted& each : wanted) {
      places.push_back(wanted_places(segment.set(each.column), each.values));
      if (places.back().empty()) return {};
    }
    if (filter.only_intercepted && segment.set(Column::destination).empty()) return {};
    ++segments_read;
    const auto found = segments.read(entry.number, segment);
    if (!found) return fail(found.error());
    if (!*found) return {};
    for (std::size_t row = 0; row < segment.rows(); ++row) {
      const std::int64_t time = segment.times()[row];
      const std::int64_t number = entry.number + static_cast<std::int64_t>(row);
      bool is_match = is_here(time, number);
      for (std::size_t at = 0; is_match && at < wanted.size(); ++at)
        is_match = places[at][segment.place(wanted[at].column, row)];
      if (!is_match || (filter.only_intercepted && segment.value(Column::destination, row) == 0)) continue;
      rows.push_back({time, number, segment.values(row)});
    }
    return {};
  }

  // ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  Result<std::uint64_t, DatabaseFault> read(const LogFilter& filter, Order order,
                                            const std::function<bool(const LogRow&)>& take) {
    std::uint64_t count = 0;
    std::optional<RawRow> behind;  // the last one that was handed over
    std::vector<RawRow> page;
    std::vector<LogRow> rows;  // their strings are used again, page by page
    for (std::size_t page_rows = page_rows_first;; page_rows = std::min(page_rows * 4, page_rows_max)) {
      page.clear();
      const auto fetched = in_one_read([&]() -> Result<void, DatabaseFault> {
        if (const auto done = fetch(filter, order, behind, page_rows, page); !done) return done;
        return complete(page, rows);
      });
      if (!fetched) return fail(fetched.error());
      for (const LogRow& row : rows) {
        ++count;
        if (!take(row)) return count;
      }
      if (page.size() < page_rows) return count;
      behind = page.back();
    }
  }

  Result<std::uint64_t, DatabaseFault> read_alike(const LogFilter& filter, const SlotOf& slot_of,
                                                  const std::function<bool(const LogRow&, std::uint64_t)>& take) {
    const std::int64_t since = filter.since ? filter.since->time_since_epoch().count() : INT64_MIN;
    const std::int64_t until = filter.until ? filter.until->time_since_epoch().count() : INT64_MAX;
    std::uint64_t count = 0;
    std::int64_t next = INT64_MIN;  // the number of the row behind all that were read
    bool goes_on = true;
    std::vector<RawRow> rows;
    while (goes_on) {
      goes_on = false;
      rows.clear();
      const auto is_here = [&](std::int64_t time, std::int64_t number) {
        return number >= next && time >= since && time < until;
      };
      const auto done = in_one_read([&]() -> Result<void, DatabaseFault> {
        if (const auto looked = look_at_directory(); !looked) return looked;
        const auto wanted = wanted_of(filter);
        if (!wanted) return fail(wanted.error());
        std::int64_t end = next;
        for (const SegmentTable::Entry& entry : directory) {
          if (entry.number + entry.rows <= next || entry.last < since || entry.first >= until) continue;
          if ((goes_on = rows.size() >= alike_rows)) break;
          if (const auto added = add_matches(entry, filter, *wanted, is_here, rows); !added) return added;
          end = entry.number + entry.rows;
        }
        next = end;
        for (RawRow& row : rows) row.values = alike_values(row, slot_of(WallTime(microseconds(row.time))));
        std::sort(rows.begin(), rows.end(), stands_before);
        renew_dictionary();
        LogRow row;
        const RawRow* before = nullptr;
        for (std::size_t at = 0, behind = 0; at < rows.size(); at = behind) {
          while (behind < rows.size() && rows[behind].values == rows[at].values) ++behind;
          write_plain(rows[at], row);
          if (const auto completed = complete(rows[at], before, row); !completed) return completed;
          before = &rows[at];
          count += behind - at;
          if (!take(row, behind - at)) {
            goes_on = false;
            break;
          }
        }
        return {};
      });
      if (!done) return fail(done.error());
    }
    return count;
  }

  /// The next `page_rows` rows behind that one.
  Result<void, DatabaseFault> fetch(const LogFilter& filter, Order order, const std::optional<RawRow>& behind,
                                    std::size_t page_rows, std::vector<RawRow>& page) {
    if (const auto looked = look_at_directory(); !looked) return looked;
    const auto wanted = wanted_of(filter);
    if (!wanted) return fail(wanted.error());
    const bool newest_first = order == Order::newest_first;
    const std::int64_t since = filter.since ? filter.since->time_since_epoch().count() : INT64_MIN;
    const std::int64_t until = filter.until ? filter.until->time_since_epoch().count() : INT64_MAX;
    const auto is_before = [newest_first](const RawRow& left, const RawRow& right) {
      return newest_first ? is_earlier(right, left) : is_earlier(left, right);
    };
    const auto is_here = [&](std::int64_t time, std::int64_t number) {
      if (time < since || time >= until) return false;
      return !behind || is_before(*behind, RawRow{time, number, {}});
    };
    std::vector<SegmentTable::Entry> entries;
    for (const SegmentTable::Entry& entry : directory) {
      if (entry.last < since || entry.first >= until) continue;
      if (behind && (newest_first ? entry.first > behind->time : entry.last < behind->time)) continue;
      entries.push_back(entry);
    }
    std::sort(entries.begin(), entries.end(),
              [newest_first](const SegmentTable::Entry& left, const SegmentTable::Entry& right) {
                return newest_first ? left.last > right.last : left.first < right.first;
              });
    const auto keep_best = [&] {
      std::sort(page.begin(), page.end(), is_before);
      if (page.size() > page_rows) page.resize(page_rows);
    };
    for (const SegmentTable::Entry& entry : entries) {
      // Segments overlap a little; one that begins behind all that the page has room for ends the search.
      if (page.size() >= page_rows) {
        keep_best();
        if (newest_first ? entry.last < page.back().time : entry.first > page.back().time) return {};
      }
      if (const auto done = add_matches(entry, filter, *wanted, is_here, page); !done) return done;
    }
    keep_best();
    return {};
  }

  /// Ids may be given anew once retention has taken their entry: they mean something only within one read, or while
  /// nobody writes. In a read; `rows` is what a page before may have left.
  void renew_dictionary() {
    if (dictionary.version != directory_version) dictionary = Dictionaries();
    if (dictionary.names.size() > known_names_max) dictionary.names.clear();
    if (dictionary.answers.size() > known_answers_max) dictionary.answers.clear();
    dictionary.version = directory_version;
  }

  Result<void, DatabaseFault> complete(const std::vector<RawRow>& page, std::vector<LogRow>& rows) {
    renew_dictionary();
    rows.resize(page.size());
    for (std::size_t at = 0; at < page.size(); ++at) {
      write_plain(page[at], rows[at]);
      if (const auto done = complete(page[at], nullptr, rows[at]); !done) return done;
    }
    return {};
  }

  /// Runs `found` on the row of `statement` with this id, if there is one.
  template <class Found>
  Result<void, DatabaseFault> look_up(Statement& statement, std::uint32_t id, Found found) {
    const ResetAtEnd reset(statement);
    const auto row = statement.bind(1, std::int64_t{id}).step();
    if (!row) return fail(row.error());
    if (*row) found();
    return {};
  }

  /// What the ids of `raw` mean. `before`: whose meanings are in `row`; null: who knows what is.
  Result<void, DatabaseFault> complete(const RawRow& raw, const RawRow* before, LogRow& row) {
    Result<void, DatabaseFault> outcome;
    const auto is_new = [&](Column column) { return before == nullptr || (*before)[column] != raw[column]; };
    const auto note = [&outcome](const Result<void, DatabaseFault>& step) {
      if (!step && outcome) outcome = step;
    };
    const auto endpoint = [&](std::uint32_t id) {
      auto [place, is_first] = dictionary.endpoints.try_emplace(id);
      if (is_first)
        note(look_up(find_endpoint, id, [&] {
          if (const auto address = address_of(find_endpoint.octets(0)))
            place->second = {*address, static_cast<std::uint16_t>(find_endpoint.integer(1))};
        }));
      return place->second;
    };
    const auto text = [&](std::uint32_t id) -> const std::string& {
      auto [place, is_first] = dictionary.texts.try_emplace(id);
      if (is_first && id != 0) note(look_up(find_text, id, [&] { place->second = find_text.text(0); }));
      return place->second;
    };
    if (is_new(Column::device)) {
      auto [device, is_first] = dictionary.devices.try_emplace(raw[Column::device]);
      if (is_first)
        note(look_up(find_device, raw[Column::device], [&] {
          device->second.device = find_device.text(0);
          device->second.mac = mac_of(find_device.octets(1));
          device->second.vendor = find_device.text(2);
          device->second.groups = lines_of(find_device.text(3));
        }));
      row.device = device->second.device;
      row.mac = device->second.mac;
      row.vendor = device->second.vendor;
      row.groups = device->second.groups;
    }
    const auto complete_endpoint = [&](Column column, auto& field, const auto& of) {
      if (!is_new(column)) return;
      field.reset();
      if (raw[column] != 0) field = of(endpoint(raw[column]));
    };
    const auto whole = [](const Endpoint& one) { return one; };
    complete_endpoint(Column::client, row.client, [](const Endpoint& one) { return one.address; });
    complete_endpoint(Column::destination, row.original_destination, whole);
    complete_endpoint(Column::upstream, row.upstream, whole);
    if (is_new(Column::name)) {
      auto [name, is_first] = dictionary.names.try_emplace(raw[Column::name]);
      if (is_first)
        note(look_up(find_name, raw[Column::name], [&] { name->second = from_name_key(find_name.text(0)); }));
      row.qname = name->second;
    }
    if (is_new(Column::rule)) row.rule = text(raw[Column::rule]);
    if (is_new(Column::observed_rule)) row.observed_rule = text(raw[Column::observed_rule]);
    if (is_new(Column::lists)) {
      auto [lists, is_first] = dictionary.list_names.try_emplace(raw[Column::lists]);
      if (is_first) lists->second = lines_of(text(raw[Column::lists]));
      row.lists = lists->second;
    }
    if (!is_new(Column::name) && !is_new(Column::answer) && !is_new(Column::withheld)) return outcome;
    row.answers.clear();
    row.withheld.clear();
    row.answers_shortened = false;
    if (raw[Column::answer] == 0) return outcome;
    auto& [answers, of_name] = dictionary.answers[raw[Column::answer]];
    if (of_name != std::optional(raw[Column::name])) {  // owners that are the QNAME are kept as that
      of_name = raw[Column::name];
      answers = {};
      note(look_up(find_answer, raw[Column::answer],
                   [&] { answers = decode_answers(find_answer.octets(0), row.qname); }));
    }
    (raw[Column::withheld] != 0 ? row.withheld : row.answers) = answers.answers;
    row.answers_shortened = answers.is_shortened;
    return outcome;
  }

  // ── follow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  Result<std::uint64_t, DatabaseFault> follow(const LogFilter& filter, const std::function<bool(const LogRow&)>& take) {
    if (is_following &&
        (!database.is_open() || inode_of_file() != inode)) {  // set aside or deleted: on with the new one
      close();
      followed_version = 0;
      followed_to = 0;
      if (const auto opened = open(); !opened) {
        close();
        // Between two files there is none; the next call finds the new one.
        if (opened.error() == DatabaseFault::missing || opened.error() == DatabaseFault::older_schema) return 0;
        return fail(opened.error());
      }
    }
    const auto version = database.integer("PRAGMA data_version");
    if (!version) return fail(version.error());
    if (is_following && *version == followed_version) return 0;  // nobody has written
    std::vector<LogRow> rows;
    const auto done = in_one_read([&]() -> Result<void, DatabaseFault> {
      const auto end = segments.end();
      if (!end) return fail(end.error());
      if (!is_following) {
        followed_to = *end;
        return {};
      }
      followed_to = std::min(followed_to, *end);  // what was handed over last may be forgotten
      if (const auto looked = look_at_directory(); !looked) return looked;
      const auto wanted = wanted_of(filter);
      if (!wanted) return fail(wanted.error());
      std::vector<RawRow> news;
      for (const SegmentTable::Entry& entry : directory) {
        if (entry.number + entry.rows <= followed_to) continue;
        const auto is_new = [&](std::int64_t, std::int64_t number) { return number >= followed_to; };
        if (const auto added = add_matches(entry, filter, *wanted, is_new, news); !added) return added;
      }
      followed_to = *end;
      std::sort(news.begin(), news.end(), is_earlier);
      return complete(news, rows);
    });
    if (!done) return fail(done.error());
    followed_version = *version;
    if (!is_following) {
      is_following = true;
      followed_version = 0;
      return 0;
    }
    std::uint64_t count = 0;
    for (const LogRow& row : rows) {
      ++count;
      if (!take(row)) break;
    }
    return count;
  }

  // ── devices ────────────────────────────────────────────────────────────────────────────────────────────────────────

  struct Sums {
    std::uint64_t queries = 0, intercepted = 0, not_forwarded = 0;
    std::int64_t first = INT64_MAX, last = INT64_MIN;
    std::unordered_map<std::uint32_t, std::uint64_t> destinations;  // queries meant for each
    std::unordered_map<std::uint32_t, std::int64_t> clients;        // when each was last used
  };

  /// Of one segment, by the place of the device.
  static void add_sums(const Segment& segment, std::unordered_map<std::uint32_t, Sums>& sums) {
    const auto devices = segment.set(Column::device);
    const auto destinations = segment.set(Column::destination);
    const auto clients = segment.set(Column::client);
    std::vector<Sums*> of(std::max<std::size_t>(devices.size(), 1));
    for (std::size_t place = 0; place < of.size(); ++place) of[place] = &sums[devices.empty() ? 0 : devices[place]];
    for (std::size_t row = 0; row < segment.rows(); ++row) {
      Sums& sum = *of[segment.place(Column::device, row)];
      const std::int64_t time = segment.times()[row];
      ++sum.queries;
      sum.first = std::min(sum.first, time);
      sum.last = std::max(sum.last, time);
      const auto verdict = static_cast<VerdictKind>(segment.value(Column::verdict, row));
      if (verdict != VerdictKind::forward && verdict != VerdictKind::audited) ++sum.not_forwarded;
      if (!destinations.empty())
        if (const std::uint32_t destination = segment.value(Column::destination, row); destination != 0) {
          ++sum.intercepted;
          ++sum.destinations[destination];
        }
      if (!clients.empty())
        if (const std::uint32_t client = segment.value(Column::client, row); client != 0) {
          std::int64_t& last = sum.clients.try_emplace(client, time).first->second;
          last = std::max(last, time);
        }
    }
  }

  Result<std::vector<DeviceSummary>, DatabaseFault> devices(const std::vector<std::vector<device::MacAddress>>& same) {
    std::vector<DeviceSummary> summaries;
    const auto done = in_one_read([&]() -> Result<void, DatabaseFault> {
      auto summed = summarise(same);
      if (!summed) return fail(summed.error());
      summaries = std::move(*summed);
      return {};
    });
    if (!done) return fail(done.error());
    return summaries;
  }

  Result<ListHits, DatabaseFault> list_hits() {
    ListHits found;
    const auto done = in_one_read([&]() -> Result<void, DatabaseFault> {
      if (const auto looked = look_at_directory(); !looked) return looked;
      std::unordered_map<std::uint32_t, std::uint64_t> rows_of;  // by text.id
      Segment segment;
      for (const SegmentTable::Entry& entry : directory) {
        const WallTime first{microseconds(entry.first)};
        if (!found.since || first < *found.since) found.since = first;
        const auto has_head = segments.read_head(entry.number, segment);
        if (!has_head) return fail(has_head.error());
        if (segment.set(Column::lists).empty()) continue;
        const auto has_body = segments.read(entry.number, segment);
        if (!has_body) return fail(has_body.error());
        const auto lists = segment.set(Column::lists);
        std::vector<std::uint64_t> rows(lists.size());
        for (std::size_t row = 0; row < segment.rows(); ++row) ++rows[segment.place(Column::lists, row)];
        for (std::size_t place = 0; place < lists.size(); ++place) rows_of[lists[place]] += rows[place];
      }
      for (const auto& [id, rows] : rows_of) {
        if (id == 0) continue;
        const auto named = look_up(find_text, id, [&] {
          for (const std::string& name : lines_of(find_text.text(0))) found.hits[name] += rows;
        });
        if (!named) return named;
      }
      return {};
    });
    if (!done) return fail(done.error());
    return found;
  }

  /// Of each device that was seen at an address, in a log that keeps it.
  Result<void, DatabaseFault> each_presence(const std::function<void(std::uint32_t device, std::uint32_t client,
                                                                     std::int64_t first, std::int64_t last)>& look) {
    const auto has_table = database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'presence'");
    if (!has_table) return fail(has_table.error());
    if (*has_table == 0) return {};
    auto all = database.prepare("SELECT device, client, first, last FROM presence ORDER BY first");
    if (!all) return fail(all.error());
    for (;;) {
      const auto row = all->step();
      if (!row) return fail(row.error());
      if (!*row) return {};
      look(static_cast<std::uint32_t>(all->integer(0)), static_cast<std::uint32_t>(all->integer(1)), all->integer(2),
           all->integer(3));
    }
  }

  Result<KnownNames, DatabaseFault> known_names() {
    auto all = database.prepare("SELECT name, groups FROM device");
    if (!all) return fail(all.error());
    KnownNames names;
    for (;;) {
      const auto row = all->step();
      if (!row) return fail(row.error());
      if (!*row) return names;
      if (std::string name(all->text(0)); !name.empty()) names.devices.insert(std::move(name));
      for (std::string& group : lines_of(all->text(1))) names.groups.insert(std::move(group));
    }
  }

  // ── history ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// What the device rows with this name or one of these MACs say, and those of all MACs that they had.
  Result<std::unordered_map<std::uint32_t, Stay>, DatabaseFault> identities_of(
      const std::string& name, const std::vector<device::MacAddress>& macs) {
    auto all = database.prepare("SELECT id, name, mac, vendor, hostname, groups FROM device");
    if (!all) return fail(all.error());
    std::unordered_map<std::uint32_t, Stay> rows;
    std::vector<device::MacAddress> wanted = macs;
    for (;;) {
      const auto row = all->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      Stay& stay = rows[static_cast<std::uint32_t>(all->integer(0))];
      stay.name = all->text(1);
      stay.mac = mac_of(all->octets(2));
      stay.vendor = all->text(3);
      stay.hostname = all->text(4);
      stay.groups = lines_of(all->text(5));
      if (stay.name == name && stay.mac) wanted.push_back(*stay.mac);
    }
    std::erase_if(rows, [&](const auto& row) {
      const Stay& stay = row.second;
      return stay.name != name && !(stay.mac && std::find(wanted.begin(), wanted.end(), *stay.mac) != wanted.end());
    });
    return rows;
  }

  Result<std::vector<Stay>, DatabaseFault> history(const std::string& name,
                                                   const std::vector<device::MacAddress>& macs) {
    std::vector<Stay> stays;
    const auto done = in_one_read([&]() -> Result<void, DatabaseFault> {
      if (const auto looked = look_at_directory(); !looked) return looked;
      const auto identities = identities_of(name, macs);
      if (!identities) return fail(identities.error());
      using Times = std::vector<Stay>;  // of one identity at one address, by time
      std::map<std::pair<std::uint32_t, std::uint32_t>, Times> all;
      const auto add = [&](std::uint32_t device, std::uint32_t client, std::int64_t first, std::int64_t last,
                           std::uint64_t queries) {
        const auto identity = identities->find(device);
        if (identity == identities->end()) return;
        Times& times = all[{device, client}];
        const WallTime from{microseconds(first)}, to{microseconds(last)};
        const microseconds pause(presence_gap);
        // Rows come nearly in order: the stay they belong to is one of the last.
        for (auto stay = times.rbegin(); stay != times.rend(); ++stay) {
          if (from > stay->last + pause) break;
          if (to + pause < stay->first) continue;
          stay->first = std::min(stay->first, from);
          stay->last = std::max(stay->last, to);
          stay->queries += queries;
          return;
        }
        times.push_back(identity->second);
        times.back().first = from;
        times.back().last = to;
        times.back().queries = queries;
      };
      if (const auto seen = each_presence([&](std::uint32_t device, std::uint32_t client, std::int64_t first,
                                              std::int64_t last) { add(device, client, first, last, 0); });
          !seen)
        return seen;
      Segment segment;
      for (const SegmentTable::Entry& entry : directory) {
        if (const auto head = segments.read_head(entry.number, segment); !head) return fail(head.error());
        const auto devices = segment.set(Column::device);
        if (std::none_of(devices.begin(), devices.end(), [&](std::uint32_t id) { return identities->contains(id); }))
          continue;
        ++segments_read;
        if (const auto read = segments.read(entry.number, segment); !read) return fail(read.error());
        for (std::size_t row = 0; row < segment.rows(); ++row) {
          const std::int64_t time = segment.times()[row];
          add(segment.value(Column::device, row), segment.value(Column::client, row), time, time, 1);
        }
      }
      for (auto& [who, times] : all)
        for (Stay& stay : times) {
          if (const auto found =
                  look_up(find_endpoint, who.second, [&] { stay.address = address_of(find_endpoint.octets(0)); });
              !found)
            return found;
          stays.push_back(std::move(stay));
        }
      return {};
    });
    if (!done) return fail(done.error());
    std::sort(stays.begin(), stays.end(), [](const Stay& left, const Stay& right) {
      return left.first != right.first ? left.first < right.first : left.address < right.address;
    });
    return stays;
  }

  Result<std::vector<DeviceSummary>, DatabaseFault> summarise(
      const std::vector<std::vector<device::MacAddress>>& same) {
    if (const auto looked = look_at_directory(); !looked) return fail(looked.error());
    std::unordered_map<std::uint32_t, Sums> sums;  // by device.id
    Segment segment;
    for (const SegmentTable::Entry& entry : directory) {
      if (const auto read = segments.read(entry.number, segment); !read) return fail(read.error());
      add_sums(segment, sums);
    }
    const auto seen =
        each_presence([&](std::uint32_t device, std::uint32_t client, std::int64_t first, std::int64_t last) {
          Sums& sum = sums[device];
          sum.first = std::min(sum.first, first);
          sum.last = std::max(sum.last, last);
          std::int64_t& latest = sum.clients.try_emplace(client, last).first->second;
          latest = std::max(latest, last);
        });
    if (!seen) return fail(seen.error());
    std::unordered_map<std::uint32_t, Endpoint> endpoints;
    auto all_endpoints = database.prepare("SELECT id, address, port FROM endpoint");
    if (!all_endpoints) return fail(all_endpoints.error());
    for (;;) {
      const auto row = all_endpoints->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      if (const auto address = address_of(all_endpoints->octets(1)))
        endpoints[static_cast<std::uint32_t>(all_endpoints->integer(0))] = {
            *address, static_cast<std::uint16_t>(all_endpoints->integer(2))};
    }
    struct Identity {
      DeviceSummary summary;
      const Sums* sums;
    };
    std::vector<Identity> identities;
    auto all = database.prepare("SELECT id, name, mac, vendor, hostname, groups FROM device");
    if (!all) return fail(all.error());
    for (;;) {
      const auto row = all->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      const auto sum = sums.find(static_cast<std::uint32_t>(all->integer(0)));
      if (sum == sums.end()) continue;
      Identity& identity = identities.emplace_back();
      identity.sums = &sum->second;
      identity.summary.name = all->text(1);
      identity.summary.mac = mac_of(all->octets(2));
      identity.summary.vendor = all->text(3);
      identity.summary.hostname = all->text(4);
      identity.summary.groups = lines_of(all->text(5));
    }
    // Those with a MAC come first, the latest first: the first one names the summary.
    std::sort(identities.begin(), identities.end(), [](const Identity& left, const Identity& right) {
      if (left.summary.mac.has_value() != right.summary.mac.has_value()) return left.summary.mac.has_value();
      return left.sums->last > right.sums->last;
    });
    std::vector<DeviceSummary> summaries;
    std::vector<std::map<Endpoint, std::uint64_t>> meant;
    std::vector<std::map<IpAddress, std::int64_t>> used;
    std::unordered_map<device::MacAddress, device::MacAddress> first_of;  // of MACs that are one device
    for (const auto& macs : same)
      for (const device::MacAddress& mac : macs) first_of.try_emplace(mac, macs.front());
    std::unordered_map<device::MacAddress, std::size_t> by_mac;
    std::unordered_map<std::string, std::size_t> by_name;
    for (Identity& identity : identities) {
      std::size_t at = summaries.size();
      const auto mac = identity.summary.mac;
      if (mac) {
        const auto first = first_of.find(*mac);
        at = by_mac.try_emplace(first == first_of.end() ? *mac : first->second, at).first->second;
      } else if (const auto known = by_name.find(identity.summary.name); known != by_name.end()) {
        at = known->second;
      }
      if (at == summaries.size()) {
        by_name.try_emplace(identity.summary.name, at);
        identity.summary.first_seen = WallTime::max();
        identity.summary.last_seen = WallTime::min();
        summaries.push_back(std::move(identity.summary));
        meant.emplace_back();
        used.emplace_back();
      }
      DeviceSummary& summary = summaries[at];
      if (mac && std::find(summary.macs.begin(), summary.macs.end(), *mac) == summary.macs.end())
        summary.macs.push_back(*mac);
      const Sums& sum = *identity.sums;
      summary.queries += sum.queries;
      summary.intercepted += sum.intercepted;
      summary.not_forwarded += sum.not_forwarded;
      summary.first_seen = std::min(summary.first_seen, WallTime(microseconds(sum.first)));
      summary.last_seen = std::max(summary.last_seen, WallTime(microseconds(sum.last)));
      for (const auto& [id, queries] : sum.destinations)
        if (const auto endpoint = endpoints.find(id); endpoint != endpoints.end())
          meant[at][endpoint->second] += queries;
      for (const auto& [id, last] : sum.clients)
        if (const auto endpoint = endpoints.find(id); endpoint != endpoints.end()) {
          std::int64_t& latest = used[at].try_emplace(endpoint->second.address, last).first->second;
          latest = std::max(latest, last);
        }
    }
    for (std::size_t at = 0; at < summaries.size(); ++at) {
      auto& to = summaries[at].meant_to_ask;
      for (const auto& [endpoint, queries] : meant[at]) to.push_back({endpoint, queries});
      std::sort(to.begin(), to.end(), [](const ForeignResolver& left, const ForeignResolver& right) {
        return left.queries != right.queries ? left.queries > right.queries : left.endpoint < right.endpoint;
      });
      auto& addresses = summaries[at].addresses;
      for (const auto& [address, last] : used[at]) addresses.push_back(address);
      std::stable_sort(addresses.begin(), addresses.end(), [&](const IpAddress& left, const IpAddress& right) {
        return used[at].at(left) > used[at].at(right);
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

std::uint64_t LogReader::segments_read() const {
  return impl_->segments_read;
}

Result<std::uint64_t, DatabaseFault> LogReader::read_alike(
    const LogFilter& filter, const SlotOf& slot_of, const std::function<bool(const LogRow&, std::uint64_t)>& take) {
  return impl_->read_alike(filter, slot_of, take);
}

Result<ListHits, DatabaseFault> LogReader::list_hits() {
  return impl_->list_hits();
}

Result<std::vector<DeviceSummary>, DatabaseFault> LogReader::devices(
    const std::vector<std::vector<device::MacAddress>>& same) {
  return impl_->devices(same);
}

Result<KnownNames, DatabaseFault> LogReader::known_names() {
  return impl_->known_names();
}

Result<std::vector<Stay>, DatabaseFault> LogReader::history(const std::string& name,
                                                            const std::vector<device::MacAddress>& macs) {
  return impl_->history(name, macs);
}

}  // namespace doline::querylog

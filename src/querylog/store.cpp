#include "querylog/store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "querylog/schema.h"

namespace doline::querylog {

namespace {

constexpr milliseconds writing_patience{500};
constexpr std::size_t cached_names_max = 200'000;
constexpr std::size_t cached_answers_max = 200'000;
constexpr std::size_t cached_endpoints_max = 50'000;
constexpr std::size_t cached_texts_max = 10'000;
constexpr int tries_max = 1'000;               // microseconds looked at for one that is free
constexpr std::int64_t sweep_ids = 2'000;      // a step
constexpr std::uint64_t row_octets = 256;      // seldom more, with all that only this row names
constexpr std::int64_t free_pages_kept = 256;  // room for what comes next
constexpr std::int64_t free_pages_step = 512;
// 16 MiB: the same hot pages are then copied into the file rarely, which is what wears a memory card.
constexpr const char* connection_settings = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 4096;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
PRAGMA secure_delete = FAST;
)";

// `if (auto failed = ...)` for a chain of steps that all return Result<void, DatabaseFault>.
#define DOLINE_TRY(step)                                      \
  do {                                                        \
    if (auto done = (step); !done) return fail(done.error()); \
  } while (false)

std::span<const std::uint8_t> octets_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void bind_id(Statement& statement, int position, std::int64_t id) {
  if (id != 0)
    statement.bind(position, id);
  else
    statement.bind_null(position);
}

}  // namespace

Result<std::unique_ptr<Store>, DatabaseFault> Store::open(const std::filesystem::path& file, milliseconds check_time) {
  auto store = std::unique_ptr<Store>(new Store);
  auto database = Database::open(file, Database::Access::write, writing_patience);
  if (!database) return fail(database.error());
  store->database_ = std::move(*database);
  DOLINE_TRY(create_or_check_schema(store->database_));
  DOLINE_TRY(store->database_.execute(connection_settings));
  {
    store->database_.limit_time(check_time);
    auto look = store->database_.prepare("PRAGMA quick_check(1)");
    if (!look) return fail(look.error());
    const auto row = look->step();
    if (!row) return fail(row.error());
    if (*row && look->text(0) != "ok") return fail(DatabaseFault::corrupt);
    store->database_.limit_time(milliseconds::zero());
  }
  DOLINE_TRY(store->prepare());
  auto secret = store->database_.prepare("SELECT octets FROM secret WHERE id = 1");
  if (!secret) return fail(secret.error());
  const auto row = secret->step();
  if (!row) return fail(row.error());
  if (!*row || secret->octets(0).size() != store->secret_.size()) return fail(DatabaseFault::corrupt);
  std::memcpy(store->secret_.data(), secret->octets(0).data(), store->secret_.size());
  secret->reset();
  const auto last = store->database_.integer("SELECT coalesce(max(ts), 0) FROM query");
  if (!last) return fail(last.error());
  store->last_ts_ = *last;
  const auto oldest = store->database_.integer("SELECT coalesce(min(ts), 0) FROM query");
  if (!oldest) return fail(oldest.error());
  store->oldest_hour_ = hour_of(*oldest);
  return store;
}

Store::~Store() {
  if (!database_.is_open()) return;
  roll_back();
  shrink_wal();
}

Result<void, DatabaseFault> Store::prepare() {
  const std::pair<Statement*, const char*> statements[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&data_version_, "PRAGMA data_version"},
      {&insert_row_,
       "INSERT OR IGNORE INTO query VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
       "?18, ?19, ?20)"},
      {&find_device_,
       "SELECT id FROM device WHERE name IS ?1 AND mac IS ?2 AND vendor IS ?3 AND hostname IS ?4 AND groups IS ?5"},
      {&insert_device_, "INSERT INTO device(name, mac, vendor, hostname, groups) VALUES(?1, ?2, ?3, ?4, ?5)"},
      {&find_endpoint_, "SELECT id, last_hour FROM endpoint WHERE address = ?1 AND port = ?2"},
      {&insert_endpoint_, "INSERT INTO endpoint(address, port, last_hour) VALUES(?1, ?2, ?3)"},
      {&date_endpoint_, "UPDATE endpoint SET last_hour = max(last_hour, ?2) WHERE id = ?1"},
      {&find_name_, "SELECT id FROM name WHERE key = ?1"},
      {&insert_name_, "INSERT INTO name(key) VALUES(?1)"},
      {&insert_name_hour_, "INSERT OR IGNORE INTO name_hour VALUES(?1, ?2)"},
      {&find_text_, "SELECT id FROM text WHERE text = ?1"},
      {&insert_text_, "INSERT INTO text(text) VALUES(?1)"},
      {&find_answer_, "SELECT id FROM answer WHERE hash = ?1 AND name = ?2 AND octets = ?3"},
      {&insert_answer_, "INSERT INTO answer(hash, name, first_hour, last_hour, octets) VALUES(?1, ?2, ?3, ?3, ?4)"},
      {&date_answer_,
       "UPDATE answer SET first_hour = min(first_hour, ?2), last_hour = max(last_hour, ?2) WHERE id = ?1"},
      {&insert_answer_address_, "INSERT OR IGNORE INTO answer_address VALUES(?1, ?2)"},
      {&add_device_hour_,
       "INSERT INTO device_hour VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET "
       "queries = queries + excluded.queries, first = min(first, excluded.first), last = max(last, excluded.last)"},
      {&add_destination_hour_,
       "INSERT INTO destination_hour VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET queries = queries + "
       "excluded.queries"},
      {&add_client_hour_,
       "INSERT INTO client_hour VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET hour = max(hour, excluded.hour)"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = database_.prepare(sql);
    if (!prepared) return fail(prepared.error());
    *statement = std::move(*prepared);
  }
  return {};
}

Result<void, DatabaseFault> Store::begin() {
  DOLINE_TRY(begin_.run());
  // Another process (`doline log forget`) may have taken away what the caches remember.
  const auto row = data_version_.step();
  if (!row) return fail(row.error());
  const std::int64_t version = *row ? data_version_.integer(0) : 0;
  data_version_.reset();
  if (std::exchange(known_data_version_, version) != version) forget_caches();
  return {};
}

Result<std::int64_t, DatabaseFault> Store::device(const Identity& identity) {
  const auto bind = [&](Statement& statement) {
    const auto text = [&](int position, const std::string& value) {
      if (value.empty())
        statement.bind_null(position);
      else
        statement.bind(position, std::string_view(value));
    };
    text(1, identity.name);
    if (identity.mac)
      statement.bind(2, std::span<const std::uint8_t>(identity.mac->octets));
    else
      statement.bind_null(2);
    text(3, identity.vendor);
    text(4, identity.hostname);
    text(5, identity.groups);
  };
  bind(find_device_);
  const auto found = find_device_.step();
  if (!found) return fail(found.error());
  const std::int64_t id = *found ? find_device_.integer(0) : 0;
  find_device_.reset();
  if (id != 0) return id;
  bind(insert_device_);
  DOLINE_TRY(insert_device_.run());
  return database_.last_row_id();
}

Result<std::int64_t, DatabaseFault> Store::endpoint(const Endpoint& endpoint, std::int64_t hour) {
  const auto octets = endpoint.address.octets();
  std::string key(reinterpret_cast<const char*>(octets.data()), octets.size());
  key += static_cast<char>(endpoint.port >> 8);
  key += static_cast<char>(endpoint.port & 0xff);
  if (endpoints_.size() >= cached_endpoints_max) endpoints_.clear();
  Dated& known = endpoints_[key];
  if (known.id == 0) {
    find_endpoint_.bind(1, octets).bind(2, std::int64_t{endpoint.port});
    const auto found = find_endpoint_.step();
    if (!found) return fail(found.error());
    if (*found) known = {find_endpoint_.integer(0), find_endpoint_.integer(1)};
    find_endpoint_.reset();
    if (!*found) {
      insert_endpoint_.bind(1, octets).bind(2, std::int64_t{endpoint.port}).bind(3, hour);
      DOLINE_TRY(insert_endpoint_.run());
      known = {database_.last_row_id(), hour};
    }
  }
  if (known.hour < hour) {
    DOLINE_TRY(date_endpoint_.bind(1, known.id).bind(2, hour).run());
    known.hour = hour;
  }
  return known.id;
}

Result<std::int64_t, DatabaseFault> Store::name(const dns::Name& name, std::int64_t hour) {
  std::string key = to_name_key(name);
  if (names_.size() >= cached_names_max) names_.clear();
  const auto [place, is_new] = names_.try_emplace(std::move(key));
  Dated& known = place->second;
  if (is_new) known.hour = INT64_MIN;
  if (known.id == 0) {
    const auto octets = octets_of(place->first);
    find_name_.bind(1, octets);
    const auto found = find_name_.step();
    if (!found) return fail(found.error());
    if (*found) known.id = find_name_.integer(0);
    find_name_.reset();
    if (!*found) {
      DOLINE_TRY(insert_name_.bind(1, octets).run());
      known.id = database_.last_row_id();
    }
  }
  if (known.hour != hour) {  // not `<`: a late record may belong to the hour before
    DOLINE_TRY(insert_name_hour_.bind(1, known.id).bind(2, hour).run());
    known.hour = hour;
  }
  return known.id;
}

Result<std::int64_t, DatabaseFault> Store::text(std::string_view text) {
  if (texts_.size() >= cached_texts_max) texts_.clear();
  std::int64_t& id = texts_[std::string(text)];
  if (id != 0) return id;
  find_text_.bind(1, text);
  const auto found = find_text_.step();
  if (!found) return fail(found.error());
  if (*found) id = find_text_.integer(0);
  find_text_.reset();
  if (!*found) {
    DOLINE_TRY(insert_text_.bind(1, text).run());
    id = database_.last_row_id();
  }
  return id;
}

Result<std::int64_t, DatabaseFault> Store::answer(std::int64_t name, dns::Octets octets, std::int64_t hour) {
  // Keyed with a secret of this file, so that nobody who chooses answers can make two of them look alike in the cache.
  dns::SipKey key = secret_;
  for (int i = 0; i < 8; ++i) key[static_cast<std::size_t>(i)] ^= static_cast<std::uint8_t>(name >> (8 * i));
  const std::uint64_t hash = dns::siphash(key, octets);
  if (answers_.size() >= cached_answers_max) answers_.clear();
  Dated& known = answers_[hash];
  if (known.id == 0) {
    find_answer_.bind(1, static_cast<std::int64_t>(hash)).bind(2, name).bind(3, octets);
    const auto found = find_answer_.step();
    if (!found) return fail(found.error());
    if (*found) known = {find_answer_.integer(0), INT64_MIN};
    find_answer_.reset();
    if (!*found) {
      insert_answer_.bind(1, static_cast<std::int64_t>(hash)).bind(2, name).bind(3, hour).bind(4, octets);
      DOLINE_TRY(insert_answer_.run());
      known = {database_.last_row_id(), hour};
      for (const IpAddress& address : answer_addresses(octets))
        DOLINE_TRY(insert_answer_address_.bind(1, address.octets()).bind(2, known.id).run());
    }
  }
  if (known.hour != hour) {
    DOLINE_TRY(date_answer_.bind(1, known.id).bind(2, hour).run());
    known.hour = hour;
  }
  return known.id;
}

Result<void, DatabaseFault> Store::insert(const Row& row) {
  const Record& record = *row.record;
  Statement& into = insert_row_;
  into.bind(2, row.device);
  bind_id(into, 3, row.client);
  bind_id(into, 4, row.destination);
  into.bind(5, static_cast<std::int64_t>(record.destination.source));
  into.bind(6, static_cast<std::int64_t>(record.transport));
  into.bind(7, row.name);
  into.bind(8, static_cast<std::int64_t>(record.qtype));
  into.bind(9, static_cast<std::int64_t>(record.verdict));
  bind_id(into, 10, row.rule);
  bind_id(into, 11, row.lists);
  if (record.has_observed)
    into.bind(12, static_cast<std::int64_t>(record.observed));
  else
    into.bind_null(12);
  bind_id(into, 13, row.observed_rule);
  into.bind(14, static_cast<std::int64_t>(record.source));
  into.bind(15, static_cast<std::int64_t>(record.code));
  bind_id(into, 16, row.answer);
  if (row.answer != 0)
    into.bind(17, std::int64_t{row.ttl});
  else
    into.bind_null(17);
  bind_id(into, 18, row.upstream);
  into.bind(19, std::int64_t{record.latency_us});
  into.bind(20, static_cast<std::int64_t>(record.dnssec));
  // Two queries of one microsecond: the later one moves on to the next that is free. A worker reads the clock once for
  // a whole batch, and rows come in order of time, so the place behind the row before is the first worth a try.
  std::int64_t ts = row.ts;
  if (stretch_begin_ <= row.ts && row.ts <= stretch_end_)
    ts = stretch_end_ + 1;
  else
    stretch_begin_ = row.ts;
  for (int tries = 1;; ++ts, ++tries) {
    DOLINE_TRY(into.bind(1, ts).run());
    if (database_.changes() == 1) break;
    if (tries == tries_max && ts < last_ts_) stretch_begin_ = ts = last_ts_;  // a late row in a stretch that is full
  }
  stretch_end_ = ts;
  last_ts_ = std::max(last_ts_, ts);
  const std::int64_t hour = hour_of(ts);
  if (hour != hour_of(row.ts)) {  // moved on into the next hour, in which its entries must then be found too
    DOLINE_TRY(insert_name_hour_.bind(1, row.name).bind(2, hour).run());
    if (row.answer != 0) DOLINE_TRY(date_answer_.bind(1, row.answer).bind(2, hour).run());
    for (const std::int64_t id : {row.client, row.destination, row.upstream})
      if (id != 0) DOLINE_TRY(date_endpoint_.bind(1, id).bind(2, hour).run());
  }
  if (oldest_hour_ == 0 || hour < oldest_hour_) oldest_hour_ = hour;
  const bool is_intercepted = record.destination.is_intercepted();
  Count& count = device_hours_[{row.device, hour, static_cast<int>(record.verdict), is_intercepted ? 1 : 0}];
  if (count.queries++ == 0) count.first = count.last = ts;
  count.first = std::min(count.first, ts);
  count.last = std::max(count.last, ts);
  if (row.destination != 0) ++destination_hours_[{row.device, hour, row.destination}];
  if (row.client != 0) {
    std::int64_t& latest = client_hours_[{row.device, row.client}];
    latest = std::max(latest, hour);
  }
  return {};
}

Result<void, DatabaseFault> Store::write_rollups() {
  for (const auto& [key, count] : device_hours_) {
    const auto& [device, hour, verdict, intercepted] = key;
    add_device_hour_.bind(1, device).bind(2, hour).bind(3, std::int64_t{verdict}).bind(4, std::int64_t{intercepted});
    DOLINE_TRY(add_device_hour_.bind(5, count.queries).bind(6, count.first).bind(7, count.last).run());
  }
  for (const auto& [key, queries] : destination_hours_) {
    const auto& [device, hour, destination] = key;
    DOLINE_TRY(add_destination_hour_.bind(1, device).bind(2, hour).bind(3, destination).bind(4, queries).run());
  }
  for (const auto& [key, hour] : client_hours_)
    DOLINE_TRY(add_client_hour_.bind(1, key.first).bind(2, key.second).bind(3, hour).run());
  device_hours_.clear();
  destination_hours_.clear();
  client_hours_.clear();
  return {};
}

Result<void, DatabaseFault> Store::commit() {
  DOLINE_TRY(write_rollups());
  return commit_.run();
}

void Store::roll_back() {
  for (Statement* statement : {&begin_,           &commit_,
                               &data_version_,    &insert_row_,
                               &find_device_,     &insert_device_,
                               &find_endpoint_,   &insert_endpoint_,
                               &date_endpoint_,   &find_name_,
                               &insert_name_,     &insert_name_hour_,
                               &find_text_,       &insert_text_,
                               &find_answer_,     &insert_answer_,
                               &date_answer_,     &insert_answer_address_,
                               &add_device_hour_, &add_destination_hour_,
                               &add_client_hour_})
    statement->reset();
  if (database_.in_transaction()) (void)database_.execute("ROLLBACK");
  forget_caches();
}

void Store::forget_caches() {
  ++epoch_;
  stretch_begin_ = 0;
  stretch_end_ = -1;
  names_.clear();
  endpoints_.clear();
  answers_.clear();
  texts_.clear();
  device_hours_.clear();
  destination_hours_.clear();
  client_hours_.clear();
}

Result<Extent, DatabaseFault> Store::extent() {
  Extent extent;
  const auto pages = database_.integer("PRAGMA page_count");
  if (!pages) return fail(pages.error());
  const auto free = database_.integer("PRAGMA freelist_count");
  if (!free) return fail(free.error());
  const auto page = database_.integer("PRAGMA page_size");
  if (!page) return fail(page.error());
  const auto oldest = database_.integer("SELECT coalesce(min(ts), 0) FROM query");
  if (!oldest) return fail(oldest.error());
  extent.octets = static_cast<std::uint64_t>(*pages * *page);
  extent.used_octets = static_cast<std::uint64_t>((*pages - *free) * *page);
  extent.oldest = *oldest;
  return extent;
}

Result<std::int64_t, DatabaseFault> Store::retire_rows(std::int64_t cutoff, std::uint64_t octets_max,
                                                       std::int64_t rows_max) {
  const auto now = extent();
  if (!now) return fail(now.error());
  // While entries of rows that have gone are still being looked for, nobody knows yet how much too large the file is.
  if (now->used_octets > octets_max && sweep_ == Sweep::none) {
    cutoff = INT64_MAX;
    rows_max = std::min(rows_max, static_cast<std::int64_t>((now->used_octets - octets_max) / row_octets) + 1);
  }
  // The row behind the last one to go, so that one step is one range at the old end of the table.
  auto boundary = database_.prepare("SELECT ts FROM query WHERE ts < ?1 ORDER BY ts LIMIT 1 OFFSET ?2");
  if (!boundary) return fail(boundary.error());
  const auto found = boundary->bind(1, cutoff).bind(2, rows_max).step();
  if (!found) return fail(found.error());
  const std::int64_t until = *found ? boundary->integer(0) : cutoff;
  boundary->reset();
  auto take = database_.prepare("DELETE FROM query WHERE ts < ?1");
  if (!take) return fail(take.error());
  DOLINE_TRY(take->bind(1, until).run());
  return database_.changes();
}

Result<bool, DatabaseFault> Store::retire(std::int64_t cutoff, std::uint64_t octets_max, std::int64_t rows_max) {
  DOLINE_TRY(begin());
  const bool was_sweeping = sweep_ != Sweep::none;
  const auto rows = retire_rows(cutoff, octets_max, rows_max);
  if (!rows) return fail(rows.error());
  if (*rows > 0) {
    const auto oldest = database_.integer("SELECT coalesce(min(ts), 0) FROM query");
    if (!oldest) return fail(oldest.error());
    const std::int64_t hour = *oldest != 0 ? hour_of(*oldest) : hour_of(last_ts_) + 1;
    if (hour > oldest_hour_) {
      oldest_hour_ = hour;
      for (const char* sql : {"DELETE FROM device_hour WHERE hour < ?1", "DELETE FROM destination_hour WHERE hour < ?1",
                              "DELETE FROM client_hour WHERE hour < ?1"}) {
        auto take = database_.prepare(sql);
        if (!take) return fail(take.error());
        DOLINE_TRY(take->bind(1, hour).run());
      }
      sweep_ = Sweep::names;
      sweep_at_ = 0;
    }
  }
  const auto has_more_garbage = collect_garbage(std::max(sweep_ids, rows_max));
  if (!has_more_garbage) return fail(has_more_garbage.error());
  DOLINE_TRY(commit_.run());
  const auto free = database_.integer("PRAGMA freelist_count");
  if (!free) return fail(free.error());
  if (*free > free_pages_kept)
    DOLINE_TRY(database_.execute("PRAGMA incremental_vacuum(" + std::to_string(free_pages_step) + ")"));
  return *rows > 0 || was_sweeping || *has_more_garbage || *free > free_pages_kept;
}

Result<bool, DatabaseFault> Store::collect_garbage(std::int64_t ids_max) {
  if (sweep_ == Sweep::none) return false;
  // Nothing of an entry's last hour is left in `query` once that hour has retired.
  const char* table = sweep_ == Sweep::names       ? "name"
                      : sweep_ == Sweep::answers   ? "answer"
                      : sweep_ == Sweep::endpoints ? "endpoint"
                                                   : "device";
  const auto last = database_.integer(std::string("SELECT coalesce(max(id), 0) FROM ") + table);
  if (!last) return fail(last.error());
  const std::int64_t from = sweep_at_, to = sweep_at_ + ids_max;
  std::vector<std::string> steps;
  switch (sweep_) {
    case Sweep::none:
      break;
    case Sweep::names:
      steps = {"DELETE FROM name_hour WHERE name > ?1 AND name <= ?2 AND hour < ?3",
               "DELETE FROM name WHERE id > ?1 AND id <= ?2 AND NOT EXISTS(SELECT 1 FROM name_hour WHERE name = id AND "
               "hour >= ?3)"};
      break;
    case Sweep::answers: {
      auto old = database_.prepare("SELECT id, octets FROM answer WHERE id > ?1 AND id <= ?2 AND last_hour < ?3");
      auto take = database_.prepare("DELETE FROM answer_address WHERE address = ?1 AND answer = ?2");
      if (!old) return fail(old.error());
      if (!take) return fail(take.error());
      old->bind(1, from).bind(2, to).bind(3, oldest_hour_);
      for (;;) {
        const auto row = old->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        for (const IpAddress& address : answer_addresses(old->octets(1)))
          DOLINE_TRY(take->bind(1, address.octets()).bind(2, old->integer(0)).run());
      }
      steps = {"DELETE FROM answer WHERE id > ?1 AND id <= ?2 AND last_hour < ?3"};
      break;
    }
    case Sweep::endpoints:
      steps = {"DELETE FROM endpoint WHERE id > ?1 AND id <= ?2 AND last_hour < ?3"};
      break;
    case Sweep::devices:
      steps = {
          "DELETE FROM device WHERE id > ?1 AND id <= ?2 AND NOT EXISTS(SELECT 1 FROM device_hour WHERE device = id "
          "AND hour >= ?3)"};
      break;
  }
  int gone = 0;
  for (const std::string& sql : steps) {
    auto take = database_.prepare(sql);
    if (!take) return fail(take.error());
    DOLINE_TRY(take->bind(1, from).bind(2, to).bind(3, oldest_hour_).run());
    gone += database_.changes();
  }
  if (gone > 0) forget_caches();
  sweep_at_ = to;
  if (sweep_at_ >= *last) {
    sweep_at_ = 0;
    sweep_ = sweep_ == Sweep::devices ? Sweep::none : static_cast<Sweep>(static_cast<int>(sweep_) + 1);
  }
  return sweep_ != Sweep::none;
}

void Store::shrink_wal() {
  (void)database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace doline::querylog

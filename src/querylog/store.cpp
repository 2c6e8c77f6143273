#include "querylog/store.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "querylog/old_rows.h"
#include "querylog/schema.h"

namespace doline::querylog {

namespace {

constexpr milliseconds writing_patience{500};
constexpr std::size_t cached_max = 1 << 16;   // endpoints, texts
constexpr std::int64_t recalled = 1 << 15;    // names, answers, of a log that is opened
constexpr std::size_t gathered_at = 32;       // so many segments of one level become one of the next
constexpr std::int64_t sweep_segments = 64;   // looked at in a step
constexpr std::int64_t sweep_ids = 4'000;     // a step
constexpr std::size_t retired_flows = 1'000;  // taken away in the place of a segment
constexpr std::size_t sweep_after = 32;       // when a 32nd of the segments has gone
constexpr const char* count_sealed = "SELECT count(*) FROM segment WHERE level = 9";
constexpr const char* count_name_indexes =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'name'";
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
  DOLINE_TRY(store->look_at_segments());
  auto secret = store->database_.prepare("SELECT randomblob(16)");
  if (!secret) return fail(secret.error());
  const auto row = secret->step();
  if (!row) return fail(row.error());
  check(*row && secret->octets(0).size() == store->secret_.size());
  std::memcpy(store->secret_.data(), secret->octets(0).data(), store->secret_.size());
  secret->reset();
  const auto has_old_rows = querylog::has_old_rows(store->database_);
  if (!has_old_rows) return fail(has_old_rows.error());
  store->has_old_rows_ = *has_old_rows;
  if (store->has_old_rows_) store->next_number_ = std::max(store->next_number_, number_behind_old_rows);
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
      {&oldest_, "SELECT first FROM segment ORDER BY number LIMIT 1"},
      {&find_device_,
       "SELECT id FROM device WHERE name IS ?1 AND mac IS ?2 AND vendor IS ?3 AND hostname IS ?4 AND groups IS ?5"},
      {&insert_device_, "INSERT INTO device(name, mac, vendor, hostname, groups) VALUES(?1, ?2, ?3, ?4, ?5)"},
      {&find_endpoint_, "SELECT id FROM endpoint WHERE address = ?1 AND port = ?2"},
      {&insert_endpoint_, "INSERT INTO endpoint(address, port) VALUES(?1, ?2)"},
      {&find_name_, "SELECT id FROM name WHERE key = ?1"},
      {&find_text_, "SELECT id FROM text WHERE text = ?1"},
      {&insert_text_, "INSERT INTO text(text) VALUES(?1)"},
      {&prolong_presence_,
       "UPDATE presence SET last = max(last, ?3) "
       "WHERE device = ?1 AND client = ?2 AND first <= ?3 AND last >= ?3 - ?4"},
      {&insert_presence_, "INSERT OR IGNORE INTO presence(device, client, first, last) VALUES(?1, ?2, ?3, ?3)"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = database_.prepare(sql);
    if (!prepared) return fail(prepared.error());
    *statement = std::move(*prepared);
  }
  auto names = EntryTable::open(database_, "name", "key");
  if (!names) return fail(names.error());
  new_names_ = std::move(*names);
  auto answers = EntryTable::open(database_, "answer", "octets");
  if (!answers) return fail(answers.error());
  new_answers_ = std::move(*answers);
  const auto name_indexes = database_.integer(count_name_indexes);
  if (!name_indexes) return fail(name_indexes.error());
  has_name_index_ = *name_indexes != 0;
  auto table = SegmentTable::open(database_);
  if (!table) return fail(table.error());
  segments_ = std::move(*table);
  auto flows = FlowTable::open(database_);
  if (!flows) return fail(flows.error());
  flows_ = std::move(*flows);
  return {};
}

/// Another process may have taken rows out of them.
Result<void, DatabaseFault> Store::look_at_segments() {
  auto unsealed = segments_.unsealed();
  if (!unsealed) return fail(unsealed.error());
  unsealed_ = std::move(*unsealed);
  const auto end = segments_.end();
  if (!end) return fail(end.error());
  next_number_ = std::max(next_number_, *end);
  return {};
}

Result<void, DatabaseFault> Store::begin() {
  DOLINE_TRY(begin_.run());
  // Another process (`doline log forget`) may have taken away what is remembered here.
  const auto row = data_version_.step();
  if (!row) return fail(row.error());
  const std::int64_t version = *row ? data_version_.integer(0) : 0;
  data_version_.reset();
  if (std::exchange(known_data_version_, version) != version) {
    forget_caches();
    DOLINE_TRY(look_at_segments());
    const auto has_old_rows = querylog::has_old_rows(database_);
    if (!has_old_rows) return fail(has_old_rows.error());
    has_old_rows_ = *has_old_rows;
  }
  DOLINE_TRY(new_names_.begin());
  DOLINE_TRY(new_answers_.begin());
  return remembers_newest_ ? Result<void, DatabaseFault>{} : remember_newest();
}

// ── dictionaries ─────────────────────────────────────────────────────────────────────────────────────────────────────

std::uint32_t Store::mark(Dictionary dictionary, std::uint32_t id) {
  if (sweep_ == Sweep::none) return id;
  auto& marked = marked_[dictionary];
  if (id >= marked.size()) marked.resize(std::max<std::size_t>(marked.size() * 2, id + std::size_t{1}));
  marked[id] = true;
  return id;
}

Store::Id Store::found_id(Dictionary dictionary, Statement& find) {
  const ResetAtEnd reset(find);
  const auto found = find.step();
  if (!found) return fail(found.error());
  if (!*found) return 0;
  const std::int64_t id = find.integer(0);
  if (id < 1 || id > UINT32_MAX) return fail(DatabaseFault::corrupt);
  return mark(dictionary, static_cast<std::uint32_t>(id));
}

Store::Id Store::inserted_id(Dictionary dictionary, const Statement& insert) {
  const std::int64_t id = insert.last_row_id();
  if (id < 1 || id > UINT32_MAX) return fail(DatabaseFault::corrupt);
  return mark(dictionary, static_cast<std::uint32_t>(id));
}

std::uint64_t Store::hash_of(const dns::Name& name) const {
  const std::uint64_t hash = dns::siphash_13(secret_, name.lowered().wire());
  names_.prefetch(hash);
  return hash;
}

std::uint64_t Store::hash_of(dns::Octets answer) const {
  const std::uint64_t hash = dns::siphash_13(secret_, answer);
  answers_.prefetch(hash);
  return hash;
}

/// No index leads to names by their keys or to answers by their octets: every new one would change a page of it
/// somewhere, at many times the cost of the entry itself. Those that are likely to come again are remembered instead.
Result<void, DatabaseFault> Store::remember_newest() {
  const std::tuple<Dictionary, IdMemory*, const char*> all[] = {
      {names, &names_, "SELECT id, key FROM name ORDER BY id DESC LIMIT ?1"},
      {answers, &answers_, "SELECT id, octets FROM answer ORDER BY id DESC LIMIT ?1"}};
  for (const auto& [dictionary, memory, sql] : all) {
    auto newest = database_.prepare(sql);
    if (!newest) return fail(newest.error());
    newest->bind(1, recalled);
    for (;;) {
      const auto row = newest->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      const std::int64_t id = newest->integer(0);
      if (id < 1 || id > UINT32_MAX) return fail(DatabaseFault::corrupt);
      const std::uint64_t hash =
          dictionary == names ? hash_of(from_name_key(newest->text(1))) : hash_of(newest->octets(1));
      if (memory->find(hash) == 0) memory->put(hash, static_cast<std::uint32_t>(id));
    }
  }
  remembers_newest_ = true;
  return {};
}

Store::Id Store::device(const Identity& identity) {
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
  const auto found = found_id(devices, find_device_);
  if (!found || *found != 0) return found;
  bind(insert_device_);
  DOLINE_TRY(insert_device_.run());
  return inserted_id(devices, insert_device_);
}

Store::Id Store::endpoint(const Endpoint& endpoint) {
  const auto octets = endpoint.address.octets();
  if (endpoints_.size() >= cached_max) endpoints_.clear();
  std::uint32_t& id = endpoints_[endpoint];
  if (id != 0) return mark(endpoints, id);
  find_endpoint_.bind(1, octets).bind(2, std::int64_t{endpoint.port});
  auto found = found_id(endpoints, find_endpoint_);
  if (found && *found == 0) {
    DOLINE_TRY(insert_endpoint_.bind(1, octets).bind(2, std::int64_t{endpoint.port}).run());
    found = inserted_id(endpoints, insert_endpoint_);
  }
  if (found) id = *found;
  return found;
}

Store::Id Store::name(const dns::Name& name, std::uint64_t hash) {
  if (const std::uint32_t id = names_.find(hash); id != 0) return mark(names, id);
  const std::string key = to_name_key(name);
  Id found = 0;
  if (has_name_index_) {  // an old log's, in which no two names are alike
    DOLINE_TRY(new_names_.put());
    find_name_.bind(1, octets_of(key));
    found = found_id(names, find_name_);
  }
  if (found && *found == 0) found = new_names_.add(octets_of(key));
  if (found) names_.put(hash, mark(names, *found));
  return found;
}

Store::Id Store::text(std::string_view text) {
  if (texts_.size() >= cached_max) texts_.clear();
  std::uint32_t& id = texts_[std::string(text)];
  if (id != 0) return mark(texts, id);
  find_text_.bind(1, text);
  auto found = found_id(texts, find_text_);
  if (found && *found == 0) {
    DOLINE_TRY(insert_text_.bind(1, text).run());
    found = inserted_id(texts, insert_text_);
  }
  if (found) id = *found;
  return found;
}

Store::Id Store::answer(dns::Octets octets, std::uint64_t hash) {
  if (const std::uint32_t id = answers_.find(hash); id != 0) return mark(answers, id);
  const Id added = new_answers_.add(octets);
  if (added) answers_.put(hash, mark(answers, *added));
  return added;
}

// ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Row::Row(const Record& record) : time(record.time.time_since_epoch().count()) {
  const auto put = [this](Column column, auto value) { (*this)[column] = static_cast<std::uint32_t>(value); };
  put(Column::qtype, record.qtype);
  put(Column::verdict, record.verdict);
  put(Column::destination_source, record.destination.source);
  put(Column::transport, record.transport);
  put(Column::observed, record.has_observed ? static_cast<int>(record.observed) + 1 : 0);
  put(Column::source, record.source);
  put(Column::rcode, record.code);
  put(Column::latency_us, record.latency_us);
  put(Column::dnssec, record.dnssec);
  put(Column::withheld, record.is_withheld);
}

Result<void, DatabaseFault> Store::insert(const Row& row) {
  rows_.add(row.time, row.values);
  return rows_.rows() < segment_rows ? Result<void, DatabaseFault>{} : put_rows();
}

/// As a segment, with those before them that it is time to gather.
Result<void, DatabaseFault> Store::put_rows() {
  std::size_t unsealed = rows_.rows();
  for (const SegmentTable::Entry& entry : unsealed_) {
    if (entry.rows < 0 || entry.rows > static_cast<std::int64_t>(segment_rows_max)) return fail(DatabaseFault::corrupt);
    unsealed += static_cast<std::size_t>(entry.rows);
  }
  if (unsealed > segment_rows_max) return fail(DatabaseFault::corrupt);  // who writes does not let them grow so far
  std::size_t from = unsealed_.size();
  int level = 0;
  if (unsealed >= segment_rows) {
    from = 0;
    level = level_sealed;
  } else {
    for (;; ++level) {
      std::size_t begin = from;
      while (begin > 0 && unsealed_[begin - 1].level == level) --begin;
      if (from - begin + 1 < gathered_at || level + 1 == level_sealed) break;
      from = begin;
    }
  }
  SegmentWriter* rows = &rows_;
  if (from < unsealed_.size()) {
    gathered_.clear();
    Segment segment;
    for (std::size_t at = from; at < unsealed_.size(); ++at) {
      const auto found = segments_.read(unsealed_[at].number, segment);
      if (!found) return fail(found.error());
      if (static_cast<std::int64_t>(segment.rows()) != unsealed_[at].rows) return fail(DatabaseFault::corrupt);
      gathered_.add(segment);
      DOLINE_TRY(segments_.remove(unsealed_[at].number));
    }
    gathered_.add(rows_);
    rows = &gathered_;
    unsealed_.resize(from);
  }
  next_number_ += static_cast<std::int64_t>(rows_.rows());
  const auto count = static_cast<std::int64_t>(rows->rows());
  DOLINE_TRY(segments_.insert(next_number_ - count, level, *rows));
  if (level != level_sealed) unsealed_.push_back({next_number_ - count, level, count, rows->first(), rows->last()});
  rows_.clear();
  return {};
}

Result<void, DatabaseFault> Store::note_presence(const Identity& identity, const IpAddress& address,
                                                 std::int64_t seen) {
  const Id device_id = device(identity);
  if (!device_id) return fail(device_id.error());
  const Id client_id = endpoint({address, 0});
  if (!client_id) return fail(client_id.error());
  prolong_presence_.bind(1, std::int64_t{*device_id})
      .bind(2, std::int64_t{*client_id})
      .bind(3, seen)
      .bind(4, presence_gap);
  DOLINE_TRY(prolong_presence_.run());
  if (database_.changes() > 0) return {};
  return insert_presence_.bind(1, std::int64_t{*device_id}).bind(2, std::int64_t{*client_id}).bind(3, seen).run();
}

Result<void, DatabaseFault> Store::commit() {
  if (rows_.rows() > 0) DOLINE_TRY(put_rows());
  DOLINE_TRY(new_names_.put());
  DOLINE_TRY(new_answers_.put());
  return commit_.run();
}

void Store::roll_back() {
  for (Statement* statement :
       {&begin_, &commit_, &data_version_, &oldest_, &find_device_, &insert_device_, &find_endpoint_, &insert_endpoint_,
        &find_name_, &find_text_, &insert_text_, &prolong_presence_, &insert_presence_})
    statement->reset();
  new_names_.reset();
  new_answers_.reset();
  flows_.reset();
  if (database_.in_transaction()) (void)database_.execute("ROLLBACK");
  rows_.clear();
  known_data_version_ = 0;  // so that begin() looks at what there is
  sweep_ = Sweep::none;
  forget_caches();
}

void Store::forget_caches() {
  ++epoch_;
  names_.clear();
  endpoints_.clear();
  answers_.clear();
  remembers_newest_ = false;
  texts_.clear();
}

Result<Extent, DatabaseFault> Store::extent() {
  Extent extent;
  const auto pages = database_.integer("PRAGMA page_count");
  if (!pages) return fail(pages.error());
  const auto free = database_.integer("PRAGMA freelist_count");
  if (!free) return fail(free.error());
  const auto page = database_.integer("PRAGMA page_size");
  if (!page) return fail(page.error());
  const ResetAtEnd reset(oldest_);
  const auto oldest = oldest_.step();
  if (!oldest) return fail(oldest.error());
  extent.octets = static_cast<std::uint64_t>(*pages * *page);
  extent.used_octets = static_cast<std::uint64_t>((*pages - *free) * *page);
  extent.oldest = *oldest ? oldest_.integer(0) : 0;
  const auto oldest_flow = flows_.oldest();
  if (!oldest_flow) return fail(oldest_flow.error());
  if (*oldest_flow != 0 && (extent.oldest == 0 || *oldest_flow < extent.oldest)) extent.oldest = *oldest_flow;
  return extent;
}

std::optional<WallTime> Store::newest() {
  const auto segments = segments_.all();
  if (!segments || segments->empty()) return std::nullopt;
  const SegmentTable::Entry& last = segments->back();
  const bool is_of_a_day = last.last - last.first <= microseconds(std::chrono::hours(24)).count();
  return WallTime(microseconds(is_of_a_day ? last.last : last.first));
}

// ── retention ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// How many segments went or lost rows.
Result<std::size_t, DatabaseFault> Store::retire_segments(std::int64_t cutoff, std::uint64_t octets_max,
                                                          std::size_t segments_max) {
  const std::int64_t at_once = cutoff < INT64_MIN + retired_late_at_most ? cutoff : cutoff - retired_late_at_most;
  auto old = segments_.sealed_before(cutoff, at_once, segments_max);
  if (!old) return fail(old.error());
  for (const SegmentTable::Entry& entry : unsealed_)
    if (old->size() < segments_max && entry.first < cutoff && (entry.last < cutoff || entry.first < at_once))
      old->push_back(entry);
  std::size_t gone = 0;
  for (const SegmentTable::Entry& entry : *old) {
    if (entry.last < cutoff) {
      DOLINE_TRY(segments_.remove(entry.number));
    } else {
      const auto kept = segments_.keep_only(
          entry, [cutoff](const Segment& segment, std::size_t row) { return segment.times()[row] >= cutoff; });
      if (!kept) return fail(kept.error());
    }
    ++gone;
  }
  while (gone < segments_max) {
    const auto flows_gone = flows_.remove_before(cutoff, retired_flows);
    if (!flows_gone) return fail(flows_gone.error());
    if (*flows_gone == 0) break;
    ++gone;
  }
  // What only they had named is found later, and may be more than themselves: nobody knows before that how much too
  // large the file still is.
  const auto sealed = database_.integer(count_sealed);
  if (!sealed) return fail(sealed.error());
  const std::size_t before_sweep = 1 + static_cast<std::size_t>(*sealed) / sweep_after;
  while (sweep_ == Sweep::none && gone < segments_max && retired_since_sweep_ + gone < before_sweep) {
    const auto now = extent();
    if (!now) return fail(now.error());
    if (now->used_octets <= octets_max || now->oldest == 0) break;
    const auto flows_gone = flows_.remove_before(now->oldest + 1, retired_flows);
    if (!flows_gone) return fail(flows_gone.error());
    if (*flows_gone == 0)
      DOLINE_TRY(database_.execute("DELETE FROM segment WHERE number = (SELECT min(number) FROM segment)"));
    ++gone;
  }
  if (gone > 0) DOLINE_TRY(look_at_segments());
  return gone;
}

Result<bool, DatabaseFault> Store::retire(std::int64_t cutoff, std::uint64_t octets_max, std::size_t segments_max) {
  DOLINE_TRY(begin());
  if (has_old_rows_) {
    DOLINE_TRY(move_old_rows(database_, segments_));
    DOLINE_TRY(look_at_segments());
    const auto has_more = querylog::has_old_rows(database_);
    if (!has_more) return fail(has_more.error());
    has_old_rows_ = *has_more;
  }
  const auto gone = retire_segments(cutoff, octets_max, segments_max);
  if (!gone) return fail(gone.error());
  retired_since_sweep_ += *gone;
  DOLINE_TRY(retire_presences(cutoff));
  const bool was_sweeping = sweep_ != Sweep::none;
  DOLINE_TRY(collect_garbage(*gone));
  DOLINE_TRY(commit_.run());
  const auto free = database_.integer("PRAGMA freelist_count");
  if (!free) return fail(free.error());
  if (*free > free_pages_kept)
    DOLINE_TRY(database_.execute("PRAGMA incremental_vacuum(" + std::to_string(free_pages_step) + ")"));
  return has_old_rows_ || *gone > 0 || was_sweeping || sweep_ != Sweep::none || *free > free_pages_kept;
}

/// Once an hour: there are few.
Result<void, DatabaseFault> Store::retire_presences(std::int64_t cutoff) {
  if (cutoff >= presences_retired_to_ && cutoff - presences_retired_to_ < retired_late_at_most) return {};
  presences_retired_to_ = cutoff;
  const auto before = database_.integer("SELECT count(*) FROM presence");
  if (!before) return fail(before.error());
  auto old = database_.prepare("DELETE FROM presence WHERE last < ?1");
  if (!old) return fail(old.error());
  DOLINE_TRY(old->bind(1, cutoff).run());
  std::int64_t gone = database_.changes();
  if (*before - gone > presence_rows_max) {
    auto most = database_.prepare(
        "DELETE FROM presence WHERE (device, client, first) IN "
        "(SELECT device, client, first FROM presence ORDER BY last LIMIT ?1)");
    if (!most) return fail(most.error());
    DOLINE_TRY(most->bind(1, *before - gone - presence_rows_max).run());
    gone += database_.changes();
  }
  if (gone > 0) ++retired_since_sweep_;
  return {};
}

Result<void, DatabaseFault> Store::mark_presences() {
  auto all = database_.prepare("SELECT device, client FROM presence");
  if (!all) return fail(all.error());
  for (;;) {
    const auto row = all->step();
    if (!row) return fail(row.error());
    if (!*row) return {};
    mark(devices, static_cast<std::uint32_t>(all->integer(0)));
    mark(endpoints, static_cast<std::uint32_t>(all->integer(1)));
  }
}

Result<void, DatabaseFault> Store::collect_garbage(std::size_t gone) {
  if (sweep_ == Sweep::mark) return mark_entries();
  if (sweep_ == Sweep::mark_flows) return mark_entries_of_flows();
  if (sweep_ == Sweep::sweep) return sweep_entries();
  // Entries of old rows that have not moved yet are named by no segment.
  if (retired_since_sweep_ == 0 || has_old_rows_) return {};
  // As soon as the retiring has come to a rest, but not for every segment of a log that loses one now and then.
  const auto now = extent();
  if (!now) return fail(now.error());
  const auto sealed = database_.integer(count_sealed);
  if (!sealed) return fail(sealed.error());
  const bool is_due = retired_since_sweep_ * sweep_after > static_cast<std::size_t>(*sealed) || now->oldest == 0 ||
                      now->oldest - oldest_at_sweep_ >= retired_late_at_most;
  if (!is_due || (gone > 0 && retired_since_sweep_ < 64)) return {};
  sweep_ = Sweep::mark;
  swept_to_ = 0;
  retired_since_sweep_ = 0;
  oldest_at_sweep_ = now->oldest;
  for (auto& marked : marked_) marked.clear();
  forget_caches();  // so that all that is used from here on is asked for, and marked
  return mark_presences();
}

/// What some segments name.
Result<void, DatabaseFault> Store::mark_entries() {
  constexpr std::pair<Column, Dictionary> ids[] = {
      {Column::device, devices},     {Column::client, endpoints}, {Column::destination, endpoints},
      {Column::upstream, endpoints}, {Column::name, names},       {Column::answer, answers},
      {Column::rule, texts},         {Column::lists, texts},      {Column::observed_rule, texts}};
  auto next = database_.prepare("SELECT number, head FROM segment WHERE number > ?1 ORDER BY number LIMIT ?2");
  if (!next) return fail(next.error());
  next->bind(1, swept_to_).bind(2, sweep_segments);
  Segment segment;
  for (std::int64_t count = 0;; ++count) {
    const auto row = next->step();
    if (!row) return fail(row.error());
    if (!*row) {
      if (count == sweep_segments) return {};
      break;
    }
    swept_to_ = next->integer(0);
    if (!segment.read_head(next->octets(1))) return fail(DatabaseFault::corrupt);
    for (const auto& [column, dictionary] : ids)
      for (const std::uint32_t id : segment.set(column)) mark(dictionary, id);
  }
  sweep_ = Sweep::mark_flows;
  swept_to_ = 0;
  return {};
}

Result<void, DatabaseFault> Store::mark_entries_of_flows() {
  const auto last = flows_.ids_behind(swept_to_, sweep_ids, [this](const FlowEntry& entry) {
    mark(devices, entry.device);
    mark(endpoints, entry.client);
    mark(endpoints, entry.destination);
    mark(names, entry.name);
    mark(texts, entry.interface);
  });
  if (!last) return fail(last.error());
  swept_to_ = last->value_or(0);
  if (*last) return {};
  sweep_ = Sweep::sweep;
  swept_ = devices;
  return {};
}

/// Takes some away. What is remembered of devices and others has been asked for since the sweep began, and so is
/// marked; of names and answers it may be what goes.
Result<void, DatabaseFault> Store::sweep_entries() {
  constexpr const char* tables[dictionaries] = {"device", "endpoint", "name", "text", "answer"};
  constexpr const char* remembered_by[dictionaries] = {"", "", ", key", "", ", octets"};
  const std::string table = tables[swept_];
  auto next = database_.prepare(std::string("SELECT id") + remembered_by[swept_] + " FROM " + table +
                                " WHERE id > ?1 ORDER BY id LIMIT ?2");
  auto take = database_.prepare("DELETE FROM " + table + " WHERE id = ?1");
  if (!next) return fail(next.error());
  if (!take) return fail(take.error());
  next->bind(1, swept_to_).bind(2, sweep_ids);
  const auto& marked = marked_[swept_];
  std::vector<std::int64_t> unnamed;
  std::int64_t count = 0;
  for (;; ++count) {
    const auto row = next->step();
    if (!row) return fail(row.error());
    if (!*row) break;
    swept_to_ = next->integer(0);
    if (swept_to_ >= 0 && static_cast<std::size_t>(swept_to_) < marked.size() &&
        marked[static_cast<std::size_t>(swept_to_)])
      continue;
    unnamed.push_back(swept_to_);
    if (swept_to_ < 1 || swept_to_ > UINT32_MAX) continue;
    const auto id = static_cast<std::uint32_t>(swept_to_);
    if (swept_ == names) names_.forget(hash_of(from_name_key(next->text(1))), id);
    if (swept_ == answers) answers_.forget(hash_of(next->octets(1)), id);
  }
  next->reset();
  for (const std::int64_t id : unnamed) DOLINE_TRY(take->bind(1, id).run());
  if (count < sweep_ids) {
    swept_to_ = 0;
    if (swept_ == answers) {
      sweep_ = Sweep::none;
      for (auto& marked_ids : marked_) marked_ids = {};
    } else {
      swept_ = static_cast<Dictionary>(swept_ + 1);
    }
  }
  return {};
}

void Store::shrink_wal() {
  (void)database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace doline::querylog

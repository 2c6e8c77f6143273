#include "querylog/log_writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "querylog/answers.h"
#include "querylog/store.h"

namespace doline::querylog {

namespace {

constexpr milliseconds check_time{1000};  // for a look at a file's soundness when it is opened
constexpr milliseconds retry_first{500};
constexpr milliseconds retry_longest{10'000};
constexpr seconds damaged_again_within{60};
constexpr milliseconds retire_every{1000};
constexpr std::size_t retire_segments = 2;  // a step
constexpr seconds file_looked_at_every{5};

/// May what is old by the clock go? Where wall time ran ahead of the other clock, it may be wrong (a board without a
/// battery) and set back soon, but what has gone by it is gone.
class ClockTrust {
 public:
  /// `newest`: of the log so far; the machine may have been wrong of the time from its start on.
  void begin(const Moment& now, std::optional<WallTime> newest) {
    believed_ = {now.monotonic, std::min(newest.value_or(now.wall), now.wall)};
  }
  bool is_earned(const Moment& now) {
    const auto ahead_of = [&](const Moment& before) {
      return now.wall - before.wall - std::chrono::duration_cast<microseconds>(now.monotonic - before.monotonic);
    };
    if (ahead_of(believed_) > clock_ahead_max) {
      if (!doubted_ || std::chrono::abs(ahead_of(*doubted_)) > clock_ahead_max) doubted_ = now;
      if (now.monotonic - doubted_->monotonic < clock_doubted_for) return false;
    }
    doubted_.reset();
    believed_ = now;
    return true;
  }

 private:
  Moment believed_;
  std::optional<Moment> doubted_;
};

/// A legend, and the database's ids for its own.
struct Known {
  std::shared_ptr<const Legend> legend;
  // By device, groups, and the MAC of the client's address.
  std::map<std::tuple<std::uint32_t, device::GroupMask, device::MacAddress>, std::uint32_t> devices;
  std::vector<std::uint32_t> rules;
  std::unordered_map<std::uint32_t, std::uint32_t> lists;
  MonotonicTime superseded{};
};

/// A record that is ready to be written.
struct Entry {
  Record record;
  Known* known = nullptr;         // of its generation: rules and lists; null where it is gone
  Known* roster_known = nullptr;  // of record.device: the same, or a newer one that knows the device
  std::uint32_t ttl = 0;
  std::uint32_t answer_octets = 0;
  std::size_t answers_at = 0;  // in pending_answers
};

LogState state_of(DatabaseFault fault) {
  switch (fault) {
    case DatabaseFault::missing:
      return LogState::io_error;
    case DatabaseFault::no_permission:
      return LogState::no_permission;
    case DatabaseFault::read_only:
      return LogState::read_only;
    case DatabaseFault::disk_full:
      return LogState::disk_full;
    case DatabaseFault::locked:
      return LogState::locked;
    case DatabaseFault::corrupt:
      return LogState::damaged;
    case DatabaseFault::newer_schema:
      return LogState::newer_schema;
    case DatabaseFault::foreign:
      return LogState::foreign;
    case DatabaseFault::older_schema:
    case DatabaseFault::io_error:
      return LogState::io_error;
  }
  return LogState::io_error;
}

std::string compact_utc(WallTime time) {
  const std::time_t seconds_since_1970 = std::chrono::floor<seconds>(time).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds_since_1970, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

}  // namespace

Identity identity_of(const device::Roster& roster, const device::Device& device, device::GroupMask groups,
                     std::optional<device::MacAddress> mac) {
  Identity identity;
  identity.name = device.name.empty() ? "unknown" : device.name;
  const bool is_its = mac && std::find(device.macs.begin(), device.macs.end(), *mac) != device.macs.end();
  if (is_its)
    identity.mac = mac;
  else if (!device.macs.empty())
    identity.mac = device.macs.front();
  identity.vendor = device.vendor;
  identity.hostname = device.hostname.empty() ? device.heard_name : device.hostname;
  for (std::size_t group = 0; group < roster.groups().size() && group < device::groups_max; ++group)
    if ((groups >> group & 1) != 0) identity.groups += roster.groups()[group].name + "\n";
  return identity;
}

std::string_view to_string(LogState state) {
  switch (state) {
    case LogState::starting:
      return "starting";
    case LogState::writing:
      return "writing";
    case LogState::disk_full:
      return "disk full";
    case LogState::read_only:
      return "read-only";
    case LogState::no_permission:
      return "no permission";
    case LogState::locked:
      return "locked";
    case LogState::damaged:
      return "damaged";
    case LogState::newer_schema:
      return "newer schema";
    case LogState::foreign:
      return "not a query log";
    case LogState::io_error:
      return "input/output error";
    case LogState::stopped:
      return "stopped";
  }
  return "unknown";
}

struct LogWriter::Impl {
  Impl(Options options_in, std::vector<Ring*> rings_in, const Clock& clock_in,
       std::function<void(const LogEvent&)> on_event_in)
      : options(std::move(options_in)), rings(std::move(rings_in)), clock(clock_in), on_event(std::move(on_event_in)) {
    if (options.flows) flow_desk.emplace(*options.flows);
  }

  // ── shared with other threads ──────────────────────────────────────────────────────────────────────────────────────
  const Options options;
  const std::vector<Ring*> rings;
  const Clock& clock;
  const std::function<void(const LogEvent&)> on_event;

  std::mutex mutex;  // of the members up to the next line
  std::condition_variable wake, flushed;
  std::deque<Legend> installed;
  std::vector<Presence> noted;
  std::size_t waiting_presences = 0;  // that the thread has taken, and not written
  std::uint64_t flushes_asked = 0, flushes_done = 0;
  bool is_stopping = false;
  bool has_ended = false;
  seconds keep_age{};
  std::uint64_t max_size_octets = 0;
  FlowStatistics flow_statistics;

  std::atomic<std::uint64_t> written{0}, lost{0}, not_recorded{0}, audited{0}, size_octets{0};
  std::atomic<std::int64_t> oldest{0};
  std::atomic<LogState> state{LogState::starting};
  std::atomic<bool> is_retiring_put_off{false};
  std::thread thread;

  // ── the thread's own ───────────────────────────────────────────────────────────────────────────────────────────────
  struct Asker {  // of the row before: devices ask in bursts
    const Known* known = nullptr;
    device::DeviceId device;
    IpAddress client;
    std::uint32_t device_row = 0, client_row = 0;
  };
  Asker last_asker;           // of this batch; not known: nobody's
  std::deque<Known> legends;  // ascending generations; the last is the newest; what a pending record names stays
  std::uint64_t known_epoch = 0;
  std::unique_ptr<Store> store;
  std::optional<FlowDesk> flow_desk;
  bool has_recalled = false;
  std::optional<ClockTrust> clock_trust;
  std::uint64_t dropped_by_rings = 0;
  std::vector<Entry> pending;
  std::deque<Presence> presences;  // that wait
  EncodedAnswers pending_answers;  // of all of them, one behind another
  MonotonicTime oldest_pending{};
  MonotonicTime next_try{};
  milliseconds retry = retry_first;
  std::optional<MonotonicTime> last_set_aside;
  MonotonicTime next_retire{}, next_look_at_file{};
  ino_t inode = 0;
  std::size_t written_since_retire = 0;
  // Positions in pending by the time of the record.
  std::vector<std::pair<WallTime, std::uint32_t>> in_order, late;

  MonotonicTime now() const { return clock.now().monotonic; }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      const bool stops = is_stopping;
      const std::uint64_t flush_target = flushes_asked;
      const bool must_flush = stops || flush_target != flushes_done;
      take_installed();
      if (pending.empty() && presences.empty() && !noted.empty()) oldest_pending = now();
      std::move(noted.begin(), noted.end(), std::back_inserter(presences));
      noted.clear();
      waiting_presences = presences.size();
      lock.unlock();

      const bool are_rings_busy = drain();
      const bool is_busy = watch(stops) || are_rings_busy;
      const MonotonicTime time = now();
      if (!store && (time >= next_try || stops)) open();
      const bool has_flows = flow_desk && flow_desk->has_something();
      if ((!pending.empty() || has_flows || !presences.empty()) &&
          (must_flush || pending.size() >= batch_records || (has_flows && flow_desk->is_filling()) ||
           time - oldest_pending >= options.flush_every))
        write_pending(must_flush);
      // Under load it waits a while for a quiet moment, not for ever: the disk is bounded too.
      if (store && !stops && now() >= next_try && time >= next_retire + (is_busy ? retire_every : milliseconds::zero()))
        retire();
      if (store && time >= next_look_at_file) look_at_file();

      lock.lock();
      if (flushes_done != flush_target) {
        flushes_done = flush_target;
        flushed.notify_all();
      }
      if (stops) break;
      if (!is_stopping && flushes_asked == flushes_done && installed.empty())
        wake.wait_for(lock, is_busy ? drain_every_busy : drain_every);
    }
    lock.unlock();
    lose(pending.size());
    pending.clear();
    store.reset();
    state = LogState::stopped;
    lock.lock();
    has_ended = true;
    flushed.notify_all();
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void take_installed() {
    for (Legend& legend : installed) {
      if (!legends.empty()) legends.back().superseded = now();
      Known known;
      known.legend = std::make_shared<const Legend>(std::move(legend));
      legends.push_back(std::move(known));
    }
    installed.clear();
    const auto names_oldest = [this](const Entry& entry) {
      return entry.known == &legends.front() || entry.roster_known == &legends.front();
    };
    while (legends.size() > 1 && (legends.size() > legends_max || now() - legends.front().superseded > legend_kept) &&
           std::none_of(pending.begin(), pending.end(), names_oldest))
      legends.pop_front();
  }

  Known* known_of(std::uint64_t generation) {
    for (auto known = legends.rbegin(); known != legends.rend(); ++known)
      if (known->legend->generation == generation) return &*known;
    return nullptr;
  }

  /// True where a ring was found so full that it should be looked at again soon.
  bool drain() {
    bool is_busy = false;
    for (Ring* ring : rings) {
      if (ring->used() > ring->capacity() / 4) is_busy = true;
      ring->drain([this](const Record& record, dns::Octets response) { take(record, response); });
    }
    return is_busy;
  }

  /// What devices connected to. Behind drain(): the answers of its time have been seen.
  bool watch(bool is_last) {
    if (!flow_desk) return false;
    const Moment moment = clock.now();
    std::uint64_t dropped = 0;
    for (const Ring* ring : rings) dropped += ring->dropped();
    if (std::exchange(dropped_by_rings, dropped) != dropped) flow_desk->miss(moment);
    const auto newest = legends.empty() ? nullptr : legends.back().legend;
    const bool had_nothing = pending.empty() && !flow_desk->has_something();
    const bool has_more = flow_desk->read(moment, newest, [this](const Record& record) {
      audited.fetch_add(1, std::memory_order_relaxed);
      take(record, {});
    });
    flow_desk->judge(moment, newest, is_last);
    if (had_nothing && pending.empty() && flow_desk->has_something()) oldest_pending = now();
    tell_flows();
    return has_more;
  }

  void tell_flows() {
    const std::lock_guard lock(mutex);
    flow_statistics = flow_desk->statistics();
  }

  void take(const Record& record, dns::Octets response) {
    if (record.log == device::LogChoice::none) {
      not_recorded.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (pending.size() >= pending_max) {
      // Old ones go: when the database comes back, what has just happened is worth more than what happened before it
      // went.
      const std::size_t gone = pending_max / 8;
      const std::size_t octets = pending[gone].answers_at;
      pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(gone));
      auto& answers = pending_answers.octets;
      answers.erase(answers.begin(), answers.begin() + static_cast<std::ptrdiff_t>(octets));
      for (Entry& kept : pending) kept.answers_at -= octets;
      lose(gone);
    }
    if (pending.empty() && presences.empty() && !(flow_desk && flow_desk->has_something())) oldest_pending = now();
    Entry& entry = pending.emplace_back(record);
    entry.known = known_of(record.generation);
    if (entry.known == nullptr) {  // installed, and the record pushed, since this turn of the loop began
      const std::lock_guard lock(mutex);
      take_installed();
      entry.known = known_of(record.generation);
    }
    entry.roster_known = entry.known;
    if (!look_again(entry)) {
      pending.pop_back();
      not_recorded.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    entry.answers_at = pending_answers.octets.size();
    if (options.answers) {
      encode_answers(response, record.qname, pending_answers);
      entry.answer_octets = static_cast<std::uint32_t>(pending_answers.octets.size() - entry.answers_at);
      entry.ttl = pending_answers.ttl;
      if (flow_desk && entry.roster_known != nullptr)
        flow_desk->learn(entry.record, device_of(entry), response, seconds(entry.ttl), clock.now());
    }
    if (pending.size() >= batch_records && store) write_pending(false);
  }

  static const device::Device& device_of(const Entry& entry) {
    const auto devices = entry.roster_known->legend->roster->devices();
    const std::uint32_t id = entry.record.device.value;
    return devices[id < devices.size() ? id : 0];
  }

  /// A device that was unknown when it asked (its first packet, before the neighbour table told) may be known by now.
  /// False: it turns out to be one of which nothing is kept.
  bool look_again(Entry& entry) {
    if (entry.record.device.value != 0 || legends.empty() || entry.record.log != device::LogChoice::full) return true;
    Known& newest = legends.back();
    const device::Device& device = newest.legend->roster->identify(entry.record.client);
    if (device.id.value == 0) return true;
    entry.record.device = device.id;
    entry.record.log = device.log;
    entry.roster_known = &newest;
    return device.log != device::LogChoice::none;
  }

  void lose(std::size_t count) { lost.fetch_add(count, std::memory_order_relaxed); }

  // ── the database ───────────────────────────────────────────────────────────────────────────────────────────────────

  void tell(LogEvent::Kind kind, std::string text) {
    if (on_event) on_event({kind, state.load(), std::move(text)});
  }

  void open() {
    std::error_code error;
    const auto folder = options.path.parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    auto opened = Store::open(options.path, check_time);
    if (!opened) {
      fault(opened.error());
      return;
    }
    store = std::move(*opened);
    inode = inode_of_file();
    next_look_at_file = now() + file_looked_at_every;
    known_epoch = 0;
    if (flow_desk) flow_desk->begin_anew();
    if (flow_desk && !std::exchange(has_recalled, true)) flow_desk->recall(options.path, clock.now());
    measure();
    if (!clock_trust) clock_trust.emplace().begin(clock.now(), store->newest());
    if (pending.empty()) recovered();
  }

  void recovered() {
    retry = retry_first;
    const LogState before = state.exchange(LogState::writing);
    if (before != LogState::writing && before != LogState::starting)
      tell(LogEvent::Kind::recovered,
           "the query log writes again; " + std::to_string(lost.load()) + " records were lost so far");
  }

  /// Degraded from here on, until recovered().
  void fault(DatabaseFault what) {
    if (store) store->roll_back();
    if (what == DatabaseFault::corrupt && set_aside()) return;
    const bool keeps_store = what == DatabaseFault::locked || what == DatabaseFault::disk_full;
    if (what == DatabaseFault::disk_full && store) store->shrink_wal();
    if (!keeps_store) store.reset();
    const LogState next = state_of(what);
    next_try = now() + retry;
    retry = std::min(retry * 2, retry_longest);
    if (state.exchange(next) != next)
      tell(LogEvent::Kind::degraded, "the query log " + options.path.string() +
                                         " cannot be written: " + std::string(querylog::to_string(what)) +
                                         "; DNS goes on, records wait and are then counted as lost");
  }

  /// A damaged file is moved out of the way, with its WAL, and nothing of it is touched. False: not now.
  bool set_aside() {
    store.reset();
    if (last_set_aside && now() - *last_set_aside < damaged_again_within) return false;  // it is the disk, not the file
    const std::string suffix = ".corrupt-" + compact_utc(clock.now().wall);
    std::error_code error;
    for (const char* part : {"-wal", "-shm", ""}) {
      const std::string from = options.path.string() + part;
      if (!std::filesystem::exists(from, error)) continue;
      std::filesystem::rename(from, options.path.string() + suffix + part, error);
      if (error) return false;
    }
    last_set_aside = now();
    state = LogState::damaged;
    tell(LogEvent::Kind::set_aside, "the query log " + options.path.string() + " is damaged; it was set aside as " +
                                        options.path.string() + suffix + " and a new one begun");
    open();
    return true;
  }

  ino_t inode_of_file() const {
    struct stat status{};
    return ::stat(options.path.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  /// Somebody may have deleted or replaced the file; SQLite would write on into what has no name any more.
  void look_at_file() {
    next_look_at_file = now() + file_looked_at_every;
    if (inode_of_file() == inode) return;
    store.reset();
    tell(LogEvent::Kind::replaced,
         "the query log " + options.path.string() + " was deleted or replaced; it is opened anew");
    open();
  }

  void measure() {
    const auto extent = store->extent();
    if (!extent) return;
    size_octets = extent->octets;
    oldest = extent->oldest;
  }

  /// Most records come in the order of their time, so that only the others need be sorted.
  void put_in_order() {
    in_order.clear();
    late.clear();
    for (std::uint32_t position = 0; position < pending.size(); ++position) {
      const WallTime time = pending[position].record.time;
      (in_order.empty() || time >= in_order.back().first ? in_order : late).emplace_back(time, position);
    }
    std::sort(late.begin(), late.end());
    const auto middle = static_cast<std::ptrdiff_t>(in_order.size());
    in_order.insert(in_order.end(), late.begin(), late.end());
    std::inplace_merge(in_order.begin(), in_order.begin() + middle, in_order.end());
  }

  void write_pending(bool is_urgent) {
    if (!store || (!is_urgent && now() < next_try)) return;
    put_in_order();
    const auto done = write_batch();
    if (!done) {
      fault(done.error());
      if (!store || !last_set_aside || done.error() != DatabaseFault::corrupt) return;
      if (const auto again = write_batch(); !again) {  // into the new file, at once
        fault(again.error());
        return;
      }
    }
    written.fetch_add(pending.size(), std::memory_order_relaxed);
    written_since_retire += pending.size();
    pending.clear();
    pending_answers.octets.clear();
    if (flow_desk) {
      flow_desk->have_written();
      tell_flows();
    }
    presences.erase(presences.begin(),
                    presences.begin() + static_cast<std::ptrdiff_t>(std::min(presences.size(), presences_a_commit)));
    oldest_pending = now();  // of presences that are left
    next_try = {};
    recovered();
  }

  Result<void, DatabaseFault> write_batch() {
    if (const auto begun = store->begin(); !begun) return begun;
    last_asker = {};
    // What some records name is asked for ahead: where it is remembered takes long to come from memory.
    std::array<std::pair<std::uint64_t, std::uint64_t>, 16> hashes;
    for (std::size_t begin = 0; begin < in_order.size(); begin += hashes.size()) {
      const std::size_t count = std::min(hashes.size(), in_order.size() - begin);
      for (std::size_t ahead = 0; ahead < count; ++ahead) {
        const Entry& entry = pending[in_order[begin + ahead].second];
        hashes[ahead] = {store->hash_of(entry.record.qname),
                         entry.answer_octets > 0 ? store->hash_of(answers_of(entry)) : 0};
      }
      for (std::size_t ahead = 0; ahead < count; ++ahead)
        if (const auto done = write_entry(pending[in_order[begin + ahead].second], hashes[ahead]); !done) return done;
    }
    for (std::size_t at = 0; at < std::min(presences.size(), presences_a_commit); ++at) {
      const Presence& one = presences[at];
      const std::int64_t seen = one.seen.time_since_epoch().count();
      if (const auto done = store->note_presence(one.identity, one.address, seen); !done) return done;
    }
    if (flow_desk) {
      forget_old_ids();
      const auto written_flows =
          flow_desk->write(*store, [this](const Legend& legend, device::DeviceId device, const IpAddress& client,
                                          const device::MacAddress& mac) {
            if (device.value != 0 || mac.is_zero())
              return device_row(&legend, known_of(legend.generation), device, client);
            Identity unknown;
            unknown.name = device::unknown_device_name;
            unknown.mac = mac;
            return store->device(unknown);
          });
      if (!written_flows) return written_flows;
    }
    return store->commit();
  }

  dns::Octets answers_of(const Entry& entry) const {
    return dns::Octets(pending_answers.octets).subspan(entry.answers_at, entry.answer_octets);
  }

  void forget_old_ids() {
    if (std::exchange(known_epoch, store->epoch()) == store->epoch()) return;
    for (Known& known : legends) {
      known.devices.clear();
      known.rules.clear();
      known.lists.clear();
    }
  }

  /// `hashes`: of the name, and of the answer.
  Result<void, DatabaseFault> write_entry(const Entry& entry, const std::pair<std::uint64_t, std::uint64_t>& hashes) {
    forget_old_ids();
    const Record& record = entry.record;
    Row row(record);
    Known* const known = entry.known;

    KeptIds keep_id;
    if (record.log == device::LogChoice::anonymous) {
      keep_id(row[Column::device], store->device(Identity{}));
    } else {
      Known* const roster_known = entry.roster_known;
      if (roster_known == nullptr || last_asker.known != roster_known || last_asker.device != record.device ||
          last_asker.client != record.client) {
        last_asker = {.known = nullptr, .device = record.device, .client = record.client};
        const Legend* const legend = roster_known != nullptr ? roster_known->legend.get() : nullptr;
        keep_id(last_asker.device_row, device_row(legend, roster_known, record.device, record.client));
        keep_id(last_asker.client_row, store->endpoint({record.client, 0}));
        if (!keep_id.fault) last_asker.known = roster_known;
      }
      row[Column::device] = last_asker.device_row;
      row[Column::client] = last_asker.client_row;
    }
    if (record.destination.is_intercepted())
      keep_id(row[Column::destination], store->endpoint(record.destination.endpoint));
    if (record.upstream.address != IpAddress{}) keep_id(row[Column::upstream], store->endpoint(record.upstream));
    keep_id(row[Column::name], store->name(record.qname, hashes.first));
    if (record.verdict != VerdictKind::rejected && record.verdict != VerdictKind::audited)
      keep_id(row[Column::rule], rule_row(record.rule, known));
    if (record.has_observed) keep_id(row[Column::observed_rule], rule_row(record.observed_rule, known));
    if (record.has_listing) keep_id(row[Column::lists], lists_row(record.list_set, known));
    if (entry.answer_octets > 0 && !keep_id.fault) {
      keep_id(row[Column::answer], store->answer(answers_of(entry), hashes.second));
      row[Column::ttl] = entry.ttl;
    }
    if (keep_id.fault) return fail(*keep_id.fault);
    return store->insert(row);
  }

  Store::Id device_row(const Legend* legend, Known* known, device::DeviceId device_id, const IpAddress& client) {
    const std::uint32_t id = device_id.value;
    if (legend == nullptr || id >= legend->roster->devices().size()) {
      Identity unknown;
      unknown.name = "unknown";
      return store->device(unknown);
    }
    const device::Device& device = legend->roster->devices()[id];
    const device::GroupMask groups = legend->roster->groups_of(device, client);
    std::optional<device::MacAddress> mac;  // matters only where it has several
    if (device.macs.size() > 1) mac = legend->roster->mac_at(client);
    if (known == nullptr) return store->device(identity_of(*legend->roster, device, groups, mac));
    std::uint32_t& row = known->devices[{id, groups, mac.value_or(device::MacAddress{})}];
    if (row == 0) {
      const auto found = store->device(identity_of(*legend->roster, device, groups, mac));
      if (!found) return found;
      row = *found;
    }
    return row;
  }

  Store::Id rule_row(policy::RuleId rule, Known* known) {
    if (known == nullptr) return store->text(text_of(rule, nullptr));
    // `lists` and `otherwise`, whose ids are the last that there are, stand first.
    const auto position = static_cast<std::uint16_t>(rule.value + 2);
    if (position >= known->rules.size()) known->rules.resize(position + std::size_t{1});
    std::uint32_t& row = known->rules[position];
    if (row == 0) {
      const auto found = store->text(text_of(rule, known->legend.get()));
      if (!found) return found;
      row = *found;
    }
    return row;
  }

  static std::string text_of(policy::RuleId rule, const Legend* legend) {
    if (rule == policy::no_rule) return "otherwise";
    if (rule == policy::lists_rule) return "lists";
    if (legend == nullptr || rule.value >= legend->rule_texts.size()) return "rule " + std::to_string(rule.value);
    return legend->rule_texts[rule.value];
  }

  Store::Id lists_row(std::uint32_t set, Known* known) {
    if (known == nullptr) return 0;
    std::uint32_t& row = known->lists[set];
    if (row == 0) {
      std::string names;
      for (const blocklist::ListId list : known->legend->lists->lists_of(set))
        names += (list.value < known->legend->list_names.size() ? known->legend->list_names[list.value]
                                                                : "list " + std::to_string(list.value)) +
                 "\n";
      const auto found = store->text(names);
      if (!found) return found;
      row = *found;
    }
    return row;
  }

  void retire() {
    seconds age;
    std::uint64_t most;
    {
      const std::lock_guard lock(mutex);
      age = keep_age;
      most = max_size_octets;
    }
    const Moment moment = clock.now();
    std::int64_t cutoff = (moment.wall - age).time_since_epoch().count();
    const bool is_trusted = clock_trust->is_earned(moment);
    const bool puts_off = !is_trusted && oldest != 0 && oldest < cutoff;
    if (!is_trusted) cutoff = 0;
    if (is_retiring_put_off.exchange(puts_off) != puts_off && puts_off)
      tell(LogEvent::Kind::put_off,
           "the clock of this machine is suddenly more than a day ahead: no record goes by its "
           "age before it has gone on for an hour without being set back");
    const auto more =
        store->retire(cutoff, most, retire_segments + 2 * std::exchange(written_since_retire, 0) / segment_rows);
    if (!more) {
      fault(more.error());
      return;
    }
    // At once again where there is more to do: between two steps the rings are drained.
    next_retire = *more ? now() : now() + retire_every;
    measure();
  }
};

LogWriter::LogWriter(Options options, std::vector<Ring*> rings, const Clock& clock,
                     std::function<void(const LogEvent&)> on_event)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(rings), clock, std::move(on_event))) {
  impl_->keep_age = impl_->options.keep;
  impl_->max_size_octets = impl_->options.max_size_octets;
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

LogWriter::~LogWriter() {
  stop();
}

void LogWriter::install(Legend legend) {
  check(legend.roster && legend.lists);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->installed.push_back(std::move(legend));
  }
  impl_->wake.notify_one();
}

void LogWriter::note(std::vector<Presence> presences) {
  const std::lock_guard lock(impl_->mutex);
  const std::size_t room = presences_max - std::min(presences_max, impl_->noted.size() + impl_->waiting_presences);
  if (presences.size() > room) presences.resize(room);
  std::move(presences.begin(), presences.end(), std::back_inserter(impl_->noted));
}

void LogWriter::keep(seconds age, std::uint64_t max_size_octets) {
  const std::lock_guard lock(impl_->mutex);
  impl_->keep_age = age;
  impl_->max_size_octets = max_size_octets;
}

void LogWriter::flush() {
  std::unique_lock lock(impl_->mutex);
  const std::uint64_t mine = ++impl_->flushes_asked;
  impl_->wake.notify_one();
  impl_->flushed.wait(lock, [&] { return impl_->flushes_done >= mine || impl_->has_ended; });
}

void LogWriter::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->is_stopping = true;
  }
  impl_->wake.notify_one();
  if (impl_->thread.joinable()) impl_->thread.join();
}

LogStatistics LogWriter::statistics() const {
  LogStatistics statistics;
  for (const Ring* ring : impl_->rings) {
    statistics.pushed += ring->pushed();
    statistics.lost_at_ring += ring->dropped();
  }
  statistics.pushed += impl_->audited.load();
  statistics.written = impl_->written.load();
  statistics.lost_at_database = impl_->lost.load();
  statistics.not_recorded = impl_->not_recorded.load();
  statistics.size_octets = impl_->size_octets.load();
  if (const std::int64_t oldest = impl_->oldest.load(); oldest != 0) statistics.oldest = WallTime(microseconds(oldest));
  statistics.state = impl_->state.load();
  statistics.is_retiring_put_off = impl_->is_retiring_put_off.load();
  if (impl_->options.flows) {
    const std::lock_guard lock(impl_->mutex);
    statistics.flows = impl_->flow_statistics;
  }
  return statistics;
}

}  // namespace doline::querylog

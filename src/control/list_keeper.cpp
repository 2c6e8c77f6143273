#include "control/list_keeper.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <set>
#include <system_error>
#include <utility>

#include "config/printable.h"
#include "control/file_watch.h"
#include "control/list_copy.h"
#include "control/list_reports.h"
#include "control/text_file.h"
#include "transfer/notification.h"

namespace doline::control {

namespace {

using config::grouped;

constexpr milliseconds look_at_files_every{60'000};  // at files whose folder says nothing: links, network file systems
constexpr milliseconds look_at_image_every{24 * 3600'000};
constexpr milliseconds compile_again{60'000};  // after a compile that could not be written
constexpr milliseconds nap_longest{3600'000};  // timers do not count sleep, nor does a clock that is set
constexpr seconds retry_after_max{86'400};     // a server may ask for this much patience
constexpr std::size_t problems_logged = 3;

std::string size_text(std::uint64_t octets) {
  if (octets < 1'000'000) return fmt::format("{:.1f} kB", static_cast<double>(octets) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(octets) / 1e6);
}

std::string wait_text(milliseconds wait) {
  const auto count = std::chrono::duration_cast<seconds>(wait).count();
  if (count < 120) return fmt::format("{} s", count);
  if (count < 7200) return fmt::format("{} min", count / 60);
  return fmt::format("{} h", count / 3600);
}

std::uint64_t octets_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::uint64_t>(size);
}

/// Where a URL's list comes from, if that is a name.
std::optional<dns::Name> host_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return std::nullopt;
  url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const std::size_t at = url.rfind('@'); at != url.npos) url.remove_prefix(at + 1);
  url = url.substr(0, url.find(':'));
  if (url.empty() || url.starts_with('[') || IpAddress::parse(url)) return std::nullopt;
  const auto name = dns::Name::parse(url);
  return name ? std::optional(name->lowered()) : std::nullopt;
}

std::optional<WallTime> modified(const std::filesystem::path& file) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return WallTime(seconds(status.st_mtim.tv_sec));
}

/// How messages and notes call it.
std::string source_of(const config::ListSettings& list) {
  return list.zone ? list.zone->to_string() : list.url;
}

/// The difference made to the copy, into the candidate's file: then it is judged like any other.
Result<void, std::string> make_candidate(const Candidate& candidate, const Transferred& transferred) {
  const auto copy = read_text_file(candidate.copy, transfer::transfer_octets_max);
  const auto text = copy ? transfer::apply_changes(*copy, transferred.soa_line, transferred.changes) : std::nullopt;
  if (!text) return fail(std::string("its difference does not fit the copy at hand"));
  if (const std::string why = replace_text_file(candidate.file, *text, ".new"); !why.empty()) return fail(why);
  return {};
}

std::filesystem::path text_folder(const std::filesystem::path& state_folder) {
  return state_folder / "lists";
}

std::filesystem::path copy_of(const std::filesystem::path& folder, const config::ListSettings& list) {
  return folder / (to_file_name(list.name) + ".txt");
}

/// Why the operator's file cannot be read now; "": it can.
std::string trouble_with(const std::filesystem::path& file) {
  std::error_code error;
  if (::access(file.c_str(), R_OK) != 0) return file.string() + " cannot be read: " + std::strerror(errno);
  if (!std::filesystem::is_regular_file(file, error)) return file.string() + " is not a file";
  return is_web_page(file) ? file.string() + " is a web page, not a list" : "";
}

/// The operator's file; or the copy of what is fetched, and of a file while it cannot be read, or what fetches it has
/// put an error page there: an empty file is the operator's word, one that is not there is not.
std::filesystem::path text_of(const std::filesystem::path& folder, const config::ListSettings& list) {
  const std::filesystem::path copy = copy_of(folder, list);
  std::error_code ignored;
  const bool is_of_copy =
      list.is_fetched() || (!trouble_with(list.file).empty() && std::filesystem::exists(copy, ignored));
  return is_of_copy ? copy : list.file;
}

}  // namespace

std::filesystem::path list_image(const std::filesystem::path& state_folder) {
  return state_folder / "lists.image";
}

std::vector<blocklist::ListInput> list_inputs(const std::filesystem::path& state_folder,
                                              const std::vector<config::ListSettings>& lists) {
  std::vector<blocklist::ListInput> inputs;
  for (const config::ListSettings& list : lists)
    inputs.push_back({list.name, text_of(text_folder(state_folder), list), list.format, list.subdomains});
  return inputs;
}

struct ListKeeper::Impl : std::enable_shared_from_this<ListKeeper::Impl> {
  /// One list of the configuration; survives a reload as long as name and URL stay.
  struct List {
    std::uint64_t number = 0;  // what callbacks know it by: it may be gone by then
    config::ListSettings settings;
    std::filesystem::path copy, part, notes_file;
    std::optional<CopyNotes> notes;  // of what is fetched and has a copy
    std::optional<blocklist::ListReport> report;
    std::string last_error;  // of a file: why the copy stands in for it
    // Of a URL or a zone:
    enum class Step : std::uint8_t { waiting, due, fetching, judging } step = Step::waiting;
    std::uint64_t download = 0;  // number of it, or of the transfer
    bool wants_whole = false;    // of a zone: the copy is no base for a difference
    bool has_news = false;       // its primary says so while it is under way
    WallTime looked{};           // when a notification last had it looked at
    std::optional<WallTime> next_fetch;
    int failures = 0;
    Watch timer;

    [[nodiscard]] bool is_fetched() const { return settings.is_fetched(); }
    [[nodiscard]] bool is_under_way() const { return step == Step::fetching || step == Step::judging; }
  };

  Impl(Loop& control_loop, std::filesystem::path state_folder, const Clock& a_clock, spdlog::logger& logger,
       OnSet to_call, ListPace a_pace);

  // Fetching
  void adopt(List& list);
  void arm(List& list, WallTime when);
  void wake(std::uint64_t number);
  void start_due();
  void fetch(List& list);
  void take_download(std::uint64_t number, const Result<Downloaded, DownloadFault>& result);
  void transfer_zone(List& list);
  static Result<transfer::TsigKey, std::string> read_key(const transfer::KeySource& source);
  void hear_of(const dns::Name& zone);
  void listen();
  void take_transfer(std::uint64_t number, const Result<Transferred, std::string>& result);
  void judge_soon(List& list, CopyNotes notes, bool is_whole, std::optional<Transferred> difference);
  void cancel(const List& list);
  [[nodiscard]] milliseconds refresh_of(const List& list);
  void take_judgement(std::uint64_t number, CopyNotes notes, const Result<Judgement, std::string>& result);
  void succeed(List& list, const CopyNotes& notes);
  void fail_fetch(List& list, const std::string& why, std::optional<seconds> retry_after);
  void sweep();

  // Compiling
  [[nodiscard]] std::vector<blocklist::ListInput> inputs() const;
  void look();
  void compile_soon();
  void note_missing();
  void keep_copies();
  void compile();
  void take_compiled(std::uint64_t of_configuration, const Result<blocklist::CompileReport, std::string>& report,
                     std::shared_ptr<const blocklist::ListSet> set, milliseconds took);
  void run_on_pool(std::function<void()> job, std::function<void()> done);
  void look_at_image_after(milliseconds pause);
  void take_look_at_image(std::optional<blocklist::ListSetFault> fault);
  void tell_problems(const List& list);
  void watch_files();

  [[nodiscard]] List* find(std::uint64_t number);
  [[nodiscard]] milliseconds jittered(milliseconds wait);
  [[nodiscard]] WallTime now() const { return clock.now().wall; }

  Loop& loop;
  const std::filesystem::path folder, image, reports;
  const Clock& clock;
  spdlog::logger& log;
  const OnSet on_set;
  const ListPace pace;
  Downloads downloads;
  Transfers transfers;
  std::vector<std::unique_ptr<List>> lists;  // in the order of the configuration
  std::vector<dns::Name> must_resolve;       // the operator's, and the hosts that lists come from
  std::uint64_t last_number = 0;
  std::minstd_rand random{std::random_device{}()};

  std::shared_ptr<const blocklist::ListSet> current = blocklist::ListSet::none();
  std::uint64_t configuration = 0;  // counts configure()
  bool is_current = true;           // current was compiled from what inputs() were when last looked at
  bool stands_in = false;           // current is the set without lists, for one that is being compiled
  bool is_compiling = false;
  std::uint64_t compiling_print = 0;  // fingerprint of what is being compiled
  std::string trouble;                // why the latest could not be compiled
  std::optional<MonotonicTime> compile_by;
  Watch compile_timer, look_timer, image_timer;
  FileWatch files_watch;
  resolver::AnswerNotification notifications;
};

ListKeeper::Impl::Impl(Loop& control_loop, std::filesystem::path state_folder, const Clock& a_clock,
                       spdlog::logger& logger, OnSet to_call, ListPace a_pace)
    : loop(control_loop),
      folder(text_folder(state_folder)),
      image(list_image(state_folder)),
      reports(state_folder / "lists.report.json"),
      clock(a_clock),
      log(logger),
      on_set(std::move(to_call)),
      pace(a_pace),
      downloads(control_loop),
      transfers(control_loop, a_clock) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) log.error("lists: {} cannot be made: {}; no list will be kept", folder.string(), error.message());
}

ListKeeper::Impl::List* ListKeeper::Impl::find(std::uint64_t number) {
  const auto found = std::find_if(lists.begin(), lists.end(), [&](const auto& list) { return list->number == number; });
  return found == lists.end() ? nullptr : found->get();
}

milliseconds ListKeeper::Impl::jittered(milliseconds wait) {
  std::uniform_real_distribution<double> factor(1 - pace.jitter, 1 + pace.jitter);
  return milliseconds(static_cast<std::int64_t>(static_cast<double>(wait.count()) * factor(random)));
}

// ── Fetching ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void ListKeeper::Impl::adopt(List& list) {
  list.number = ++last_number;
  list.copy = copy_of(folder, list.settings);
  if (!list.is_fetched()) return;
  const std::string name = to_file_name(list.settings.name);
  list.part = folder / (name + ".part" + std::to_string(list.number));
  list.notes_file = folder / (name + ".json");
  list.notes = read_notes(list.notes_file);
  // Notes about another text say nothing of this one: it is fetched whole. So is a list that moved to another URL; its
  // old copy serves until then.
  if (list.notes && list.notes->octets != octets_of(list.copy)) list.notes.reset();
  const bool is_fresh = list.notes && list.notes->url == source_of(list.settings) && list.notes->fetched <= now();
  arm(list, is_fresh ? list.notes->fetched + jittered(refresh_of(list)) : now());
}

milliseconds ListKeeper::Impl::refresh_of(const List& list) {
  if (!list.settings.zone) return list.settings.every;
  return list.notes && list.notes->soa
             ? std::clamp(seconds(list.notes->soa->refresh), zone_refresh_min, zone_refresh_max)
             : zone_refresh_max;
}

void ListKeeper::Impl::arm(List& list, WallTime when) {
  list.step = List::Step::waiting;
  list.next_fetch = when;
  const auto wait = std::chrono::ceil<milliseconds>(when - now());
  list.timer =
      loop.after(std::clamp(wait, milliseconds(0), nap_longest), [this, number = list.number] { wake(number); });
}

void ListKeeper::Impl::wake(std::uint64_t number) {
  List* list = find(number);
  if (!list || list->step != List::Step::waiting) return;
  // A clock that was set back must not make a list wait for years.
  if (const auto latest = now() + 2 * refresh_of(*list); list->next_fetch > latest) list->next_fetch = latest;
  if (*list->next_fetch > now()) return arm(*list, *list->next_fetch);
  list->step = List::Step::due;
  start_due();
}

void ListKeeper::Impl::start_due() {
  auto under_way = static_cast<std::size_t>(
      std::count_if(lists.begin(), lists.end(), [](const auto& list) { return list->is_under_way(); }));
  for (const auto& list : lists) {
    if (under_way >= list_downloads_max) return;
    if (list->step != List::Step::due) continue;
    fetch(*list);
    ++under_way;
  }
}

void ListKeeper::Impl::fetch(List& list) {
  list.step = List::Step::fetching;
  list.next_fetch.reset();
  if (list.settings.zone) return transfer_zone(list);
  DownloadOrder order;
  order.url = list.settings.url;
  order.file = list.part;
  if (list.notes && list.notes->url == list.settings.url && list.notes->octets == octets_of(list.copy)) {
    order.etag = list.notes->etag;
    order.last_modified = list.notes->last_modified;
  }
  list.download = downloads.fetch(std::move(order),
                                  [this, number = list.number](const auto& result) { take_download(number, result); });
}

void ListKeeper::Impl::take_download(std::uint64_t number, const Result<Downloaded, DownloadFault>& result) {
  List* list = find(number);
  if (!list) return;  // cancelled when it left the configuration
  if (!result) {
    fail_fetch(*list, result.error().text, result.error().retry_after);
  } else if (result->is_unchanged) {
    CopyNotes notes = *list->notes;
    notes.fetched = now();
    log.info("list {}: unchanged", list->settings.name);
    succeed(*list, notes);
  } else {
    const CopyNotes notes{list->settings.url, result->etag, result->last_modified, now(), result->octets, 0};
    return judge_soon(*list, notes, result->is_whole, std::nullopt);  // it still counts as under way
  }
  start_due();
}

void ListKeeper::Impl::transfer_zone(List& list) {
  TransferOrder order;
  order.zone = list.settings.zone->zone;
  order.primaries = list.settings.zone->primaries;
  order.file = list.part;
  if (list.notes && list.notes->soa && !list.wants_whole && list.notes->url == source_of(list.settings) &&
      list.notes->octets == octets_of(list.copy))
    order.have = list.notes->soa->serial;
  if (const auto& source = list.settings.zone->key) {
    auto key = read_key(*source);
    if (!key) return fail_fetch(list, key.error(), std::nullopt);
    order.key = *std::move(key);
  }
  list.download = transfers.fetch(std::move(order),
                                  [this, number = list.number](const auto& result) { take_transfer(number, result); });
}

Result<transfer::TsigKey, std::string> ListKeeper::Impl::read_key(const transfer::KeySource& source) {
  const auto text = read_text_file(source.secret_file, 4 * transfer::secret_octets_max);
  if (!text) return fail(text.error());
  auto secret = transfer::parse_secret(*text);
  if (!secret) return fail(source.secret_file.string() + " holds no secret in base64");
  return transfer::TsigKey{source.name, source.algorithm, *std::move(secret)};
}

/// Of the lists that are now: who may tell us of their zones, and how.
void ListKeeper::Impl::listen() {
  std::vector<transfer::NotifiedZone> zones;
  for (const auto& list : lists) {
    if (!list->settings.zone) continue;
    const transfer::ZoneSource& source = *list->settings.zone;
    transfer::NotifiedZone zone{source.zone, source.primaries, std::nullopt};
    if (source.key) {
      if (auto key = read_key(*source.key))
        zone.key = *std::move(key);
      else
        zone.primaries.clear();  // nobody can prove to be one
    }
    zones.push_back(std::move(zone));
  }
  notifications = nullptr;
  if (zones.empty()) return;
  struct Ear {
    transfer::NotificationBook book;
    std::atomic<std::uint64_t> tally{0};  // the second, and how many came in it
  };
  // Workers may hold it when we are gone; the loop, which is closed then, takes no more.
  notifications = [ear = std::make_shared<Ear>(transfer::NotificationBook(std::move(zones))), keeper = weak_from_this(),
                   &loop = loop](const IpAddress& client, dns::Octets message, WallTime now_is,
                                 std::span<std::uint8_t> out) -> std::size_t {
    const auto second = static_cast<std::uint64_t>(std::chrono::floor<seconds>(now_is).time_since_epoch().count());
    std::uint64_t before = ear->tally.load(std::memory_order_relaxed), after = 0;
    do {
      after = before >> 16 == second ? before + 1 : second << 16 | 1;
      if ((after & 0xffff) > notifications_a_second_max) return 0;
    } while (!ear->tally.compare_exchange_weak(before, after, std::memory_order_relaxed));
    const auto heard = ear->book.take(client, message, now_is, out);
    if (heard.zone)
      loop.post([keeper, zone = *heard.zone] {
        if (const auto alive = keeper.lock()) alive->hear_of(zone);
      });
    return heard.octets;
  };
}

/// It is looked at soon: at once, but not more often than the pace says; after what is under way.
void ListKeeper::Impl::hear_of(const dns::Name& zone) {
  for (const auto& list : lists) {
    if (!list->settings.zone || list->settings.zone->zone != zone) continue;
    if (list->step != List::Step::waiting) {
      list->has_news = true;
      continue;
    }
    const WallTime when = std::clamp(list->looked + pace.notified, now(), now() + pace.notified);
    if (list->next_fetch && *list->next_fetch <= when) continue;
    log.info("list {}: its primary says that there is news", list->settings.name);
    list->looked = when;
    arm(*list, when);
  }
}

void ListKeeper::Impl::take_transfer(std::uint64_t number, const Result<Transferred, std::string>& result) {
  using Kind = transfer::IncomingZone::Kind;
  List* list = find(number);
  if (!list) return;
  if (!result) {
    fail_fetch(*list, result.error(), std::nullopt);
  } else if (result->kind == Kind::unchanged) {
    CopyNotes notes = *list->notes;
    notes.fetched = now();
    notes.soa = result->soa;
    log.info("list {}: serial {} is the newest", list->settings.name, result->soa.serial);
    succeed(*list, notes);
  } else {
    CopyNotes notes{source_of(list->settings), "", "", now(), 0, 0, result->soa};
    return judge_soon(*list, std::move(notes), true,
                      result->kind == Kind::difference ? std::optional(*result) : std::nullopt);
  }
  start_due();
}

/// Of a zone's `difference` the whole is made first.
void ListKeeper::Impl::judge_soon(List& list, CopyNotes notes, bool is_whole, std::optional<Transferred> difference) {
  list.step = List::Step::judging;
  const Candidate candidate{list.part,
                            list.copy,
                            list.settings.format,
                            list.settings.subdomains,
                            is_whole,
                            list.notes ? list.notes->entries : 0,
                            list.settings.kind == policy::ListKind::block ? must_resolve : std::vector<dns::Name>()};
  struct Work {
    Result<Judgement, std::string> judged;
    bool is_base_wrong = false;
  };
  const auto work = std::make_shared<Work>();
  run_on_pool(
      [candidate, work, difference = std::move(difference)] {
        if (const auto made = difference ? make_candidate(candidate, *difference) : Result<void, std::string>();
            !made) {
          work->judged = fail(made.error());
          work->is_base_wrong = true;
        } else {
          work->judged = take_copy(candidate);
        }
      },
      [weak = weak_from_this(), number = list.number, notes = std::move(notes), work]() mutable {
        const auto self = weak.lock();
        if (!self) return;
        List* judged = self->find(number);
        if (judged && work->is_base_wrong && !std::exchange(judged->wants_whole, true)) return self->fetch(*judged);
        if (judged) notes.octets = octets_of(judged->copy);
        self->take_judgement(number, notes, work->judged);
      });
}

void ListKeeper::Impl::cancel(const List& list) {
  if (list.step != List::Step::fetching) return;
  if (list.settings.zone)
    transfers.cancel(list.download);
  else
    downloads.cancel(list.download);
}

void ListKeeper::Impl::take_judgement(std::uint64_t number, CopyNotes notes,
                                      const Result<Judgement, std::string>& result) {
  List* list = find(number);
  if (!list) return sweep();  // it left the configuration meanwhile
  if (!result) {
    fail_fetch(*list, result.error(), std::nullopt);
  } else {
    notes.entries = result->entries;
    const std::uint64_t before = list->notes ? list->notes->entries : 0;
    if (result->entries * 2 < before)
      log.warn("list {}: {} lines where there were {}; it is whole, so it is taken", list->settings.name,
               grouped(result->entries), grouped(before));
    if (notes.soa)
      log.info("list {}: serial {} with {} names", list->settings.name, notes.soa->serial, grouped(result->entries));
    else if (result->is_same)
      log.info("list {}: fetched {}, unchanged", list->settings.name, size_text(notes.octets));
    else
      log.info("list {}: fetched {} with {} names", list->settings.name, size_text(notes.octets),
               grouped(result->entries));
    succeed(*list, notes);
  }
  start_due();
}

void ListKeeper::Impl::succeed(List& list, const CopyNotes& notes) {
  list.notes = notes;
  list.failures = 0;
  list.last_error.clear();
  list.wants_whole = false;
  if (const auto written = write_notes(list.notes_file, notes); !written)
    log.warn("list {}: {}; it will be fetched again after a restart", list.settings.name, written.error());
  arm(list, now() + jittered(refresh_of(list)));
  if (std::exchange(list.has_news, false)) hear_of(list.settings.zone->zone);
  compile_soon();
}

void ListKeeper::Impl::fail_fetch(List& list, const std::string& why, std::optional<seconds> retry_after) {
  ++list.failures;
  list.last_error = why;
  const milliseconds longest = std::min<milliseconds>(pace.retry_longest, refresh_of(list));
  milliseconds wait = pace.retry_first;
  if (list.notes && list.notes->soa) wait = std::max(seconds(list.notes->soa->retry), zone_retry_min);
  for (int i = 1; i < list.failures && wait < longest; ++i) wait *= 2;
  wait = jittered(std::min(wait, longest));
  if (retry_after) wait = std::max<milliseconds>(wait, std::min(*retry_after, retry_after_max));
  log.warn("list {}: {} was not taken: {}; {}, next try in {}", list.settings.name,
           list.settings.zone ? source_of(list.settings) : to_shown_url(list.settings.url), why,
           list.notes ? "the copy at hand stays" : "there is no copy yet", wait_text(wait));
  arm(list, now() + wait);
}

/// Removes what no list of the configuration has put into the folder.
void ListKeeper::Impl::sweep() {
  std::set<std::filesystem::path> kept;
  for (const auto& list : lists) kept.insert({list->copy, new_copy_of(list->copy), list->notes_file, list->part});
  const auto is_being_judged = [this](const std::filesystem::path& file) {
    return std::any_of(lists.begin(), lists.end(), [&](const auto& list) {
      return list->step == List::Step::judging && file.native().starts_with(list->part.native());
    });
  };
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!kept.contains(entry->path()) && !is_being_judged(entry->path()) && entry->is_regular_file(ignored))
      std::filesystem::remove(entry->path(), ignored);
  }
}

// ── Compiling ────────────────────────────────────────────────────────────────────────────────────────────────────────

std::vector<blocklist::ListInput> ListKeeper::Impl::inputs() const {
  std::vector<blocklist::ListInput> all;
  for (const auto& list : lists)
    all.push_back(
        {list->settings.name, text_of(folder, list->settings), list->settings.format, list->settings.subdomains});
  return all;
}

/// At the files.
void ListKeeper::Impl::look() {
  if (lists.empty()) return;
  const std::uint64_t print = blocklist::fingerprint_of(inputs());
  if (print != (is_compiling ? compiling_print : current->fingerprint())) compile_soon();
}

void ListKeeper::Impl::compile_soon() {
  const MonotonicTime moment = clock.now().monotonic;
  if (!compile_by) compile_by = moment + pace.settle_max;
  compile_timer = loop.after(pace.settle, [this] {
    const bool is_more_to_come =
        std::any_of(lists.begin(), lists.end(), [](const auto& list) { return list->is_under_way(); });
    if (is_more_to_come && clock.now().monotonic < *compile_by) return compile_soon();
    compile();
  });
}

/// Of the operator's files those for which a copy stands in.
void ListKeeper::Impl::note_missing() {
  for (const auto& list : lists) {
    if (list->is_fetched()) continue;
    const std::string why =
        text_of(folder, list->settings) == list->copy ? trouble_with(list->settings.file) : std::string();
    if (list->last_error != why && !why.empty())
      log.warn("list {}: {}; what was last read of it stays in force", list->settings.name, why);
    list->last_error = why;
  }
}

void ListKeeper::Impl::compile() {
  compile_timer = Watch();
  compile_by.reset();
  note_missing();
  if (is_compiling) return;  // take_compiled() looks again
  auto texts = inputs();
  const std::uint64_t print = blocklist::fingerprint_of(texts);
  if (is_current && (texts.empty() || print == current->fingerprint())) return;
  is_compiling = true;
  compiling_print = print;
  struct Work {
    Result<blocklist::CompileReport, std::string> report;
    std::shared_ptr<const blocklist::ListSet> set;
    milliseconds took{};
  };
  const auto work = std::make_shared<Work>();
  auto job = [work, texts = std::move(texts), target = image, reports = reports] {
    const auto begun = std::chrono::steady_clock::now();
    work->report = blocklist::compile(texts, target);
    if (!work->report) return;
    (void)write_reports(reports, *work->report);  // without it the next start tells less of the lists
    if (auto opened = blocklist::ListSet::open(target))
      work->set = *opened;
    else
      work->report = fail(target.string() + " is " + std::string(to_string(opened.error())));
    work->took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
  };
  auto done = [weak = weak_from_this(), work, of_configuration = configuration] {
    if (const auto self = weak.lock()) self->take_compiled(of_configuration, work->report, work->set, work->took);
  };
  run_on_pool(std::move(job), std::move(done));
}

/// Of the operator's files, for when they cannot be read.
void ListKeeper::Impl::keep_copies() {
  using Files = std::vector<std::pair<std::filesystem::path, std::filesystem::path>>;
  Files files;
  for (const auto& list : lists)
    if (!list->is_fetched() && trouble_with(list->settings.file).empty() && !has_copy(list->settings.file, list->copy))
      files.emplace_back(list->settings.file, list->copy);
  if (files.empty()) return;
  const auto faults = std::make_shared<std::vector<std::string>>();
  loop.work_when_idle(
      [faults, files = std::move(files)] {
        for (const auto& [file, copy] : files)
          if (auto kept = keep_copy(file, copy); !kept) faults->push_back(std::move(kept.error()));
      },
      [weak = weak_from_this(), faults] {
        if (const auto self = weak.lock())
          for (const std::string& fault : *faults) self->log.warn("lists: {}", fault);
      });
}

/// Where nothing is in force yet, a house waits for it; else queries are not to wait for us.
void ListKeeper::Impl::run_on_pool(std::function<void()> job, std::function<void()> done) {
  if (current->name_count() == 0)
    loop.work(std::move(job), std::move(done));
  else
    loop.work_when_idle(std::move(job), std::move(done));
}

/// What is in force is mapped from it. Reads all of it, on the pool.
void ListKeeper::Impl::look_at_image_after(milliseconds pause) {
  image_timer = loop.after(pause, [this] {
    const auto fault = std::make_shared<std::optional<blocklist::ListSetFault>>();
    loop.work_when_idle(
        [fault, file = image] {
          if (const auto opened = blocklist::ListSet::open(file, true); !opened) *fault = opened.error();
        },
        [weak = weak_from_this(), fault] {
          if (const auto self = weak.lock()) self->take_look_at_image(*fault);
        });
  });
}

void ListKeeper::Impl::take_look_at_image(std::optional<blocklist::ListSetFault> fault) {
  look_at_image_after(look_at_image_every);
  if (!fault || lists.empty() || is_compiling) return;
  log.warn("lists: {}, which judges names: {}; it is compiled anew", image.string(), to_string(*fault));
  is_current = false;
  compile();
}

void ListKeeper::Impl::tell_problems(const List& list) {
  const blocklist::ListReport& report = *list.report;
  if (!report.failure.empty() && list.is_fetched() && !list.notes) return;  // not fetched yet: no news
  if (!report.failure.empty()) log.warn("list {}: {}", list.settings.name, report.failure);
  const std::filesystem::path text = text_of(folder, list.settings);
  const std::uint64_t damaged = report.read.damaged();
  std::size_t told = 0;
  for (const blocklist::LineProblem& problem : report.first_problems) {
    if (!blocklist::is_damage(problem.fault) || ++told > problems_logged) continue;
    log.warn("list {}: {}:{}:{}: {}", list.settings.name, text.string(), problem.line, problem.column,
             to_string(problem.fault));
  }
  if (damaged > problems_logged)
    log.warn("list {}: {} of {} lines cannot be read; the others are used", list.settings.name, grouped(damaged),
             grouped(report.read.lines));
  if (report.read.problems > damaged)
    log.info("list {}: {} of {} lines are no matter of DNS; `doline lists` tells why", list.settings.name,
             grouped(report.read.problems - damaged), grouped(report.read.lines));
}

void ListKeeper::Impl::take_compiled(std::uint64_t of_configuration,
                                     const Result<blocklist::CompileReport, std::string>& report,
                                     std::shared_ptr<const blocklist::ListSet> set, milliseconds took) {
  is_compiling = false;
  if (!report) {
    trouble = report.error();
    log.error("lists: {}; what was compiled before stays, next try in {}", trouble, wait_text(compile_again));
    is_current = stands_in = false;
    compile_timer = loop.after(compile_again, [this] { compile(); });
    return;
  }
  trouble.clear();
  const std::uint64_t print = blocklist::fingerprint_of(inputs());
  // Of this configuration, if perhaps of older texts; or of one that differs in nothing that is compiled.
  const bool is_ours = of_configuration == configuration || report->fingerprint == print;
  if (is_ours && !lists.empty()) {
    for (std::size_t at = 0; at < lists.size() && at < report->lists.size(); ++at) {
      const auto before = std::exchange(lists[at]->report, report->lists[at]);
      if (!before || before->failure != report->lists[at].failure ||
          before->read.problems != report->lists[at].read.problems)
        tell_problems(*lists[at]);
    }
    log.info("lists: {} names in {} lists, compiled in {} ms", grouped(report->names), lists.size(), took.count());
    current = std::move(set);
    is_current = true;
    stands_in = false;
    look_at_image_after(look_at_image_every);
    keep_copies();
    on_set(current);
  }
  // A text that changed, or a configuration that came, while this one was compiled.
  if (!is_ours)
    compile();
  else if (report->fingerprint != print)
    compile_soon();
}

/// The operator's files; what we write ourselves needs no watch.
void ListKeeper::Impl::watch_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& list : lists)
    if (!list->is_fetched()) files.push_back(list->settings.file);
  files_watch = FileWatch(loop, std::move(files), [this] { compile_soon(); });
}

// ── ListKeeper ───────────────────────────────────────────────────────────────────────────────────────────────────────

ListKeeper::ListKeeper(Loop& loop, std::filesystem::path state_folder, const Clock& clock, spdlog::logger& log,
                       OnSet on_set, ListPace pace)
    : impl_(std::make_shared<Impl>(loop, std::move(state_folder), clock, log, std::move(on_set), pace)) {}
ListKeeper::~ListKeeper() = default;

void ListKeeper::configure(std::vector<config::ListSettings> lists, std::vector<dns::Name> must_resolve) {
  Impl& it = *impl_;
  ++it.configuration;
  it.must_resolve = std::move(must_resolve);
  for (const config::ListSettings& list : lists)
    if (const auto host = host_of(list.url)) it.must_resolve.push_back(*host);
  std::vector<std::unique_ptr<Impl::List>> before = std::exchange(it.lists, {});
  for (auto& settings : lists) {
    const auto same = std::find_if(before.begin(), before.end(), [&](const auto& old) {
      return old && old->settings.name == settings.name && old->settings.url == settings.url &&
             old->settings.file == settings.file && old->settings.zone == settings.zone;
    });
    std::unique_ptr<Impl::List> list = same == before.end() ? std::make_unique<Impl::List>() : std::move(*same);
    const bool is_new = list->number == 0;
    const bool is_other_pace = list->settings.every != settings.every;
    list->settings = std::move(settings);
    if (is_new)
      it.adopt(*list);
    else if (is_other_pace && list->step == Impl::List::Step::waiting && list->notes && list->failures == 0)
      it.arm(*list, list->notes->fetched + it.jittered(it.refresh_of(*list)));
    it.lists.push_back(std::move(list));
  }
  for (const auto& old : before)
    if (old) it.cancel(*old);
  it.sweep();
  it.note_missing();
  it.watch_files();
  it.look_timer = it.loop.every(look_at_files_every, [&it] { it.look(); });
  it.start_due();
  it.listen();

  it.stands_in = false;
  // What is compiled already serves at once, if it is of these very lists and texts.
  const std::uint64_t print = blocklist::fingerprint_of(it.inputs());
  if (it.lists.empty()) {
    it.current = blocklist::ListSet::none();
    it.is_current = true;
    return;
  }
  if (it.current->list_count() == it.lists.size() && it.current->fingerprint() == print) {
    it.is_current = true;
    return;
  }
  it.is_current = false;
  it.current = blocklist::ListSet::none();
  if (auto opened = blocklist::ListSet::open(it.image); opened && (*opened)->fingerprint() == print) {
    it.current = *opened;
    it.is_current = true;
    auto reports = read_reports(it.reports, print);
    for (std::size_t at = 0; at < it.lists.size() && at < reports.size(); ++at)
      it.lists[at]->report = std::move(reports[at]);
    it.log.info("lists: {} names in {} lists, as compiled before", grouped(it.current->name_count()), it.lists.size());
    it.look_at_image_after(it.pace.image_look);
    it.keep_copies();
    return;
  }
  it.stands_in = true;
  it.compile();
}

std::shared_ptr<const blocklist::ListSet> ListKeeper::current() const {
  return impl_->current;
}

bool ListKeeper::stands_in() const {
  return impl_->stands_in;
}

bool ListKeeper::is_settled() const {
  return impl_->is_current && !impl_->is_compiling && !impl_->compile_by;
}

bool ListKeeper::refresh(const std::string& name) {
  bool is_there = name.empty();
  for (const auto& list : impl_->lists) {
    if (!name.empty() && list->settings.name != name) continue;
    is_there = true;
    list->wants_whole = true;
    if (list->is_fetched() && list->step == Impl::List::Step::waiting) list->step = Impl::List::Step::due;
  }
  impl_->start_due();
  impl_->look();
  return is_there;
}

const std::string& ListKeeper::trouble() const {
  return impl_->trouble;
}

resolver::AnswerNotification ListKeeper::notifications() const {
  return impl_->notifications;
}

void ListKeeper::check_files() {
  impl_->look();
}

std::vector<ListKeeper::State> ListKeeper::states() const {
  std::vector<State> all;
  for (std::size_t at = 0; at < impl_->lists.size(); ++at) {
    const Impl::List& list = *impl_->lists[at];
    State state;
    state.name = list.settings.name;
    state.kind = list.settings.kind;
    state.mode = list.settings.mode;
    state.url = source_of(list.settings);
    state.is_zone = list.settings.zone.has_value();
    state.file = text_of(impl_->folder, list.settings);
    state.octets = octets_of(state.file);
    state.modified = modified(state.file);
    if (at < impl_->current->list_count())
      state.names = impl_->current->name_count(blocklist::ListId{static_cast<std::uint16_t>(at)});
    if (list.report) {
      state.format = list.report->format;
      state.read = list.report->read;
      state.first_problems = list.report->first_problems;
      state.failure = list.report->failure;
    }
    // Of what has never come, the reason is why it could not be fetched.
    if (list.is_fetched() && !state.modified) state.failure = list.last_error;
    if (list.notes) state.last_fetch = list.notes->fetched;
    if (list.notes && list.notes->soa) {
      state.serial = list.notes->soa->serial;
      state.is_expired = list.notes->fetched + seconds(list.notes->soa->expire) < impl_->now();
    }
    state.next_fetch = list.next_fetch;
    state.last_error = list.last_error;
    state.failures = list.failures;
    all.push_back(std::move(state));
  }
  return all;
}

}  // namespace doline::control

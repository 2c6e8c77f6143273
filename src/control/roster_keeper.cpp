#include "control/roster_keeper.h"

#include <fcntl.h>
#include <net/if.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "control/announcement_listener.h"
#include "control/file_watch.h"
#include "control/neighbours.h"
#include "control/sighting_book.h"
#include "control/text_file.h"
#include "device/vendor_table.h"
#include "redirect/host_facts.h"

namespace doline::control {

namespace {

constexpr milliseconds look_at_leases_every{60'000};  // at lease files whose folder says nothing
constexpr milliseconds forget_every{3'600'000};       // the rest happens at each start
constexpr int times_saved_every = 15;                 // saves: when devices were seen is not worth an SD card
constexpr std::size_t asked_max = 4'096;              // clients that the neighbour table was looked at for
constexpr seconds ask_again{60};                      // for the same client: it may be behind another router for ever
constexpr std::array vendor_files{"oui.csv", "mam.csv", "oui36.csv", "iab.csv"};

/// Which version of a file was read.
struct Version {
  std::int64_t inode = 0, octets = -1, seconds = 0, nanoseconds = 0;
  bool operator==(const Version&) const = default;
};

Version version_of(const std::filesystem::path& file) {
  struct stat status{};
  if (stat(file.c_str(), &status) != 0) return {};
  return {static_cast<std::int64_t>(status.st_ino), static_cast<std::int64_t>(status.st_size), status.st_mtim.tv_sec,
          status.st_mtim.tv_nsec};
}

}  // namespace

std::filesystem::path sightings_file(const std::filesystem::path& state_folder) {
  return state_folder / "devices.json";
}

std::string save_sightings(const std::filesystem::path& file, const std::string& text, const char* suffix) {
  if (!text.empty()) return replace_text_file(file, text, suffix);
  std::error_code error;
  std::filesystem::remove(file, error);
  return error ? file.native() + " cannot be removed: " + error.message() : "";
}

struct RosterKeeper::Impl : std::enable_shared_from_this<RosterKeeper::Impl> {
  struct Lease {
    LeaseState state;
    Version version;
  };

  Impl(Loop& control_loop, std::filesystem::path state_folder, const Clock& a_clock, spdlog::logger& logger,
       OnRoster to_call, RosterPace a_pace, std::filesystem::path vendors);
  void begin();

  [[nodiscard]] bool is_outside(unsigned interface) const;
  void take(const device::Sighting& sighting);
  void hear(const IpAddress& source, const dns::Announcement& announcement);
  void take_name(const device::MacAddress& mac, std::string name, SightingBook::Hearing hearing);
  void read_vendors();
  bool read_leases();
  void watch_leases();
  void build();
  void build_soon();
  [[nodiscard]] std::string text() const;
  void save();
  void ask();

  [[nodiscard]] WallTime now() const { return clock.now().wall; }

  Loop& loop;
  const std::filesystem::path file;
  const Clock& clock;
  spdlog::logger& log;
  const OnRoster on_roster;
  const RosterPace pace;
  std::filesystem::path vendor_folder;  // empty once it is being read
  SightingBook book;
  std::vector<device::Group> groups;
  std::vector<device::DeviceSettings> devices;
  std::vector<Lease> leases;
  std::shared_ptr<const device::Roster> current = std::make_shared<device::Roster>();
  std::unique_ptr<Neighbours> neighbours;
  Discovery discovery;
  std::unique_ptr<AnnouncementListener> listener;
  std::unique_ptr<PointerAsker> asker;

  std::optional<MonotonicTime> build_by;
  Watch build_timer, lease_timer, ask_timer, save_timer, look_timer, forget_timer;
  FileWatch files_watch;
  std::map<IpAddress, MonotonicTime> asked;  // clients, and when they may be asked for again
  bool is_saved = true;
  bool is_urgent = false;     // not only times are unsaved
  int saves_passed_over = 0;  // where only they were
  bool is_saving = false;
  bool has_said_unsaved = false;
};

RosterKeeper::Impl::Impl(Loop& control_loop, std::filesystem::path state_folder, const Clock& a_clock,
                         spdlog::logger& logger, OnRoster to_call, RosterPace a_pace, std::filesystem::path vendors)
    : loop(control_loop),
      file(sightings_file(state_folder)),
      clock(a_clock),
      log(logger),
      on_roster(std::move(to_call)),
      pace(a_pace),
      vendor_folder(std::move(vendors)) {
  std::error_code ignored;
  std::filesystem::create_directories(state_folder, ignored);  // save() will say what is wrong
  if (const auto text = read_text_file(file)) book.read_text(*text, now());
}

void RosterKeeper::Impl::begin() {
  auto followed = Neighbours::follow(loop, [this](const listener::Neighbour& neighbour) {
    if (!is_outside(neighbour.interface)) take(neighbour.sighting);
  });
  if (followed)
    neighbours = std::move(*followed);
  else
    log.warn("devices: {}; only configured and leased devices are known", followed.error());
  look_timer = loop.every(look_at_leases_every, [this] {
    if (read_leases()) build_soon();
  });
  save_timer = loop.every(pace.save_every, [this] { save(); });
  forget_timer = loop.every(forget_every, [this] {
    if (book.forget(now())) build_soon();
  });
}

/// On the way to the Internet there are routers, and no devices of the LAN; but only where the operator has said where
/// these are.
bool RosterKeeper::Impl::is_outside(unsigned interface) const {
  std::array<char, IF_NAMESIZE> name{};
  const auto& inside = discovery.interfaces;
  if (inside.empty() || if_indextoname(interface, name.data()) == nullptr) return false;
  return std::find(inside.begin(), inside.end(), name.data()) == inside.end() && redirect::leads_out(name.data());
}

void RosterKeeper::Impl::take(const device::Sighting& sighting) {
  is_saved = false;  // at least its time is new
  if (!book.note(sighting, SightingBook::Source::neighbour, now())) return;
  is_urgent = true;
  build_soon();
}

/// A device speaks for itself alone: of an address that is not its own it may say what it likes.
void RosterKeeper::Impl::hear(const IpAddress& source, const dns::Announcement& announcement) {
  const auto speaker = book.holder_of(source);
  if (!speaker) return;
  const auto first_label = [](const dns::Name& name) {
    const auto wire = name.wire();
    return device::to_hostname({reinterpret_cast<const char*>(wire.data()) + 1, wire[0]});
  };
  const auto take_first = [&](const dns::Name& name) {
    take_name(*speaker, first_label(name), SightingBook::Hearing::announcement);
  };
  for (const auto& host : announcement.hosts)
    if (host.address == source || book.holder_of(host.address) == speaker) return take_first(host.name);
  if (!announcement.hosts.empty()) return;  // of others: it only passes them on
  for (const auto& instance : announcement.instances)
    if (instance.host) return take_first(*instance.host);
  for (const auto& instance : announcement.instances)
    if (instance.name.label_count() > 3) return take_first(instance.name);
}

void RosterKeeper::Impl::take_name(const device::MacAddress& mac, std::string name, SightingBook::Hearing hearing) {
  if (!book.note_name(mac, std::move(name), hearing)) return;
  is_saved = false;
  is_urgent = true;
  build_soon();
}

/// Once, and only where a device lacks its vendor: the files' megabytes are more work than the rest of a start.
void RosterKeeper::Impl::read_vendors() {
  if (vendor_folder.empty() || !book.lacks_vendors()) return;
  const auto table = std::make_shared<device::VendorTable>();
  loop.work(
      [folder = std::exchange(vendor_folder, {}), table] {
        std::vector<std::string> texts;
        for (const char* name : vendor_files)
          if (auto text = read_text_file(folder / name)) texts.push_back(std::move(*text));
        const std::vector<std::string_view> views(texts.begin(), texts.end());
        *table = device::VendorTable::read(views);
      },
      [weak = weak_from_this(), table] {
        const auto self = weak.lock();
        if (!self) return;
        self->log.debug("devices: {} prefixes of vendors", table->size());
        if (self->book.set_vendors(std::move(*table))) {
          self->is_saved = false;
          self->is_urgent = true;
          self->build_soon();
        }
      });
}

/// True: a roster made before is out of date.
bool RosterKeeper::Impl::read_leases() {
  bool is_changed = false;
  for (Lease& lease : leases) {
    const Version version = version_of(lease.state.file);
    if (version == lease.version) continue;
    lease.version = version;
    const std::string failed_before = std::exchange(lease.state.failure, {});
    const auto text = read_text_file(lease.state.file);
    if (!text) {
      lease.state.failure = text.error();
      if (lease.state.failure != failed_before) log.warn("leases: {}", text.error());
      continue;
    }
    auto reading = device::read_leases(*text, now());
    for (const device::Sighting& sighting : reading.sightings)
      is_changed |= book.note(sighting, SightingBook::Source::lease, now());
    is_saved = false;
    is_urgent |= is_changed;
    if (!reading.problems.empty() && reading.problems.size() != lease.state.problems.size())
      log.warn("leases: {}:{}: {}", lease.state.file.string(), reading.problems[0].line, reading.problems[0].what);
    lease.state.format = reading.format;
    lease.state.leases = reading.sightings.size();
    lease.state.problems = std::move(reading.problems);
  }
  return is_changed;
}

void RosterKeeper::Impl::watch_leases() {
  std::vector<std::filesystem::path> files;
  for (const Lease& lease : leases) files.push_back(lease.state.file);
  files_watch = FileWatch(loop, std::move(files), [this] {
    // dnsmasq writes its file anew in place: half of it is there first.
    lease_timer = loop.after(pace.settle, [this] {
      if (read_leases()) build_soon();
    });
  });
}

void RosterKeeper::Impl::build() {
  build_timer = Watch();
  build_by.reset();
  device::RosterBuilder builder;
  for (const device::Group& group : groups) builder.add_group(group);
  for (const device::DeviceSettings& device : devices) builder.add_device(device);
  book.fill(builder);
  current = builder.build();
  read_vendors();
  if (asker)
    for (const IpAddress& address : book.nameless()) (void)asker->ask(address);
}

void RosterKeeper::Impl::build_soon() {
  const MonotonicTime moment = clock.now().monotonic;
  if (!build_by) build_by = moment + pace.settle_max;
  const auto left = std::chrono::ceil<milliseconds>(*build_by - moment);
  build_timer = loop.after(std::clamp(left, milliseconds(0), pace.settle), [this] {
    build();
    on_roster(current);
  });
}

/// What may be remembered.
std::string RosterKeeper::Impl::text() const {
  return book.to_text([this](const device::MacAddress& mac, const IpAddress& address) {
    const device::Device* device = current->find(mac);
    return device == nullptr ||
           current->log_choice(*device, current->groups_of(*device, address)) == device::LogChoice::full;
  });
}

void RosterKeeper::Impl::save() {
  if (is_saved || is_saving) return;
  if (!is_urgent && ++saves_passed_over < times_saved_every) return;
  is_saved = is_saving = true;
  is_urgent = false;
  saves_passed_over = 0;
  const auto failure = std::make_shared<std::string>();
  loop.work([to = file, text = text(), failure] { *failure = save_sightings(to, text, ".new"); },
            [weak = weak_from_this(), failure] {
              const auto self = weak.lock();
              if (!self) return;
              self->is_saving = false;
              if (!failure->empty()) self->is_saved = false;
              if (!failure->empty() && !self->has_said_unsaved)
                self->log.warn("devices: {}; they will not be remembered", *failure);
              self->has_said_unsaved = !failure->empty();
            });
}

void RosterKeeper::Impl::ask() {
  ask_timer = Watch();
  if (neighbours) neighbours->look_again();
}

// ── RosterKeeper ─────────────────────────────────────────────────────────────────────────────────────────────────────

RosterKeeper::RosterKeeper(Loop& loop, std::filesystem::path state_folder, const Clock& clock, spdlog::logger& log,
                           OnRoster on_roster, RosterPace pace, std::filesystem::path vendors)
    : impl_(std::make_shared<Impl>(loop, std::move(state_folder), clock, log, std::move(on_roster), pace,
                                   std::move(vendors))) {
  impl_->begin();
}

RosterKeeper::~RosterKeeper() {
  if (impl_->is_saved) return;
  // A save that is still on the pool has a file of its own; if it ends later it wins, and is a minute old.
  if (const auto failure = save_sightings(impl_->file, impl_->text(), ".end"); !failure.empty())
    impl_->log.warn("devices: {}; they will not be remembered", failure);
}

void RosterKeeper::configure(std::vector<device::Group> groups, std::vector<device::DeviceSettings> devices,
                             std::vector<std::filesystem::path> leases) {
  Impl& it = *impl_;
  it.groups = std::move(groups);
  it.devices = std::move(devices);
  std::vector<Impl::Lease> before = std::exchange(it.leases, {});
  for (auto& file : leases) {
    const auto same =
        std::find_if(before.begin(), before.end(), [&](const Impl::Lease& lease) { return lease.state.file == file; });
    it.leases.push_back(same == before.end() ? Impl::Lease{} : std::move(*same));
    // No version at all, so that a file that is not there is told as well.
    if (same == before.end()) it.leases.back().version.octets = -2;
    it.leases.back().state.file = std::move(file);
  }
  it.watch_leases();
  it.read_leases();
  it.build();
  it.is_saved = false;  // others may be remembered now
  it.is_urgent = true;
}

void RosterKeeper::discover(Discovery wanted) {
  Impl& it = *impl_;
  const bool is_new = wanted.interfaces != it.discovery.interfaces;
  if (!wanted.hears_announcements)
    it.listener.reset();
  else if (!it.listener || is_new)
    it.listener = std::make_unique<AnnouncementListener>(
        it.loop, it.clock, wanted.interfaces,
        [&it](const IpAddress& source, const dns::Announcement& announcement) { it.hear(source, announcement); });
  if (wanted.zones.empty())
    it.asker.reset();
  else if (!it.asker || wanted.zones != it.discovery.zones)
    it.asker = std::make_unique<PointerAsker>(
        it.loop, it.clock, wanted.zones, [&it](const IpAddress& address, const dns::Name& name) {
          const auto label = name.wire();
          if (const auto mac = it.book.holder_of(address); mac && !name.is_root())
            it.take_name(*mac, device::to_hostname({reinterpret_cast<const char*>(label.data()) + 1, label[0]}),
                         SightingBook::Hearing::pointer);
        });
  it.discovery = std::move(wanted);
  if (it.asker)
    for (const IpAddress& address : it.book.nameless()) (void)it.asker->ask(address);
}

std::string RosterKeeper::deafness() const {
  return impl_->listener ? impl_->listener->failure() : "";
}

std::shared_ptr<const device::Roster> RosterKeeper::current() const {
  return impl_->current;
}

void RosterKeeper::saw_client(const IpAddress& client) {
  Impl& it = *impl_;
  if (client.is_loopback() || it.book.knows(client)) return;  // known: the roster with it is on its way
  const MonotonicTime moment = it.clock.now().monotonic;
  const auto [entry, is_new] = it.asked.try_emplace(client, moment);
  if (!is_new && moment < entry->second) return;
  entry->second = moment + ask_again;
  if (it.asked.size() > asked_max) it.asked.clear();
  if (!it.ask_timer) it.ask_timer = it.loop.after(it.pace.ask_after, [&it] { it.ask(); });
}

void RosterKeeper::check_leases() {
  if (impl_->read_leases()) impl_->build_soon();
}

Result<std::size_t, std::string> RosterKeeper::forget(const querylog::Forgetting& what) {
  Impl& it = *impl_;
  const std::size_t count = it.book.forget(what, *it.current);
  it.build();
  it.on_roster(it.current);
  std::string failure = save_sightings(it.file, it.text(), ".end");
  // A save that is still on the pool brings back what it was given: then it is written once more.
  it.is_saved = failure.empty() && !it.is_saving;
  it.is_urgent = !it.is_saved;
  if (!failure.empty()) return fail(std::move(failure));
  return count;
}

std::vector<SightingBook::Seen> RosterKeeper::seen_after(WallTime time) const {
  return impl_->book.seen_after(time);
}

std::vector<RosterKeeper::LeaseState> RosterKeeper::lease_states() const {
  std::vector<LeaseState> states;
  for (const Impl::Lease& lease : impl_->leases) states.push_back(lease.state);
  return states;
}

}  // namespace doline::control

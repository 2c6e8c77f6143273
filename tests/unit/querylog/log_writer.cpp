#include "querylog/log_writer.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "dns/presentation.h"
#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;
using samples::a;
using samples::cname;
using samples::morning;
using std::chrono::minutes;

namespace {

/// Whatever a test does, the writer is given one clock, one set of rings, one file.
struct Desk {
  explicit Desk(std::filesystem::path file, Options options = {}, std::size_t ring_octets = ring_octets_default)
      : ring(ring_octets), path(std::move(file)) {
    options.path = path;
    options.flush_every = milliseconds(20);
    writer = std::make_unique<LogWriter>(options, std::vector<Ring*>{&ring}, clock, events.taker());
    writer->install(samples::legend(1, roster));
  }

  bool push(const Record& record, dns::Octets response = {}) {
    ++offered;
    return ring.push(record, response);
  }
  /// `count` queries of the phone, behind one another; pushed as fast as the ring takes them.
  void push_many(int count, std::string_view suffix = ".example") {
    const auto response = samples::response("www.example.com", dns::RecordType::a, {a("www.example.com", "192.0.2.1")});
    for (int number = 0; number < count; ++number) {
      Record record = samples::record(*roster, next, "192.168.50.105", std::to_string(number) + std::string(suffix));
      next += microseconds(1'000);
      push(record, response);
    }
  }
  /// Until `holds`, for half a minute at most.
  template <class Condition>
  bool wait_for(Condition holds) {
    for (int turn = 0; turn < 3'000; ++turn) {
      if (holds()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  bool wait_for_state(LogState state) {
    if (wait_for([&] { return writer->statistics().state == state; })) return true;
    for (const LogEvent& event : events.all()) MESSAGE(event.text);
    return false;
  }
  void stop_and_count() {
    writer->stop();
    samples::check_conservation(*writer, offered);
    CHECK(writer->statistics().state == LogState::stopped);
  }

  samples::WallClock clock{morning};
  std::shared_ptr<const device::Roster> roster = samples::household();
  samples::Events events;
  Ring ring;
  std::filesystem::path path;
  std::unique_ptr<LogWriter> writer;
  std::uint64_t offered = 0;
  WallTime next = morning;
};

std::int64_t number(const std::filesystem::path& file, const std::string& sql) {
  auto database = Database::open(file, Database::Access::read, milliseconds(0));
  REQUIRE(database.has_value());
  const auto value = database->integer(sql);
  REQUIRE(value.has_value());
  return *value;
}

constexpr const char* rows_in_file = "SELECT coalesce(sum(rows), 0) FROM segment";

/// Files of this process end here, as on a full disk (SQLite sees EFBIG where it would see ENOSPC).
class FileLimit {
 public:
  explicit FileLimit(rlim_t octets) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit now{octets, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &now) == 0);
  }
  ~FileLimit() { lift(); }
  void lift() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

/// Overwrites the file's pages from the second on.
void spoil(const std::filesystem::path& file) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  const auto octets = std::filesystem::file_size(file);
  stream.seekp(4'096);
  stream << std::string(octets - 4'096, '\x5a');
}

std::vector<std::filesystem::path> set_aside_files(const samples::Folder& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().string().find(".corrupt-") != std::string::npos) found.push_back(entry.path());
  return found;
}

}  // namespace

TEST_CASE("a record comes back from the file with all that it held, and its answers") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  Record record = samples::intercepted(
      samples::record(*desk.roster, morning + microseconds(250), "192.168.50.104", "WWW.Example.com"),
      "114.114.114.114");
  record.transport = Transport::tcp;
  record.verdict = VerdictKind::rewrite;
  record.rule.value = 2;
  record.has_observed = true;
  record.observed = VerdictKind::block;
  record.observed_rule.value = 0;
  record.dnssec = Dnssec::upstream_said_secure;
  record.latency_us = 777;
  desk.push(record, samples::response("www.example.com", dns::RecordType::a,
                                      {cname("www.example.com", "cdn.example.net", 60),
                                       a("cdn.example.net", "192.0.2.1"), a("cdn.example.net", "192.0.2.2")}));
  desk.writer->flush();
  const auto rows = samples::rows(desk.path);
  REQUIRE(rows.size() == 1);
  const LogRow& row = rows[0];
  CHECK(row.time == morning + microseconds(250));
  CHECK(row.device == "wyze-base");
  REQUIRE(row.mac.has_value());
  CHECK(row.mac->to_string() == "94:51:3d:13:9a:35");
  CHECK(row.vendor == "Wyze Labs");
  CHECK(row.groups == std::vector<std::string>{"cameras"});
  CHECK(row.client == samples::address("192.168.50.104"));
  REQUIRE(row.original_destination.has_value());
  CHECK(row.original_destination->to_string() == "114.114.114.114:53");
  CHECK(row.destination_source == device::DestinationSource::tproxy);
  CHECK(row.transport == Transport::tcp);
  CHECK(row.qname == samples::name("www.example.com"));
  CHECK(row.qtype == dns::RecordType::a);
  CHECK(row.verdict == VerdictKind::rewrite);
  CHECK(row.rule == "doline.yml:42");
  CHECK(row.observed == VerdictKind::block);
  CHECK(row.observed_rule == "doline.yml:40");
  CHECK(row.source == Source::upstream);
  CHECK(row.code == dns::ResponseCode::noerror);
  CHECK(row.ttl == 60u);
  REQUIRE(row.upstream.has_value());
  CHECK(row.upstream->to_string() == "9.9.9.9:53");
  CHECK(row.latency_us == 777);
  CHECK(row.dnssec == Dnssec::upstream_said_secure);
  REQUIRE(row.answers.size() == 3);
  CHECK(row.answers[0].type == dns::RecordType::cname);
  CHECK(row.answers[2].owner == samples::name("cdn.example.net"));
  CHECK(dns::rdata_to_string(row.answers[2].type, row.answers[2].rdata) == "192.0.2.2");
  CHECK_FALSE(row.answers_shortened);
  desk.stop_and_count();
}

TEST_CASE("lists, rules of no line, refused queries and absent parts are told apart") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  Record by_lists = samples::record(*desk.roster, morning, "192.168.50.105", "ads.example");
  by_lists.rule = policy::lists_rule;
  by_lists.verdict = VerdictKind::block;
  by_lists.source = Source::synthesized;
  by_lists.upstream = {};
  desk.push(by_lists);
  Record rejected = samples::record(*desk.roster, morning + microseconds(1), "192.168.50.105", ".");
  rejected.verdict = VerdictKind::rejected;
  rejected.code = dns::ResponseCode::formerr;
  rejected.source = Source::none;
  desk.push(rejected);
  desk.push(samples::record(*desk.roster, morning + microseconds(2), "192.168.50.105", "www.example.com"));
  desk.writer->flush();
  const auto rows = samples::rows(desk.path);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].rule == "lists");
  CHECK_FALSE(rows[0].upstream.has_value());
  CHECK_FALSE(rows[0].original_destination.has_value());
  CHECK_FALSE(rows[0].ttl.has_value());
  CHECK_FALSE(rows[0].observed.has_value());
  CHECK(rows[1].rule.empty());
  CHECK(rows[1].code == dns::ResponseCode::formerr);
  CHECK(rows[2].rule == "otherwise");
}

TEST_CASE("of whom nothing is to be kept, nothing is, and of whom no name is, none") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push(samples::record(*desk.roster, morning, "192.168.50.20", "tablet.example"));
  desk.push(samples::record(*desk.roster, morning + microseconds(1), "192.168.50.30", "laptop.example"));
  desk.writer->flush();
  const auto rows = samples::rows(desk.path);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].qname == samples::name("laptop.example"));
  CHECK(rows[0].device.empty());
  CHECK_FALSE(rows[0].mac.has_value());
  CHECK_FALSE(rows[0].client.has_value());
  CHECK(desk.writer->statistics().not_recorded == 1);
  CHECK(number(desk.path, "SELECT count(*) FROM endpoint WHERE port = 0") == 0);
  desk.stop_and_count();
}

TEST_CASE("a device that was unknown when it asked has its name, and its privacy, as soon as it is known") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  Record early = samples::record(*desk.roster, morning, "192.168.50.104", "early.example");
  early.device.value = 0;
  desk.push(early);
  Record secret = samples::record(*desk.roster, morning + microseconds(1), "192.168.50.20", "secret.example");
  secret.device.value = 0;
  secret.log = device::LogChoice::full;
  desk.push(secret);
  desk.writer->flush();
  const auto rows = samples::rows(desk.path);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].device == "wyze-base");
  desk.stop_and_count();
}

TEST_CASE("a record is read by the legend of its own generation") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  Legend next = samples::legend(2, desk.roster);
  next.rule_texts = {"doline.yml:7"};
  desk.writer->install(std::move(next));
  Record old = samples::record(*desk.roster, morning, "192.168.50.105", "old.example");
  old.rule.value = 0;
  Record made_new = samples::record(*desk.roster, morning + microseconds(1), "192.168.50.105", "new.example");
  made_new.rule.value = 0;
  made_new.generation = 2;
  Record unheard_of = samples::record(*desk.roster, morning + microseconds(2), "192.168.50.105", "unheard.example");
  unheard_of.rule.value = 9;
  unheard_of.generation = 77;
  desk.push(old);
  desk.push(made_new);
  desk.push(unheard_of);
  desk.writer->flush();
  const auto rows = samples::rows(desk.path);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].rule == "doline.yml:40");
  CHECK(rows[1].rule == "doline.yml:7");
  CHECK(rows[2].rule == "rule 9");
  CHECK(rows[2].device == "unknown");
}

TEST_CASE("a record that comes right behind its legend is read by it") {
  for (int turn = 0; turn < 20; ++turn) {
    const samples::Folder folder;
    Desk desk(folder / "x.db");
    desk.push_many(1);
    desk.stop_and_count();
    REQUIRE(samples::rows(desk.path).at(0).device == "phone");
  }
}

TEST_CASE("a record that waits is read by its legend, whatever else was installed meanwhile") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(1);
  desk.writer->flush();
  auto other = Database::open(desk.path, Database::Access::write, milliseconds(1'000));
  REQUIRE(other.has_value());
  REQUIRE(other->execute("BEGIN IMMEDIATE").has_value());
  Record old = samples::record(*desk.roster, morning + seconds(1), "192.168.50.105", "old.example");
  old.rule.value = 0;
  desk.push(old);
  CHECK(desk.wait_for_state(LogState::locked));
  for (std::uint64_t generation = 2; generation < legends_max + 10; ++generation) {
    Legend next = samples::legend(generation, desk.roster);
    next.rule_texts = {"doline.yml:7"};
    desk.writer->install(std::move(next));
  }
  REQUIRE(other->execute("ROLLBACK").has_value());
  CHECK(desk.wait_for_state(LogState::writing));
  desk.writer->flush();
  const auto rows = samples::rows(desk.path);
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].rule == "doline.yml:40");
  CHECK(rows[1].device == "phone");
  desk.stop_and_count();
}

TEST_CASE("two workers' records stand in the order of their time") {
  const samples::Folder folder;
  samples::WallClock clock{morning};
  const auto roster = samples::household();
  Ring one, other;
  samples::Events events;
  Options options;
  options.path = folder / "x.db";
  LogWriter writer(options, {&one, &other}, clock, events.taker());
  writer.install(samples::legend(1, roster));
  for (int number = 0; number < 1'000; ++number)
    (number % 3 == 0 ? one : other)
        .push(samples::record(*roster, morning + microseconds(number * 10), "192.168.50.105",
                              std::to_string(number) + ".example"),
              {});
  writer.flush();
  const auto rows = samples::rows(options.path);
  REQUIRE(rows.size() == 1'000);
  for (int number = 0; number < 1'000; ++number)
    REQUIRE(rows[static_cast<std::size_t>(number)].qname.to_string() == std::to_string(number) + ".example");
  writer.stop();
  samples::check_conservation(writer, 1'000);
}

TEST_CASE("records of late responses stand at their time, and those of one instant as they came") {
  const samples::Folder folder;
  samples::WallClock clock{morning};
  const auto roster = samples::household();
  Ring ring;
  samples::Events events;
  Options options;
  options.path = folder / "x.db";
  LogWriter writer(options, {&ring}, clock, events.taker());
  writer.install(samples::legend(1, roster));
  std::mt19937 random(11);
  std::vector<std::pair<WallTime, std::string>> expected;
  for (int number = 0; number < 2'000; ++number) {
    const microseconds late(random() % 5 == 0 ? random() % 3'000 : 0);
    const WallTime time = morning + std::chrono::floor<milliseconds>(microseconds(number * 10) - late);
    expected.emplace_back(time, std::to_string(number) + ".example");
    ring.push(samples::record(*roster, time, "192.168.50.105", expected.back().second), {});
  }
  writer.flush();
  std::stable_sort(expected.begin(), expected.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  const auto rows = samples::rows(options.path);
  REQUIRE(rows.size() == expected.size());
  for (std::size_t row = 0; row < rows.size(); ++row) REQUIRE(rows[row].qname.to_string() == expected[row].second);
}

TEST_CASE("without answers in the options, none is kept") {
  const samples::Folder folder;
  Options options;
  options.answers = false;
  Desk desk(folder / "x.db", options);
  desk.push(samples::record(*desk.roster, morning, "192.168.50.105", "www.example.com"),
            samples::response("www.example.com", dns::RecordType::a, {a("www.example.com", "192.0.2.1")}));
  desk.writer->flush();
  CHECK(samples::rows(desk.path).at(0).answers.empty());
  CHECK(number(desk.path, "SELECT count(*) FROM answer") == 0);
}

TEST_CASE("what is pushed before stop() is in the file after it") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(10'000);
  desk.stop_and_count();
  CHECK(desk.writer->statistics().written == 10'000);
  // Nothing is left beside the file: it can be copied.
  CHECK_FALSE(std::filesystem::exists(desk.path.string() + "-wal"));
  CHECK(number(desk.path, rows_in_file) == 10'000);
}

TEST_CASE("a ring that is full loses records, and each is counted") {
  const samples::Folder folder;
  Desk desk(folder / "x.db", {}, ring_octets_min);
  desk.push_many(5'000);
  desk.stop_and_count();
  const LogStatistics statistics = desk.writer->statistics();
  CHECK(statistics.lost_at_ring > 0);
  CHECK(statistics.lost() == statistics.lost_at_ring);
  CHECK(static_cast<std::uint64_t>(number(desk.path, rows_in_file)) == statistics.written);
}

TEST_CASE("a reader in the middle of a read does not hold up the writer") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(100);
  desk.writer->flush();
  auto reader = Database::open(desk.path, Database::Access::read, milliseconds(0));
  REQUIRE(reader.has_value());
  REQUIRE(reader->execute("BEGIN").has_value());
  REQUIRE(reader->integer(rows_in_file) == 100);
  desk.push_many(5'000);
  desk.writer->flush();
  CHECK(desk.writer->statistics().written == 5'100);
  CHECK(desk.writer->statistics().state == LogState::writing);
  CHECK(reader->integer(rows_in_file) == 100);
  CHECK(number(desk.path, rows_in_file) == 5'100);
  CHECK(desk.events.all().empty());
  desk.stop_and_count();
}

TEST_CASE("records go by age, as the clock goes on") {
  const samples::Folder folder;
  Options options;
  options.keep = std::chrono::hours(48);
  Desk desk(folder / "x.db", options);
  desk.push_many(500);
  desk.writer->flush();
  desk.clock.pass(std::chrono::hours(47));
  desk.next = morning + std::chrono::hours(47);
  desk.push_many(10, ".later.example");
  desk.writer->flush();
  CHECK(number(desk.path, rows_in_file) == 510);
  desk.clock.pass(std::chrono::hours(2));
  CHECK(desk.wait_for([&] { return number(desk.path, rows_in_file) == 10; }));
  CHECK(desk.wait_for([&] { return desk.writer->statistics().oldest == morning + std::chrono::hours(47); }));
  CHECK(desk.wait_for([&] { return number(desk.path, "SELECT count(*) FROM name") == 10; }));
  desk.writer->keep(std::chrono::hours(1), options.max_size_octets);
  CHECK(desk.wait_for([&] { return number(desk.path, rows_in_file) == 0; }));
  desk.stop_and_count();
}

TEST_CASE("a clock that jumps ahead takes nothing away until it has kept its word for an hour") {
  using std::chrono::hours;
  const samples::Folder folder;
  Options options;
  options.keep = hours(48);
  {
    Desk desk(folder / "x.db", options);
    desk.push_many(50);
    desk.writer->flush();
    desk.clock.advance(hours(24'000));
    CHECK(desk.wait_for([&] { return desk.writer->statistics().is_retiring_put_off; }));
    desk.clock.pass(minutes(50));
    desk.next = morning + hours(24'001);
    desk.push_many(5);
    desk.writer->flush();
    desk.clock.advance(-hours(24'000));  // it was wrong
    CHECK(desk.wait_for([&] { return !desk.writer->statistics().is_retiring_put_off; }));
    desk.clock.pass(hours(2));
    CHECK(desk.wait_for([&] { return desk.writer->statistics().oldest == morning; }));
    CHECK(number(desk.path, rows_in_file) == 55);
    CHECK(desk.events.all().size() == 1);
    desk.next = morning + hours(2);
    desk.push_many(1);
    desk.stop_and_count();
  }
  // At the next start too, by what the log held, and though some of it is of the time that was wrong.
  Desk desk(folder / "x.db", options);
  desk.clock.advance(hours(24'000));
  CHECK(desk.wait_for([&] { return desk.writer->statistics().is_retiring_put_off; }));
  desk.clock.pass(minutes(70));  // it was right
  CHECK(desk.wait_for([&] { return number(desk.path, rows_in_file) == 5; }));
  CHECK_FALSE(desk.writer->statistics().is_retiring_put_off);
}

TEST_CASE("records go by size, the oldest first") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  for (int hour = 0; hour < 20; ++hour) {
    desk.next = morning - std::chrono::hours(20 - hour);
    desk.push_many(1'000, "." + std::to_string(hour) + ".example");
  }
  desk.writer->flush();
  REQUIRE(desk.writer->statistics().written == 20'000);
  const auto most = static_cast<std::uint64_t>(number(desk.path, "PRAGMA page_count")) * 4'096 / 2;
  desk.writer->keep(std::chrono::hours(1'000), most);
  CHECK(desk.wait_for([&] {
    const LogStatistics now = desk.writer->statistics();
    return now.size_octets > 0 && now.size_octets <= most + (2 << 20) && number(desk.path, rows_in_file) < 15'000;
  }));
  desk.stop_and_count();
  const auto left = samples::rows(desk.path);
  REQUIRE(left.size() > 3'000);
  CHECK(left.back().qname == samples::name("999.19.example"));
}

TEST_CASE("where the file may not grow, the log stops and says so once, and where it may again, it goes on") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(100);
  desk.writer->flush();
  REQUIRE(desk.writer->statistics().written == 100);
  {
    FileLimit limit(std::filesystem::file_size(desk.path));
    desk.push_many(3'000, ".full.example");
    CHECK(desk.wait_for_state(LogState::disk_full));
    // The workers notice nothing: their ring is drained all the same.
    CHECK(desk.wait_for([&] { return desk.ring.used() == 0; }));
    desk.push_many(static_cast<int>(pending_max) - 1'000, ".fuller.example");
    CHECK(desk.wait_for([&] { return desk.ring.used() == 0; }));
    CHECK(desk.wait_for([&] { return desk.writer->statistics().lost_at_database > 0; }));
    CHECK(desk.events.count(LogEvent::Kind::degraded) == 1);
  }
  CHECK(desk.wait_for_state(LogState::writing));
  CHECK(desk.events.count(LogEvent::Kind::recovered) == 1);
  desk.push_many(10, ".after.example");
  desk.stop_and_count();
  const LogStatistics statistics = desk.writer->statistics();
  CHECK(static_cast<std::uint64_t>(number(desk.path, rows_in_file)) == statistics.written);
  CHECK(statistics.lost_at_database < 6'000);
  CHECK(statistics.lost_at_ring == 0);
  CHECK(samples::rows(desk.path).back().qname == samples::name("9.after.example"));
  CHECK(number(desk.path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0);
}

TEST_CASE("a log that was full when it began begins when there is room") {
  const samples::Folder folder;
  std::unique_ptr<Desk> desk;
  {
    FileLimit limit(8'192);
    desk = std::make_unique<Desk>(folder / "x.db");
    desk->push_many(10);
    CHECK(desk->wait_for_state(LogState::disk_full));
    desk->writer->flush();
  }
  CHECK(desk->wait_for_state(LogState::writing));
  desk->stop_and_count();
  CHECK(desk->writer->statistics().written == 10);
}

TEST_CASE("a full file system stops the log, not its process, and room on it lets it go on") {
  // In a process of its own: what is mounted there is gone with it.
  const samples::Folder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    constexpr int no_mount = 77;
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=16m") != 0)
      ::_exit(no_mount);
    const auto fill = [&] { std::ofstream(folder / "ballast") << std::string(20 << 20, 'x'); };
    fill();
    Desk desk(folder / "x.db");
    desk.push_many(100);
    const bool began_full = desk.wait_for_state(LogState::disk_full);
    std::filesystem::remove(folder / "ballast");
    const bool began = desk.wait_for_state(LogState::writing);
    fill();
    for (int turn = 0; turn < 20; ++turn) {
      desk.push_many(500, "." + std::to_string(turn) + ".example");
      std::this_thread::sleep_for(milliseconds(20));
    }
    const bool was_full = desk.wait_for_state(LogState::disk_full);
    std::filesystem::remove(folder / "ballast");
    desk.push_many(1);
    const bool came_back = desk.wait_for_state(LogState::writing);
    desk.writer->stop();
    const LogStatistics statistics = desk.writer->statistics();
    const bool adds_up = statistics.pushed + statistics.lost_at_ring == desk.offered &&
                         statistics.pushed == statistics.written + statistics.lost_at_database;
    ::_exit((was_full ? 0 : 1) | (came_back ? 0 : 2) | (adds_up ? 0 : 4) | (began_full ? 0 : 8) | (began ? 0 : 16));
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    MESSAGE("skipped: nothing may be mounted here");
  else
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a damaged file is set aside, loudly, and a new one begun, and no record is lost by it") {
  const samples::Folder folder;
  {
    Desk desk(folder / "x.db");
    desk.push_many(2'000);
    desk.stop_and_count();
  }
  spoil(folder / "x.db");
  Desk desk(folder / "x.db");
  desk.push_many(10, ".new.example");
  desk.writer->flush();
  CHECK(desk.wait_for_state(LogState::writing));
  CHECK(desk.events.count(LogEvent::Kind::set_aside) == 1);
  const auto files = set_aside_files(folder);
  REQUIRE(files.size() == 1);
  CHECK(files[0].filename().string() == "x.db.corrupt-20261125T070000Z");
  CHECK(desk.events.all().at(0).text.find("x.db.corrupt-") != std::string::npos);
  CHECK(std::filesystem::file_size(files[0]) > 100'000);
  desk.stop_and_count();
  CHECK(desk.writer->statistics().lost() == 0);
  CHECK(number(folder / "x.db", rows_in_file) == 10);
}

TEST_CASE("a file that is damaged while it is written is set aside too") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(4'000);
  desk.writer->flush();
  REQUIRE(desk.writer->statistics().written == 4'000);
  {
    auto other = Database::open(desk.path, Database::Access::write, milliseconds(1'000));
    REQUIRE(other.has_value());
    REQUIRE(other->execute("PRAGMA wal_checkpoint(TRUNCATE)").has_value());
    spoil(desk.path);
    // The writer's page cache is void once somebody else has written.
    REQUIRE(other->execute("PRAGMA user_version = 2").has_value());
  }
  desk.push_many(100, ".new.example");
  desk.writer->flush();
  CHECK(desk.wait_for([&] { return desk.events.count(LogEvent::Kind::set_aside) == 1; }));
  CHECK(desk.wait_for_state(LogState::writing));
  desk.stop_and_count();
  CHECK(desk.writer->statistics().lost() == 0);
  CHECK(number(desk.path, rows_in_file) == 100);
}

TEST_CASE("a log of another program and one of a later Doline are never touched, and records are counted as lost") {
  for (const char* what : {"foreign", "newer"}) {
    const samples::Folder folder;
    const auto file = folder / "x.db";
    if (what == std::string_view("newer")) {
      Desk desk(file);
      desk.stop_and_count();
    }
    {
      auto database = Database::open(file, Database::Access::write, milliseconds(0));
      REQUIRE(database.has_value());
      REQUIRE(database->execute("CREATE TABLE photos(a); PRAGMA user_version = 99").has_value());
    }
    Desk desk(file);
    desk.push_many(10);
    const LogState state = what == std::string_view("newer") ? LogState::newer_schema : LogState::foreign;
    CHECK(desk.wait_for_state(state));
    desk.stop_and_count();
    CHECK(desk.writer->statistics().lost_at_database == 10);
    CHECK(number(file, "PRAGMA user_version") == 99);
    CHECK(set_aside_files(folder).empty());
  }
}

TEST_CASE("a file that is deleted under the writer is begun anew") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(10);
  desk.writer->flush();
  for (const char* part : {"", "-wal", "-shm"}) std::filesystem::remove(desk.path.string() + part);
  CHECK(desk.wait_for([&] { return desk.events.count(LogEvent::Kind::replaced) == 1; }));
  desk.push_many(5, ".new.example");
  desk.writer->flush();
  CHECK(number(desk.path, rows_in_file) == 5);
  desk.stop_and_count();
}

TEST_CASE("a lock of another process is waited for while records wait, and none is lost") {
  const samples::Folder folder;
  Desk desk(folder / "x.db");
  desk.push_many(10);
  desk.writer->flush();
  auto other = Database::open(desk.path, Database::Access::write, milliseconds(1'000));
  REQUIRE(other.has_value());
  REQUIRE(other->execute("BEGIN IMMEDIATE").has_value());
  desk.push_many(100, ".waiting.example");
  CHECK(desk.wait_for_state(LogState::locked));
  REQUIRE(other->execute("ROLLBACK").has_value());
  CHECK(desk.wait_for_state(LogState::writing));
  desk.stop_and_count();
  CHECK(desk.writer->statistics().written == 110);
}

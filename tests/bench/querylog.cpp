// How fast the query log is written, and how long its questions take: a household's log of many rows, made through the
// real writer, then asked. Prints figures; asserts none of them.
//   querylog_bench [ROWS [FILE]]   (default 10,000,000 rows, a file that is gone at the end)
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "dns/writer.h"
#include "querylog/log_reader.h"
#include "querylog/log_writer.h"

using namespace doline;
using namespace doline::querylog;

namespace {

constexpr int devices = 40;
constexpr int names = 60'000;                    // of which few are asked often
constexpr int resolvers = 12;                    // foreign ones that devices mean to ask
constexpr microseconds household_step{259'200};  // between two rows: ten million in thirty days
constexpr WallTime end{seconds(1'795'590'000)};  // 2026-11-25T07:00:00Z

class WrittenClock final : public Clock {
 public:
  Moment now() const override { return {SystemClock().now().monotonic, end}; }
};

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Of all threads but this one: of the writer.
double cpu_seconds(int whose = RUSAGE_SELF) {
  rusage usage{};
  ::getrusage(whose, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  const double all = of(usage.ru_utime) + of(usage.ru_stime);
  return whose == RUSAGE_SELF ? all - cpu_seconds(RUSAGE_THREAD) : all;
}

std::string name_text(int number) {
  return (number % 3 == 0 ? "www" : "host" + std::to_string(number)) + ".site" + std::to_string(number / 4) +
         (number % 5 == 0 ? ".example.org" : ".example.com");
}

struct Asked {
  dns::Name name;
  std::vector<std::uint8_t> response;
};

std::vector<Asked> make_names() {
  std::vector<Asked> made(names);
  for (int number = 0; number < names; ++number) {
    Asked& asked = made[static_cast<std::size_t>(number)];
    asked.name = *dns::Name::parse(name_text(number));
    asked.response.resize(512);
    dns::MessageWriter writer(asked.response);
    writer.header(0, {}, dns::ResponseCode::noerror);
    bool fits = writer.question({asked.name, dns::RecordType::a, dns::RecordClass::in});
    for (int address = 0; address <= number % 3; ++address) {
      const std::uint8_t octets[] = {10, static_cast<std::uint8_t>(number >> 16),
                                     static_cast<std::uint8_t>(number >> 8),
                                     static_cast<std::uint8_t>(number + address)};
      fits = fits &&
             writer.record(dns::Section::answer, asked.name, dns::RecordType::a, dns::RecordClass::in, 300, octets);
    }
    if (!fits) std::abort();
    asked.response.resize(writer.size());
  }
  return made;
}

std::shared_ptr<const device::Roster> make_roster() {
  device::RosterBuilder builder;
  for (int number = 0; number < devices; ++number) {
    device::DeviceSettings settings;
    settings.name = "device-" + std::to_string(number);
    settings.addresses = {*IpPrefix::parse("192.168.50." + std::to_string(number + 1))};
    builder.add_device(settings);
  }
  return builder.build();
}

void write_rows(const std::filesystem::path& file, std::int64_t rows, microseconds step) {
  const auto roster = make_roster();
  const auto asked = make_names();
  const WrittenClock clock;
  Ring ring;
  Options options;
  options.path = file;
  LogWriter writer(options, {&ring}, clock, [](const LogEvent& event) { std::printf("! %s\n", event.text.c_str()); });
  writer.install({1, roster, blocklist::ListSet::none(), {}, {"doline.yml:40"}});
  std::mt19937_64 random(1);
  const auto begin = std::chrono::steady_clock::now();
  const double cpu_before = cpu_seconds();
  for (std::int64_t row = 0; row < rows; ++row) {
    Record record;
    record.time = end - step * (rows - row);
    record.generation = 1;
    const auto from = static_cast<std::uint8_t>(random() % devices + 1);
    record.client = IpAddress::v4(192, 168, 50, from);
    record.device = roster->identify(record.client).id;
    // Of the names, the square: the first are asked by far the most.
    const double where = static_cast<double>(random() % 1'000'000) / 1'000'000.0;
    const Asked& of = asked[static_cast<std::size_t>(where * where * where * names)];
    record.qname = of.name;
    record.latency_us = static_cast<std::uint32_t>(random() % 30'000);
    record.source = random() % 4 == 0 ? Source::upstream : Source::cache;
    if (record.source == Source::upstream) record.upstream = {IpAddress::v4(9, 9, 9, 9), 53};
    if (from <= 5)
      record.destination = {{IpAddress::v4(114, 114, 114, static_cast<std::uint8_t>(random() % resolvers)), 53},
                            device::DestinationSource::tproxy};
    while (ring.used() > ring.capacity() / 2) std::this_thread::sleep_for(std::chrono::microseconds(200));
    ring.push(record, of.response);
  }
  writer.flush();
  const double took = since(begin);
  const LogStatistics statistics = writer.statistics();
  const double cpu = cpu_seconds() - cpu_before;
  const auto written = static_cast<double>(statistics.written);
  std::printf(
      "written  %.0f rows in %.1f s: %.0f rows/s; %.2f us of CPU a row: %.0f rows per second of one core; lost %llu\n",
      written, took, written / took, cpu * 1e6 / written, written / cpu,
      static_cast<unsigned long long>(statistics.lost()));
  writer.stop();
  const auto octets = std::filesystem::file_size(file);
  std::printf("file     %.0f MiB: %.0f octets a row\n", static_cast<double>(octets) / (1 << 20),
              static_cast<double>(octets) / static_cast<double>(rows));
}

void ask(LogReader& reader, const char* what, const LogFilter& filter, std::uint64_t rows_max) {
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t count = 0;
  const auto done = reader.read(filter, Order::newest_first, [&](const LogRow&) { return ++count < rows_max; });
  std::printf("%-52s %9llu rows %9.1f ms%s\n", what, static_cast<unsigned long long>(count), since(begin) * 1e3,
              done ? "" : "  FAILED");
}

void ask_all(const std::filesystem::path& file) {
  auto opened = LogReader::open(file);
  if (!opened) std::abort();
  LogReader& reader = *opened;
  constexpr std::uint64_t all = UINT64_MAX;
  LogFilter nothing;
  ask(reader, "newest 100", nothing, 100);
  LogFilter device;
  device.devices = {"device-3"};
  ask(reader, "a device, newest 100", device, 100);
  device.since = end - std::chrono::hours(24);
  ask(reader, "a device, last 24 hours, all", device, all);
  LogFilter popular;
  popular.names = {{*dns::Name::parse(name_text(0)), false}};
  ask(reader, "the name asked most, newest 100", popular, 100);
  LogFilter rare;
  rare.names = {{*dns::Name::parse(name_text(names - 1)), false}};
  ask(reader, "a name asked seldom, newest 100", rare, 100);
  ask(reader, "a name asked seldom, all", rare, all);
  LogFilter below;
  below.names = {{*dns::Name::parse("site14000.example.com"), true}};
  ask(reader, "all below a name, all", below, all);
  LogFilter answer;
  answer.answers = {*IpAddress::parse("10.0.234.95")};
  ask(reader, "an answer address, all", answer, all);
  LogFilter meant;
  meant.meant_for = {*IpAddress::parse("114.114.114.3")};
  ask(reader, "an original destination, newest 100", meant, 100);
  meant.since = end - std::chrono::hours(24 * 7);
  ask(reader, "an original destination, last week, all", meant, all);
  LogFilter verdict;
  verdict.verdicts = {VerdictKind::refuse};
  ask(reader, "a verdict that never was (a scan of all)", verdict, all);
  const auto begin = std::chrono::steady_clock::now();
  const auto summaries = reader.devices();
  std::printf("%-52s %9zu rows %9.1f ms\n", "doline devices", summaries ? summaries->size() : 0, since(begin) * 1e3);
}

}  // namespace

int main(int count, char** words) {
  const std::int64_t rows = count > 1 ? std::atoll(words[1]) : 10'000'000;
  std::string pattern = (std::filesystem::temp_directory_path() / "doline-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return 1;
  const std::filesystem::path folder = pattern;
  const std::filesystem::path file = count > 2 ? std::filesystem::path(words[2]) : folder / "querylog.db";
  if (!std::filesystem::exists(file)) {
    // Rows of one moment name little that is new; rows of a month name everything anew each hour.
    std::printf("a burst of 200,000 a second:\n");
    write_rows(folder / "burst.db", std::min<std::int64_t>(rows, 1'000'000), microseconds(5));
    std::printf("a household's month:\n");
    write_rows(file, rows, household_step);
  }
  ask_all(file);
  std::filesystem::remove_all(folder);
  return 0;
}

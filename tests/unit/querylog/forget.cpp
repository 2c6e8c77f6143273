#include "querylog/forget.h"

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include "unit/querylog/day.h"

using namespace doline;
using namespace doline::querylog;
using samples::Day;
using samples::morning;
using std::chrono::hours;

namespace {

std::int64_t number(const std::filesystem::path& file, const std::string& sql) {
  auto database = Database::open(file, Database::Access::read, milliseconds(1'000));
  REQUIRE(database.has_value());
  const auto value = database->integer(sql);
  REQUIRE(value.has_value());
  return *value;
}

std::uint64_t rows_forgotten(const std::filesystem::path& file, const Forgetting& what) {
  const auto forgotten = forget(file, what);
  REQUIRE(forgotten.has_value());
  CHECK_FALSE(forgotten->leaves_remains);
  return forgotten->rows;
}

/// Anywhere in the file or in what SQLite keeps beside it.
bool is_in_octets(const std::filesystem::path& file, std::string_view text) {
  for (const char* part : {"", "-wal"}) {
    std::ifstream stream(file.string() + part, std::ios::binary);
    const std::string octets{std::istreambuf_iterator<char>(stream), {}};
    if (octets.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a device is forgotten, and the others are as they were") {
  Day day;
  day.household_asks();
  CHECK(rows_forgotten(day.file, {{"wyze-base"}, {}}) == 3);
  CHECK(day.found({}).size() == 5);
  samples::check_dictionaries(day.file);
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  const auto devices = reader->devices();
  REQUIRE(devices.has_value());
  CHECK(devices->size() == 3);
  for (const DeviceSummary& device : *devices) CHECK(device.name != "wyze-base");
  CHECK(rows_forgotten(day.file, {{"wyze-base"}, {}}) == 0);
  CHECK(rows_forgotten(day.file, {{"nobody"}, {}}) == 0);
  CHECK(day.found({}).size() == 5);
}

TEST_CASE("what was before a time is forgotten, and with a device, only its own") {
  Day day;
  day.household_asks();
  CHECK(rows_forgotten(day.file, {{"phone"}, morning + hours(2)}) == 1);
  samples::check_dictionaries(day.file);
  CHECK(rows_forgotten(day.file, {{}, morning + hours(3)}) == 4);
  samples::check_dictionaries(day.file);
  CHECK(day.found({}) == std::vector<std::string>{"180 ads.example.com", "240 www.wyze.com", "300 laptop.example.org"});
}

TEST_CASE("all is forgotten, and the log goes on") {
  Day day;
  day.household_asks();
  CHECK(rows_forgotten(day.file, {}) == 8);
  CHECK(day.found({}).empty());
  samples::check_dictionaries(day.file);
  day.household_asks();
  CHECK(day.found({}).size() == 8);
  samples::check_dictionaries(day.file);
}

TEST_CASE("of what was forgotten no octet is left, not even where pages were rearranged") {
  Day day;
  for (int number = 0; number < 8'000; ++number)
    day.ask(morning + milliseconds(number * 5), number % 2 == 0 ? Day::phone : Day::camera,
            (number % 2 == 0 ? "secretive" : "harmless") + std::to_string(number * 7'919 % 8'000) + ".example",
            "192.0.2.1");
  day.writer->flush();
  REQUIRE(is_in_octets(day.file, "secretive"));
  CHECK(rows_forgotten(day.file, {{"phone"}, {}}) == 4'000);
  CHECK_FALSE(is_in_octets(day.file, "secretive"));
  CHECK_FALSE(is_in_octets(day.file, "phone"));
  CHECK(is_in_octets(day.file, "harmless"));
  day.ask(morning + hours(1), Day::camera, "harmless.example");
  day.writer->flush();
  CHECK_FALSE(is_in_octets(day.file, "secretive"));
  samples::check_dictionaries(day.file);
}

TEST_CASE("while it is forgotten, the writer goes on, and no record of its own is lost or without its name") {
  Day day;
  for (int number = 0; number < 20'000; ++number)
    day.ask(morning + milliseconds(number), Day::phone, "old" + std::to_string(number) + ".example", "192.0.2.1");
  day.writer->flush();
  std::atomic<bool> is_done = false;
  std::atomic<int> asked = 0;
  std::thread worker([&] {
    for (int number = 0; !is_done || number < 500; ++number) {
      const Record record = samples::record(*day.roster, morning + hours(1) + milliseconds(number), Day::camera,
                                            "new" + std::to_string(number % 50) + ".example");
      if (day.ring.push(record, {})) ++asked;
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  CHECK(rows_forgotten(day.file, {{"phone"}, {}}) == 20'000);
  CHECK(rows_forgotten(day.file, {{"phone"}, {}}) == 0);
  is_done = true;
  worker.join();
  day.writer->stop();
  CHECK(day.writer->statistics().lost() == 0);
  CHECK(number(day.file, "SELECT sum(rows) FROM segment") == asked.load());
  samples::check_dictionaries(day.file);
  for (const LogRow& row : samples::rows(day.file)) {
    REQUIRE(row.device == "wyze-base");
    REQUIRE(row.qname.to_string().starts_with("new"));
  }
}

TEST_CASE("a log that is not there is not made, and one of somebody else is not touched") {
  const samples::Folder folder;
  CHECK(forget(folder / "none.db", {}).error() == DatabaseFault::missing);
  CHECK_FALSE(std::filesystem::exists(folder / "none.db"));
  {
    auto database = Database::open(folder / "photos.db", Database::Access::write, milliseconds(0));
    REQUIRE(database.has_value());
    REQUIRE(database->execute("CREATE TABLE query(ts)").has_value());
    REQUIRE(database->execute("INSERT INTO query VALUES(1)").has_value());
  }
  CHECK(forget(folder / "photos.db", {}).error() == DatabaseFault::foreign);
  CHECK(number(folder / "photos.db", "SELECT count(*) FROM query") == 1);
}

TEST_CASE("logs that were set aside are named, since what was forgotten may be in them too") {
  const samples::Folder folder;
  CHECK(set_aside_logs(folder / "x.db").empty());
  std::ofstream(folder / "x.db.corrupt-20261125T070000Z") << "x";
  std::ofstream(folder / "x.db") << "x";
  std::ofstream(folder / "other.db.corrupt-20261125T070000Z") << "x";
  CHECK(set_aside_logs(folder / "x.db") ==
        std::vector<std::filesystem::path>{folder / "x.db.corrupt-20261125T070000Z"});
}

TEST_CASE("where a device was seen is forgotten with it, or up to a time") {
  Day day;
  day.household_asks();
  Identity camera, tv;
  camera.name = "wyze-base";
  tv.name = "tv";
  day.writer->note({{camera, samples::address("192.168.50.104"), morning},
                    {tv, samples::address("192.168.50.9"), morning},
                    {tv, samples::address("192.168.50.9"), morning + hours(10)}});
  day.writer->flush();
  CHECK(number(day.file, "SELECT count(*) FROM presence") == 2);
  rows_forgotten(day.file, {{"wyze-base"}, {}});
  CHECK(number(day.file, "SELECT count(*) FROM presence") == 1);
  rows_forgotten(day.file, {{}, morning + hours(5)});
  CHECK(number(day.file, "SELECT first FROM presence") == (morning + hours(5)).time_since_epoch().count());
  CHECK(number(day.file, "SELECT last FROM presence") == (morning + hours(10)).time_since_epoch().count());
  rows_forgotten(day.file, {});
  CHECK(number(day.file, "SELECT count(*) FROM presence") == 0);
  samples::check_dictionaries(day.file);
}

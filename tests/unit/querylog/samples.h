// What the tests of the query log (and of the commands that show it) are made of: a household, records, responses, a
// folder.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "device/roster.h"
#include "dns/writer.h"
#include "querylog/legend.h"
#include "querylog/log_reader.h"
#include "querylog/log_writer.h"
#include "querylog/ring.h"
#include "querylog/segment_table.h"
#include "temporary_folder.h"

namespace doline::querylog::samples {

using Folder = tests::TemporaryFolder;

/// Monotonic time runs by itself (the writer's thread waits by it); the wall's is the test's.
class WallClock final : public Clock {
 public:
  explicit WallClock(WallTime wall) : wall_(wall.time_since_epoch().count()) {}
  Moment now() const override {
    return {SystemClock().now().monotonic + microseconds(passed_.load()), WallTime(microseconds(wall_.load()))};
  }
  void advance(microseconds by) { wall_ += by.count(); }
  /// On the other clock too.
  void pass(microseconds by) {
    advance(by);
    passed_ += by.count();
  }

 private:
  std::atomic<std::int64_t> wall_, passed_ = 0;
};

inline dns::Name name(std::string_view text) {
  const auto parsed = dns::Name::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

inline IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

/// 2026-11-25T07:00:00Z
inline constexpr WallTime morning{std::chrono::seconds(1'795'590'000)};

struct SampleAnswer {
  std::string owner;
  dns::RecordType type;
  std::vector<std::uint8_t> rdata;
  std::uint32_t ttl = 300;
};

inline SampleAnswer a(std::string owner, std::string_view ip, std::uint32_t ttl = 300) {
  const auto value = address(ip);
  return {std::move(owner),
          value.is_v4() ? dns::RecordType::a : dns::RecordType::aaaa,
          {value.octets().begin(), value.octets().end()},
          ttl};
}

inline SampleAnswer cname(std::string owner, std::string_view target, std::uint32_t ttl = 300) {
  const dns::Name to = name(target);
  return {std::move(owner), dns::RecordType::cname, {to.wire().begin(), to.wire().end()}, ttl};
}

inline std::vector<std::uint8_t> response(std::string_view qname, dns::RecordType qtype,
                                          const std::vector<SampleAnswer>& answers,
                                          dns::ResponseCode code = dns::ResponseCode::noerror) {
  std::vector<std::uint8_t> octets(65'535);
  dns::MessageWriter writer(octets);
  writer.header(0x1234, {}, code);
  REQUIRE(writer.question({name(qname), qtype, dns::RecordClass::in}));
  for (const SampleAnswer& answer : answers)
    REQUIRE(writer.record(dns::Section::answer, name(answer.owner), answer.type, dns::RecordClass::in, answer.ttl,
                          answer.rdata));
  octets.resize(writer.size());
  return octets;
}

/// A camera (by MAC, with two addresses), a tablet of which nothing is kept, a laptop that stays anonymous, a network
/// for guests.
inline std::shared_ptr<const device::Roster> household() {
  device::RosterBuilder builder;
  builder.add_group({"cameras", {}, std::nullopt});
  builder.add_group({"guests", {*IpPrefix::parse("192.168.60.0/24")}, std::nullopt});
  device::DeviceSettings camera;
  camera.name = "wyze-base";
  camera.macs = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  camera.groups = {"cameras"};
  builder.add_device(camera);
  device::DeviceSettings tablet;
  tablet.name = "tablet";
  tablet.addresses = {*IpPrefix::parse("192.168.50.20")};
  tablet.log = device::LogChoice::none;
  builder.add_device(tablet);
  device::DeviceSettings laptop;
  laptop.name = "laptop";
  laptop.addresses = {*IpPrefix::parse("192.168.50.30")};
  laptop.log = device::LogChoice::anonymous;
  builder.add_device(laptop);
  device::DeviceSettings phone;
  phone.name = "phone";
  phone.addresses = {*IpPrefix::parse("192.168.50.105")};
  builder.add_device(phone);
  builder.add_sighting({address("192.168.50.104"), *device::MacAddress::parse("94:51:3d:13:9a:35"), "WyzeBase-Sta"},
                       "Wyze Labs");
  builder.add_sighting({address("fd00::104"), *device::MacAddress::parse("94:51:3d:13:9a:35"), "WyzeBase-Sta"},
                       "Wyze Labs");
  return builder.build();
}

inline Legend legend(std::uint64_t generation = 1, std::shared_ptr<const device::Roster> roster = household()) {
  return {.generation = generation,
          .roster = std::move(roster),
          .lists = blocklist::ListSet::none(),
          .list_names = {"ads", "telemetry"},
          .rule_texts = {"doline.yml:40", "doline.yml:41", "doline.yml:42"}};
}

inline Record record(const device::Roster& roster, WallTime time, std::string_view client, std::string_view qname,
                     dns::RecordType qtype = dns::RecordType::a) {
  Record made;
  made.time = time;
  made.generation = 1;
  made.client = address(client);
  const device::Device& device = roster.identify(made.client);
  made.device = device.id;
  made.log = device.log;
  made.qname = name(qname);
  made.qtype = qtype;
  made.source = Source::upstream;
  made.upstream = {address("9.9.9.9"), 53};
  made.latency_us = 12'345;
  return made;
}

inline Record intercepted(Record made, std::string_view destination) {
  made.destination = {{address(destination), 53}, device::DestinationSource::tproxy};
  return made;
}

/// Keeps what it was told.
class Events {
 public:
  std::function<void(const LogEvent&)> taker() {
    return [this](const LogEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    };
  }
  std::vector<LogEvent> all() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  int count(LogEvent::Kind kind) const {
    int count = 0;
    for (const LogEvent& event : all()) count += event.kind == kind ? 1 : 0;
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<LogEvent> events_;
};

inline std::vector<LogRow> rows(const std::filesystem::path& file, const LogFilter& filter = {},
                                Order order = Order::oldest_first) {
  auto reader = LogReader::open(file);
  REQUIRE(reader.has_value());
  std::vector<LogRow> found;
  const auto count = reader->read(filter, order, [&](const LogRow& row) {
    found.push_back(row);
    return true;
  });
  REQUIRE(count.has_value());
  REQUIRE(*count == found.size());
  return found;
}

/// No entry is kept that no row names, and none is missing that one names.
inline void check_dictionaries(const std::filesystem::path& file) {
  auto opened = Database::open(file, Database::Access::read, milliseconds(1'000));
  REQUIRE(opened.has_value());
  auto table = SegmentTable::open(*opened);
  REQUIRE(table.has_value());
  const auto entries = table->all();
  REQUIRE(entries.has_value());
  const auto check_dictionary = [&](const std::string& dictionary, std::initializer_list<Column> columns_of_it) {
    std::set<std::int64_t> named, kept;
    for (const SegmentTable::Entry& entry : *entries) {
      Segment segment;
      REQUIRE(table->read(entry.number, segment) == true);
      REQUIRE(segment.rows() == static_cast<std::size_t>(entry.rows));
      for (std::size_t row = 0; row < segment.rows(); ++row)
        for (const Column column : columns_of_it)
          if (const std::uint32_t id = segment.value(column, row); id != 0) named.insert(id);
    }
    auto ids = opened->prepare("SELECT id FROM " + dictionary);
    REQUIRE(ids.has_value());
    for (;;) {
      const auto row = ids->step();
      REQUIRE(row.has_value());
      if (!*row) break;
      kept.insert(ids->integer(0));
    }
    INFO(dictionary);
    CHECK(kept == named);
  };
  check_dictionary("device", {Column::device});
  check_dictionary("endpoint", {Column::client, Column::destination, Column::upstream});
  check_dictionary("name", {Column::name});
  check_dictionary("text", {Column::rule, Column::lists, Column::observed_rule});
  check_dictionary("answer", {Column::answer});
}

/// What conservation says, once the writer has stopped.
inline void check_conservation(const LogWriter& writer, std::uint64_t offered) {
  const LogStatistics statistics = writer.statistics();
  CHECK(statistics.pushed + statistics.lost_at_ring == offered);
  CHECK(statistics.pushed == statistics.written + statistics.lost_at_database + statistics.not_recorded);
}

}  // namespace doline::querylog::samples

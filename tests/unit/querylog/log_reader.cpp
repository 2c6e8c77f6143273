#include "querylog/log_reader.h"

#include <algorithm>
#include <fstream>

#include "querylog/forget.h"
#include "unit/policy/compiled_lists.h"
#include "unit/querylog/day.h"

using namespace doline;
using namespace doline::querylog;
using samples::a;
using samples::address;
using samples::cname;
using samples::Day;
using samples::morning;
using samples::name;

namespace {

using std::chrono::hours;
using std::chrono::minutes;

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("rows come in order of time, from either end, and no further than they are taken") {
  Day day;
  day.household_asks();
  auto oldest_first = day.found({});
  REQUIRE(oldest_first.size() == 8);
  CHECK(oldest_first.front() == "0 api.wyze.com");
  CHECK(oldest_first.back() == "300 laptop.example.org");
  auto newest_first = day.found({}, Order::newest_first);
  std::reverse(newest_first.begin(), newest_first.end());
  CHECK(newest_first == oldest_first);
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  int taken = 0;
  CHECK(reader->read({}, Order::newest_first, [&](const LogRow&) { return ++taken < 3; }) == std::uint64_t{3});
  CHECK(taken == 3);
}

TEST_CASE("each filter finds what it names and nothing else") {
  Day day;
  day.household_asks();
  LogFilter filter;
  SUBCASE("device, by all its addresses") {
    filter.devices = {"wyze-base"};
    CHECK(day.found(filter) == Texts{"0 api.wyze.com", "1 api.wyze.com", "2 log.aliyun.com"});
  }
  SUBCASE("two devices") {
    filter.devices = {"wyze-base", "phone"};
    CHECK(day.found(filter).size() == 6);
  }
  SUBCASE("a device that nobody is") {
    filter.devices = {"fridge"};
    CHECK(day.found(filter).empty());
  }
  SUBCASE("group of a device") {
    filter.groups = {"cameras"};
    CHECK(day.found(filter).size() == 3);
  }
  SUBCASE("group of a network") {
    filter.groups = {"guests"};
    CHECK(day.found(filter) == Texts{"240 www.wyze.com"});
  }
  SUBCASE("device and group must both match") {
    filter.devices = {"phone"};
    filter.groups = {"cameras"};
    CHECK(day.found(filter).empty());
  }
  SUBCASE("name, in any letters") {
    filter.names = {{name("WWW.example.com"), false}};
    CHECK(day.found(filter) == Texts{"60 www.example.com", "120 www.example.com"});
  }
  SUBCASE("all below a name, without the name and its neighbours") {
    filter.names = {{name("wyze.com"), true}};
    CHECK(day.found(filter) == Texts{"0 api.wyze.com", "1 api.wyze.com", "240 www.wyze.com"});
    filter.names = {{name("api.wyze.com"), true}};
    CHECK(day.found(filter).empty());
    filter.names = {{name("ze.com"), true}};
    CHECK(day.found(filter).empty());
  }
  SUBCASE("all below the root") {
    filter.names = {{dns::Name(), true}};
    CHECK(day.found(filter).size() == 8);
  }
  SUBCASE("type") {
    filter.types = {dns::RecordType::aaaa};
    CHECK(day.found(filter) == Texts{"120 www.example.com"});
  }
  SUBCASE("verdict") {
    filter.verdicts = {VerdictKind::block, VerdictKind::nxdomain};
    CHECK(day.found(filter) == Texts{"2 log.aliyun.com", "180 ads.example.com"});
  }
  SUBCASE("client") {
    filter.clients = {address("fd00::104")};
    CHECK(day.found(filter) == Texts{"2 log.aliyun.com"});
  }
  SUBCASE("original destination") {
    filter.meant_for = {address("114.114.114.114")};
    CHECK(day.found(filter) == Texts{"0 api.wyze.com", "2 log.aliyun.com"});
    filter.meant_for = {address("114.114.114.114"), address("2400:3200::1")};
    CHECK(day.found(filter).size() == 3);
    CHECK(day.found(filter, Order::newest_first) == Texts{"2 log.aliyun.com", "1 api.wyze.com", "0 api.wyze.com"});
  }
  SUBCASE("whoever asked us is not meant for our upstream") {
    filter.meant_for = {address("9.9.9.9")};
    CHECK(day.found(filter).empty());
  }
  SUBCASE("intercepted") {
    filter.only_intercepted = true;
    CHECK(day.found(filter).size() == 3);
  }
  SUBCASE("answer address") {
    filter.answers = {address("192.0.2.1")};
    CHECK(day.found(filter) == Texts{"0 api.wyze.com", "60 www.example.com"});
    filter.answers = {address("2001:db8::1")};
    CHECK(day.found(filter) == Texts{"120 www.example.com"});
    filter.answers = {address("198.51.100.1")};
    CHECK(day.found(filter).empty());
  }
  SUBCASE("answer address of a name") {
    filter.answers = {address("192.0.2.1")};
    filter.names = {{name("www.example.com"), false}};
    CHECK(day.found(filter) == Texts{"60 www.example.com"});
  }
  SUBCASE("since, inclusive, until, exclusive") {
    filter.since = morning + hours(1);
    filter.until = morning + hours(3);
    CHECK(day.found(filter) == Texts{"60 www.example.com", "120 www.example.com"});
    filter.names = {{name("example.com"), true}};
    filter.since = morning + hours(2);
    CHECK(day.found(filter) == Texts{"120 www.example.com"});
  }
  SUBCASE("all together") {
    filter.devices = {"wyze-base"};
    filter.names = {{name("wyze.com"), true}};
    filter.answers = {address("192.0.2.2")};
    filter.meant_for = {address("2400:3200::1")};
    filter.clients = {address("192.168.50.104")};
    filter.types = {dns::RecordType::a};
    filter.verdicts = {VerdictKind::forward};
    filter.only_intercepted = true;
    CHECK(day.found(filter) == Texts{"1 api.wyze.com"});
  }
}

TEST_CASE("an address behind a CNAME leads to the name that was asked") {
  Day day;
  Record record = samples::record(*day.roster, morning, Day::phone, "www.example.com");
  REQUIRE(day.ring.push(
      record, samples::response("www.example.com", dns::RecordType::a,
                                {cname("www.example.com", "cdn.example.net"), a("cdn.example.net", "192.0.2.77")})));
  day.writer->flush();
  LogFilter filter;
  filter.answers = {address("192.0.2.77")};
  CHECK(day.found(filter) == Texts{"0 www.example.com"});
}

TEST_CASE("of segments in which nothing matches, only the heads are read") {
  Day day;
  for (int segment = 0; segment < 4; ++segment) {
    for (int number = 0; number < static_cast<int>(segment_rows); ++number)
      day.ask(morning + hours(segment) + milliseconds(number), Day::phone,
              number == 77 ? "rare" + std::to_string(segment) + ".example" : "www.example.com",
              number == 99 ? "192.0.2." + std::to_string(segment) : "");
    day.writer->flush();
  }
  day.ask(morning + hours(5), Day::camera, "api.wyze.com", "", "114.114.114.114", VerdictKind::block);
  day.writer->flush();
  const auto segments_read = [&](const LogFilter& filter, std::uint64_t rows) {
    auto reader = LogReader::open(day.file);
    REQUIRE(reader.has_value());
    CHECK(reader->read(filter, Order::newest_first, [](const LogRow&) { return true; }) == rows);
    return reader->segments_read();
  };
  LogFilter filter;
  SUBCASE("a name") {
    filter.names = {{name("rare2.example"), false}};
    CHECK(segments_read(filter, 1) == 1);
    filter.names = {{name("example"), true}};
    CHECK(segments_read(filter, 4) == 4);
    filter.names = {{name("never.example"), false}};
    CHECK(segments_read(filter, 0) == 0);
  }
  SUBCASE("an answer address") {
    filter.answers = {address("192.0.2.3")};
    CHECK(segments_read(filter, 1) == 1);
  }
  SUBCASE("a device") {
    filter.devices = {"wyze-base"};
    CHECK(segments_read(filter, 1) == 1);
  }
  SUBCASE("a device and a name that it never asked") {
    filter.devices = {"wyze-base"};
    filter.names = {{name("rare2.example"), false}};
    CHECK(segments_read(filter, 0) == 0);
  }
  SUBCASE("a verdict, an original destination, or any") {
    filter.verdicts = {VerdictKind::block};
    CHECK(segments_read(filter, 1) == 1);
    filter.verdicts = {};
    filter.meant_for = {address("114.114.114.114")};
    CHECK(segments_read(filter, 1) == 1);
    filter.meant_for = {};
    filter.only_intercepted = true;
    CHECK(segments_read(filter, 1) == 1);
  }
  SUBCASE("a period") {
    filter.since = morning + hours(1);
    filter.until = morning + hours(2);
    filter.types = {dns::RecordType::a};
    CHECK(segments_read(filter, segment_rows) <= 2 * 3);  // in three pages
  }
}

TEST_CASE("many rows come in pages, each once, and while they are taken no read is open") {
  Day day;
  for (int number = 0; number < 3'000; ++number) day.ask(morning + milliseconds(number), Day::phone, "www.example.com");
  for (int number = 0; number < 100; ++number)
    day.ask(morning + milliseconds(number * 30), Day::camera, "api.wyze.com", "192.0.2.1", "114.114.114.114");
  day.writer->flush();
  auto writer = Database::open(day.file, Database::Access::write, milliseconds(0));
  REQUIRE(writer.has_value());
  for (const Order order : {Order::oldest_first, Order::newest_first}) {
    for (const bool by_device : {false, true}) {
      LogFilter filter;
      if (by_device) filter.devices = {"phone", "wyze-base"};
      auto reader = LogReader::open(day.file);
      REQUIRE(reader.has_value());
      std::optional<WallTime> before;
      int count = 0;
      const auto done = reader->read(filter, order, [&](const LogRow& row) {
        if (before) REQUIRE((order == Order::oldest_first ? *before <= row.time : row.time <= *before));
        before = row.time;
        // With a read open, this could not move all of the WAL into the file and start it anew.
        if (++count % 700 == 1) REQUIRE(writer->integer("PRAGMA wal_checkpoint(TRUNCATE)") == 0);
        return true;
      });
      CHECK(done == std::uint64_t{3'100});
    }
  }
}

TEST_CASE("rows that are alike are handed over together, with their number") {
  Day day;
  day.household_asks();
  for (int minute = 0; minute < 3; ++minute)
    day.ask(morning + hours(5) + minutes(minute), Day::phone, "www.example.com", "192.0.2.1");
  day.ask(morning + hours(5), Day::phone, "www.example.com", "192.0.2.9");
  day.writer->flush();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  const auto told = [&](const LogFilter& filter, const LogReader::SlotOf& slot_of) {
    Texts texts;
    const auto count = reader->read_alike(filter, slot_of, [&](const LogRow& row, std::uint64_t rows) {
      std::string text = std::to_string(rows) + " " + row.device + " " + row.qname.to_string();
      for (const Answer& answer : row.answers)
        if (answer.rdata.size() == 4) text += " " + IpAddress::from_octets(answer.rdata).to_string();
      texts.push_back(text + (row.original_destination ? " " + row.original_destination->address.to_string() : ""));
      return true;
    });
    CHECK(count.has_value());
    std::sort(texts.begin(), texts.end());
    return texts;
  };
  const auto any_time = [](WallTime) { return 0u; };
  LogFilter of_phone;
  of_phone.devices = {"phone"};
  const Texts all = told({}, any_time);
  CHECK(all.size() == 9);  // of twelve rows
  CHECK(std::count(all.begin(), all.end(), "1 wyze-base log.aliyun.com 114.114.114.114") == 1);
  CHECK(std::count(all.begin(), all.end(), "1 wyze-base api.wyze.com 192.0.2.1 114.114.114.114") == 1);
  CHECK(told(of_phone, any_time) == Texts{"1 phone ads.example.com 0.0.0.0", "1 phone www.example.com",
                                          "1 phone www.example.com 192.0.2.9", "4 phone www.example.com 192.0.2.1"});
  CHECK(told(of_phone, [](WallTime time) { return time < morning + hours(4) ? 1u : 2u; }) ==
        Texts{"1 phone ads.example.com 0.0.0.0", "1 phone www.example.com", "1 phone www.example.com 192.0.2.1",
              "1 phone www.example.com 192.0.2.9", "3 phone www.example.com 192.0.2.1"});
  of_phone.since = morning + hours(5) + minutes(1);
  CHECK(told(of_phone, any_time) == Texts{"2 phone www.example.com 192.0.2.1"});
  int taken = 0;
  CHECK(reader->read_alike({}, any_time, [&](const LogRow&, std::uint64_t) { return ++taken < 2; }).has_value());
  CHECK(taken == 2);
}

TEST_CASE("following hands over what is new, each row once, late ones too") {
  Day day;
  day.household_asks();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  Texts rows;
  const auto follow = [&](const LogFilter& filter = {}) {
    rows.clear();
    const auto count = reader->follow(filter, [&](const LogRow& row) {
      rows.push_back(row.qname.to_string());
      return true;
    });
    REQUIRE(count.has_value());
    CHECK(*count == rows.size());
    return rows;
  };
  CHECK(follow().empty());
  CHECK(follow().empty());
  day.ask(morning + hours(6), Day::phone, "one.example");
  day.ask(morning + hours(6) + milliseconds(5'000), Day::phone, "two.example");
  day.writer->flush();
  CHECK(follow() == Texts{"one.example", "two.example"});
  CHECK(follow().empty());
  day.ask(morning + hours(6) + milliseconds(1'000), Day::phone, "late.example");
  day.ask(morning + hours(6) + milliseconds(9'000), Day::phone, "three.example");
  day.writer->flush();
  CHECK(follow() == Texts{"late.example", "three.example"});
  CHECK(follow().empty());
  LogFilter camera;
  camera.devices = {"wyze-base"};
  day.ask(morning + hours(6) + milliseconds(9'500), Day::phone, "four.example");
  day.ask(morning + hours(6) + milliseconds(9'600), Day::camera, "five.example");
  day.writer->flush();
  CHECK(follow(camera) == Texts{"five.example"});
}

TEST_CASE("following goes on where the last rows were forgotten, and shows no old ones again") {
  Day day;
  day.household_asks();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  Texts rows;
  const auto take = [&](const LogRow& row) {
    rows.push_back(row.qname.to_string());
    return true;
  };
  REQUIRE(reader->follow({}, take) == std::uint64_t{0});
  day.ask(morning + hours(6), Day::phone, "one.example");
  day.writer->flush();
  REQUIRE(reader->follow({}, take) == std::uint64_t{1});
  REQUIRE(forget(day.file, {{"phone"}, {}}).has_value());
  CHECK(reader->follow({}, take) == std::uint64_t{0});
  day.ask(morning + hours(7), Day::phone, "two.example");
  day.writer->flush();
  CHECK(reader->follow({}, take) == std::uint64_t{1});
  CHECK(rows == Texts{"one.example", "two.example"});
}

TEST_CASE("following goes on with the new file where the old one was set aside") {
  Day day;
  day.household_asks();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  int count = 0;
  const auto take = [&](const LogRow&) { return ++count > 0; };
  REQUIRE(reader->follow({}, take) == std::uint64_t{0});
  day.writer->stop();
  for (const char* part : {"", "-wal", "-shm"}) {
    std::error_code error;
    std::filesystem::rename(day.file.string() + part, day.file.string() + ".aside" + part, error);
  }
  // Between two files: nothing, however often it is asked.
  for (int turn = 0; turn < 3; ++turn) CHECK(reader->follow({}, take) == std::uint64_t{0});
  Options options;
  options.path = day.file;
  LogWriter writer(options, {&day.ring}, day.clock, day.events.taker());
  writer.install(samples::legend(1, day.roster));
  day.ask(morning + hours(7), Day::phone, "new.example");
  writer.flush();
  CHECK(reader->follow({}, take) == std::uint64_t{1});
  CHECK(reader->follow({}, take) == std::uint64_t{0});
  CHECK(count == 1);
}

TEST_CASE("devices are listed with their addresses, their sums and whom they meant to ask") {
  Day day;
  day.household_asks();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  const auto devices = reader->devices();
  REQUIRE(devices.has_value());
  REQUIRE(devices->size() == 4);
  CHECK(devices->at(0).name.empty());  // the laptop asked last, and stays anonymous
  CHECK(devices->at(0).addresses.empty());
  CHECK(devices->at(1).name == "unknown");
  CHECK(devices->at(2).name == "phone");
  CHECK(devices->at(2).queries == 3);
  CHECK(devices->at(2).not_forwarded == 1);
  const DeviceSummary& camera = devices->at(3);
  CHECK(camera.name == "wyze-base");
  REQUIRE(camera.mac.has_value());
  CHECK(camera.mac->to_string() == "94:51:3d:13:9a:35");
  CHECK(camera.vendor == "Wyze Labs");
  CHECK(camera.hostname == "WyzeBase-Sta");
  CHECK(camera.groups == Texts{"cameras"});
  CHECK(camera.addresses.size() == 2);
  CHECK(camera.first_seen == morning);
  CHECK(camera.last_seen == morning + minutes(2));
  CHECK(camera.queries == 3);
  CHECK(camera.intercepted == 3);
  CHECK(camera.not_forwarded == 1);
  REQUIRE(camera.meant_to_ask.size() == 2);
  CHECK(camera.meant_to_ask[0].endpoint.to_string() == "114.114.114.114:53");
  CHECK(camera.meant_to_ask[0].queries == 2);
  CHECK(camera.meant_to_ask[1].queries == 1);
}

TEST_CASE("a device that was renamed is one device, by its MAC, under its new name") {
  Day day;
  day.household_asks();
  device::RosterBuilder builder;
  device::DeviceSettings camera;
  camera.name = "camera base";
  camera.macs = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  builder.add_device(camera);
  builder.add_sighting({address(Day::camera), camera.macs[0], "WyzeBase-Sta"}, "Wyze Labs");
  const auto renamed = builder.build();
  day.writer->install(samples::legend(2, renamed));
  Record record = samples::record(*renamed, morning + hours(8), Day::camera, "api.wyze.com");
  record.generation = 2;
  REQUIRE(day.ring.push(record, {}));
  day.writer->flush();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  const auto devices = reader->devices();
  REQUIRE(devices.has_value());
  REQUIRE(devices->size() == 4);
  CHECK(devices->front().name == "camera base");
  CHECK(devices->front().queries == 4);
  CHECK(devices->front().first_seen == morning);
  LogFilter old_name;
  old_name.devices = {"wyze-base"};
  CHECK(day.found(old_name).size() == 3);
}

TEST_CASE("what cannot be read says why") {
  const samples::Folder folder;
  CHECK(LogReader::open(folder / "none.db").error() == DatabaseFault::missing);
  std::ofstream(folder / "text.db") << std::string(5'000, 'x');
  CHECK(LogReader::open(folder / "text.db").error() == DatabaseFault::corrupt);
  std::ofstream(folder / "empty.db") << "";
  CHECK(LogReader::open(folder / "empty.db").error() == DatabaseFault::older_schema);
}

TEST_CASE("how often each list had a word, since when") {
  Day day;
  day.writer->flush();
  CHECK(LogReader::open(day.file)->list_hits()->since == std::nullopt);
  querylog::Legend lists = samples::legend(2, day.roster);
  lists.lists = compile_lists({"ads.example\n", "ads.example\ntracker.example\n"});
  day.writer->install(lists);
  const auto ask = [&](int minute, const char* qname) {
    Record asked = samples::record(*day.roster, morning + minutes(minute), Day::phone, qname);
    asked.generation = 2;
    const blocklist::Listing listing = lists.lists->look_up(asked.qname);
    asked.has_listing = !listing.is_empty();
    if (asked.has_listing) asked.list_set = listing.coverings[0].set;
    REQUIRE(day.ring.push(asked, {}));
  };
  ask(5, "www.example");
  for (int minute = 6; minute < 9; ++minute) ask(minute, "x.ads.example");
  ask(9, "tracker.example");
  day.writer->flush();
  const auto hits = LogReader::open(day.file)->list_hits();
  REQUIRE(hits.has_value());
  CHECK(hits->since == morning + minutes(5));
  CHECK(hits->hits == std::unordered_map<std::string, std::uint64_t>{{"ads", 3}, {"telemetry", 4}});
}

TEST_CASE("a device's history is where it asked and where it was seen, under all its names") {
  Day day;
  day.household_asks();
  const auto mac = *device::MacAddress::parse("94:51:3d:13:9a:35");
  Identity later;
  later.name = "camera base";
  later.mac = mac;
  // Before it asked and near to it; weeks later, under another name; and somebody else.
  day.writer->note({{identity_of(*day.roster, *day.roster->find("wyze-base"), 1, mac), samples::address(Day::camera),
                     morning - hours(2)},
                    {later, samples::address("192.168.50.77"), morning + hours(500)},
                    {{.name = "phone", .mac = {}, .vendor = "", .hostname = "", .groups = ""},
                     samples::address(Day::phone),
                     morning}});
  day.writer->flush();
  auto reader = LogReader::open(day.file);
  REQUIRE(reader.has_value());
  const auto stays = reader->history("wyze-base", {});
  REQUIRE(stays.has_value());
  REQUIRE(stays->size() == 3);
  CHECK(stays->at(0).address == samples::address(Day::camera));
  CHECK(stays->at(0).first == morning - hours(2));
  CHECK(stays->at(0).last == morning + minutes(1));
  CHECK(stays->at(0).queries == 2);
  CHECK(stays->at(0).groups == std::vector<std::string>{"cameras"});
  CHECK(stays->at(1).address == samples::address("fd00::104"));
  CHECK(stays->at(2).name == "camera base");
  CHECK(stays->at(2).queries == 0);
  CHECK(reader->history("nobody", {mac})->size() == 3);
  CHECK(reader->history("nobody", {})->empty());

  // Who was only seen is a device too; it is the newest name that counts.
  const auto devices = reader->devices();
  REQUIRE(devices.has_value());
  CHECK(devices->front().name == "camera base");
  CHECK(devices->front().queries == 3);
  CHECK(devices->front().macs == std::vector{mac});
}

TEST_CASE("a day's pause ends a stay") {
  Day day;
  day.ask(morning, Day::camera, "a.example");
  day.ask(morning + hours(23), Day::camera, "b.example");
  day.ask(morning + hours(48), Day::camera, "c.example");
  day.writer->flush();
  const auto stays = LogReader::open(day.file)->history("wyze-base", {});
  REQUIRE(stays->size() == 2);
  CHECK(stays->at(0).last == morning + hours(23));
  CHECK(stays->at(1).first == morning + hours(48));
}

TEST_CASE("MACs that are one device are one row, and records tell which it was") {
  Day day;
  const auto old_mac = *device::MacAddress::parse("5e:00:00:00:00:01");
  const auto new_mac = *device::MacAddress::parse("5e:00:00:00:00:02");
  device::RosterBuilder builder;
  device::DeviceSettings phone;
  phone.name = "phone";
  phone.macs = {old_mac, new_mac};
  builder.add_device(phone);
  builder.add_sighting({samples::address("192.168.50.1"), old_mac, ""}, "");
  builder.add_sighting({samples::address("192.168.50.2"), new_mac, ""}, "");
  const auto roster = builder.build();
  day.writer->install(samples::legend(2, roster));
  for (const auto& [when, client] :
       {std::pair(morning, "192.168.50.1"), std::pair(morning + hours(1), "192.168.50.2")}) {
    Record record = samples::record(*roster, when, client, "a.example");
    record.generation = 2;
    REQUIRE(day.ring.push(record, {}));
  }
  day.writer->flush();
  auto reader = LogReader::open(day.file);
  CHECK(reader->devices()->size() == 2);
  const auto devices = reader->devices({{old_mac, new_mac}});
  REQUIRE(devices->size() == 1);
  CHECK(devices->front().macs == std::vector{new_mac, old_mac});
  CHECK(devices->front().queries == 2);
  LogFilter by_mac;
  by_mac.devices = {"somebody"};
  by_mac.macs = {old_mac};
  CHECK(day.found(by_mac).size() == 1);
}

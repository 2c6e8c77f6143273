#include "doline/device_review.h"

#include <span>

#include "place_file.h"
#include "querylog/store.h"
#include "unit/querylog/day.h"

using namespace doline;
using querylog::samples::Day;
using querylog::samples::morning;

namespace {

DeviceReview review(const Day& day, const querylog::LogFilter& filter) {
  auto log = querylog::LogReader::open(day.file);
  REQUIRE(log.has_value());
  const auto resolvers = geo::ResolverBook::read(
                             "address,operator,country,protocols,hostname,note\n"
                             "114.114.114.114,114DNS,CN,plain,,\n")
                             .book;
  const std::string file = tests::place_file("192.0.2.0/24 CN AS7\n");
  const std::span<const std::uint8_t> octets(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  const geo::PlaceBook places(*geo::PlaceTable::read(octets, geo::PlaceKind::country),
                              *geo::PlaceTable::read(octets, geo::PlaceKind::asn));
  auto made = review_device(*log, filter, dns::PublicSuffixes::guess(), resolvers, places);
  REQUIRE(made.has_value());
  return std::move(*made);
}

}  // namespace

TEST_CASE("what a device looked up is told by who registered the names") {
  Day day;
  day.household_asks();
  querylog::LogFilter camera;
  camera.devices = {"wyze-base"};
  const DeviceReview made = review(day, camera);
  CHECK(made.queries == 3);
  CHECK(made.passed_over == 0);
  REQUIRE(made.groups.size() == 2);
  const ReviewedGroup& wyze = made.groups[0];
  CHECK(wyze.registrable.to_string() == "wyze.com");
  CHECK(wyze.covers_below);
  CHECK(wyze.queries == 2);
  CHECK(wyze.let_through == 2);
  CHECK(wyze.first == morning);
  CHECK(wyze.last == morning + std::chrono::minutes(1));
  CHECK(wyze.verdicts == std::map<std::string, std::uint64_t>{{"forward", 2}});
  CHECK(wyze.places == std::set<std::string>{"AS7", "CN"});
  CHECK(wyze.meant_for ==
        std::map<std::string, std::uint64_t>{{"114.114.114.114 (114DNS, CN)", 1}, {"2400:3200::1", 1}});
  REQUIRE(wyze.names.size() == 1);
  CHECK(wyze.names[0].name.to_string() == "api.wyze.com");
  CHECK(made.groups[1].registrable.to_string() == "aliyun.com");
  CHECK(made.groups[1].let_through == 0);
}

TEST_CASE("names that are nobody's own cover nothing below them") {
  Day day;
  day.ask(morning, Day::camera, "printer");
  day.ask(morning, Day::camera, "co.uk");
  day.ask(morning, Day::camera, "a.b.co.uk");
  day.writer->flush();
  const DeviceReview made = review(day, {});
  REQUIRE(made.groups.size() == 3);
  for (const ReviewedGroup& group : made.groups)
    CHECK(group.covers_below == (group.registrable.to_string() == "b.co.uk"));
}

TEST_CASE("a log without connections adds none") {
  Day day;
  day.household_asks();
  DeviceReview made = review(day, {});
  auto flows = querylog::FlowReader::open(day.file);
  REQUIRE(flows.has_value());
  querylog::FlowFilter filter;
  filter.macs = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  CHECK(review_connections(*flows, filter, made).has_value());
  CHECK(made.connected == 0);
  CHECK(made.connections.empty());
}

TEST_CASE("connections are summed up by address and port, of the MAC whatever its name was") {
  const querylog::samples::Folder folder;
  const auto file = folder / "x.db";
  {
    auto store = querylog::Store::open(file, milliseconds(1'000));
    REQUIRE(store.has_value());
    REQUIRE((*store)->begin().has_value());
    querylog::Identity identity;
    identity.name = "old name";
    identity.mac = device::MacAddress::parse("94:51:3d:13:9a:35");
    querylog::FlowEntry entry;
    entry.device = (*store)->device(identity).value();
    entry.client = (*store)->endpoint({querylog::samples::address("192.168.50.31"), 0}).value();
    entry.protocol = 17;
    entry.explanation = flows::Explanation::without_lookup;
    entry.destination = (*store)->endpoint({querylog::samples::address("120.24.59.150"), 0}).value();
    entry.port = 10'240;
    entry.traffic = flows::Traffic{1, 128, 1, 64};
    for (const int after : {0, 10}) {
      entry.time = (morning + seconds(after)).time_since_epoch().count();
      REQUIRE((*store)->insert(entry).has_value());
    }
    entry.port = 443;
    entry.time += 1;
    REQUIRE((*store)->insert(entry).has_value());
    REQUIRE((*store)->commit().has_value());
  }
  auto flows = querylog::FlowReader::open(file);
  REQUIRE(flows.has_value());
  querylog::FlowFilter filter;
  filter.devices = {"camera"};
  filter.macs = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  DeviceReview made;
  REQUIRE(review_connections(*flows, filter, made).has_value());
  CHECK(made.connected == 3);
  REQUIRE(made.connections.size() == 2);
  CHECK(made.connections[0].port == 10'240);
  CHECK(made.connections[0].times == 2);
  CHECK(made.connections[0].octets_out == 256);
  CHECK(made.connections[0].octets_in == 128);
  CHECK(made.connections[0].last == morning + seconds(10));
  CHECK(made.connections[0].explanations.size() == 1);
  CHECK(made.connections[1].port == 443);
}

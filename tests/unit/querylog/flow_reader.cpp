#include "querylog/flow_reader.h"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include "querylog/store.h"
#include "samples.h"

using namespace doline;
using namespace doline::querylog;
using namespace doline::querylog::samples;

namespace {

std::unique_ptr<Store> opened(const Folder& folder) {
  auto store = Store::open(folder.path() / "doline.db", milliseconds(1'000));
  REQUIRE(store);
  return std::move(*store);
}

void add(Store& store, const char* device, const char* destination, std::int64_t after_s,
         flows::Explanation explanation, const char* qname = nullptr) {
  Identity identity;
  identity.name = device;
  FlowEntry entry;
  entry.time = (morning + seconds(after_s)).time_since_epoch().count();
  entry.device = store.device(identity).value();
  entry.client = store.endpoint({address("192.168.50.31"), 0}).value();
  entry.destination = store.endpoint({address(destination), 0}).value();
  entry.port = 443;
  entry.protocol = IPPROTO_TCP;
  entry.explanation = explanation;
  if (qname != nullptr) entry.name = store.name(name(qname)).value();
  REQUIRE(store.insert(entry));
}

std::vector<FlowRow> found(const Folder& folder, const FlowFilter& filter, Order order = Order::oldest_first) {
  auto reader = FlowReader::open(folder.path() / "doline.db");
  REQUIRE(reader);
  std::vector<FlowRow> rows;
  REQUIRE(reader->read(filter, order, [&](const FlowRow& row) {
    rows.push_back(row);
    return true;
  }));
  return rows;
}

}  // namespace

TEST_CASE("connections come back in either order, whole, by each filter") {
  const Folder folder;
  const auto store = opened(folder);
  REQUIRE(store->begin());
  add(*store, "camera", "120.24.59.150", 0, flows::Explanation::without_lookup);
  add(*store, "phone", "2001:db8::80", 10, flows::Explanation::looked_up, "API.wyzecam.com");
  add(*store, "camera", "203.0.113.2", 20, flows::Explanation::time_sync);
  REQUIRE(store->commit());

  const auto all = found(folder, {});
  REQUIRE(all.size() == 3);
  CHECK(all[0].device == "camera");
  CHECK(all[0].time == morning);
  CHECK(all[1].name == name("api.wyzecam.com"));
  CHECK(all[1].destination == Endpoint{address("2001:db8::80"), 443});
  CHECK_FALSE(all[0].name);
  CHECK(found(folder, {}, Order::newest_first).front().number == all.back().number);

  const auto count = [&](std::vector<std::string> devices, std::vector<IpAddress> addresses) {
    FlowFilter filter;
    filter.devices = std::move(devices);
    filter.addresses = std::move(addresses);
    return found(folder, filter).size();
  };
  CHECK(count({"camera"}, {}) == 2);
  CHECK(count({"camera", "phone"}, {}) == 3);
  CHECK(count({}, {address("203.0.113.2"), address("2001:db8::80")}) == 2);
  CHECK(count({"phone"}, {address("203.0.113.2")}) == 0);
  FlowFilter unexplained;
  unexplained.only_without_lookup = true;
  CHECK(found(folder, unexplained).size() == 1);
  FlowFilter between;
  between.since = morning + seconds(10);
  between.until = morning + seconds(20);
  CHECK(found(folder, between).size() == 1);
}

TEST_CASE("more than a page is read whole, and a taker that has enough is asked no more") {
  const Folder folder;
  const auto store = opened(folder);
  REQUIRE(store->begin());
  for (int at = 0; at < 4'500; ++at) add(*store, "camera", "120.24.59.150", at, flows::Explanation::looked_up);
  REQUIRE(store->commit());
  CHECK(found(folder, {}).size() == 4'500);
  CHECK(found(folder, {}, Order::newest_first).size() == 4'500);
  auto reader = FlowReader::open(folder.path() / "doline.db");
  REQUIRE(reader);
  CHECK(reader->read({}, Order::newest_first, [](const FlowRow&) { return false; }) == 1u);
}

TEST_CASE("connections retire and are forgotten as records are, with all that only they had named") {
  const Folder folder;
  const auto store = opened(folder);
  REQUIRE(store->begin());
  add(*store, "camera", "120.24.59.150", 0, flows::Explanation::looked_up, "old.example");
  add(*store, "phone", "203.0.113.2", 100'000, flows::Explanation::looked_up, "new.example");
  REQUIRE(store->commit());
  const std::int64_t cutoff = (morning + seconds(50'000)).time_since_epoch().count();
  for (int steps = 0; steps < 50; ++steps) REQUIRE(store->retire(cutoff, UINT64_MAX, 2));
  const auto left = found(folder, {});
  REQUIRE(left.size() == 1);
  CHECK(left[0].name == name("new.example"));
  auto database = Database::open(folder.path() / "doline.db", Database::Access::read, milliseconds(1'000));
  REQUIRE(database);
  CHECK(database->integer("SELECT count(*) FROM name") == 1);
  CHECK(database->integer("SELECT count(*) FROM device") == 1);
  CHECK(store->extent()->oldest == (morning + seconds(100'000)).time_since_epoch().count());
}

TEST_CASE("a log of before there were connections has none, and one that is not there says so") {
  const Folder folder;
  {
    const auto store = opened(folder);
  }
  auto database = Database::open(folder.path() / "doline.db", Database::Access::write, milliseconds(1'000));
  REQUIRE(database);
  REQUIRE(database->execute("DROP TABLE flow"));
  CHECK(found(folder, {}).empty());
  CHECK(FlowReader::open(folder.path() / "none.db").error() == DatabaseFault::missing);
}

TEST_CASE("a log from before refusals were told is read, and tells them once a writer has opened it") {
  const Folder folder;
  {
    const auto store = opened(folder);
    REQUIRE(store->begin());
    add(*store, "camera", "120.24.59.150", 0, flows::Explanation::without_lookup);
    REQUIRE(store->commit());
    auto database = Database::open(folder.path() / "doline.db", Database::Access::write, milliseconds(1'000));
    REQUIRE(database);
    REQUIRE(database->execute("ALTER TABLE flow DROP COLUMN refused"));
  }
  const auto before = found(folder, {});
  REQUIRE(before.size() == 1);
  CHECK_FALSE(before[0].is_refused);
  const auto store = opened(folder);
  REQUIRE(store->begin());
  FlowEntry entry;
  entry.time = morning.time_since_epoch().count();
  entry.is_refused = true;
  REQUIRE(store->insert(entry));
  REQUIRE(store->commit());
  const auto after = found(folder, {});
  REQUIRE(after.size() == 2);
  CHECK_FALSE(after[0].is_refused);
  CHECK(after[1].is_refused);
}

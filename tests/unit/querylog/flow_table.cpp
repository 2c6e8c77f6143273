#include "querylog/flow_table.h"

#include <doctest/doctest.h>

#include "querylog/schema.h"
#include "samples.h"

using namespace doline;
using namespace doline::querylog;
using namespace doline::querylog::samples;

namespace {

FlowEntry entry(std::int64_t time, std::uint32_t device = 1) {
  FlowEntry made;
  made.time = time;
  made.device = device;
  made.client = 2;
  made.destination = 3;
  made.port = 10'240;
  made.protocol = 17;
  return made;
}

Database opened(const Folder& folder) {
  auto database = Database::open(folder.path() / "flows.db", Database::Access::write, milliseconds(1'000));
  REQUIRE(database);
  REQUIRE(create_or_check_schema(*database));
  return std::move(*database);
}

std::int64_t count(Database& database) {
  return database.integer("SELECT count(*) FROM flow").value();
}

}  // namespace

TEST_CASE("connections are numbered once and for all, also when the newest went") {
  const Folder folder;
  Database database = opened(folder);
  auto table = FlowTable::open(database);
  REQUIRE(table);
  CHECK(table->insert(entry(10)) == 1);
  CHECK(table->insert(entry(20)) == 2);
  CHECK(forget_flows(database, std::nullopt, 100) == 2u);
  CHECK(table->insert(entry(30)) == 3);
  CHECK(table->set_traffic(3, {1, 2, 3, 4}));
  CHECK(table->set_traffic(1, {1, 2, 3, 4}));  // it is gone
  CHECK(database.integer("SELECT octets_in FROM flow WHERE number = 3") == 4);
}

TEST_CASE("the oldest go first, and none from the cutoff on") {
  const Folder folder;
  Database database = opened(folder);
  auto table = FlowTable::open(database);
  REQUIRE(table);
  CHECK(table->oldest() == 0);
  for (std::int64_t time = 10; time <= 100; time += 10) REQUIRE(table->insert(entry(time)));
  CHECK(table->oldest() == 10);
  CHECK(table->remove_before(10, 100) == 0u);
  CHECK(table->remove_before(35, 2) == 2u);
  CHECK(table->oldest() == 30);
  CHECK(table->remove_before(35, 100) == 100u);
  CHECK(count(database) == 7);
}

TEST_CASE("what rows point to is told in steps") {
  const Folder folder;
  Database database = opened(folder);
  auto table = FlowTable::open(database);
  REQUIRE(table);
  for (std::uint32_t device = 1; device <= 5; ++device) REQUIRE(table->insert(entry(10, device)));
  std::vector<std::uint32_t> seen;
  std::int64_t after = 0;
  for (int steps = 0; steps < 10; ++steps) {
    const auto last = table->ids_behind(after, 2, [&](const FlowEntry& one) { seen.push_back(one.device); });
    REQUIRE(last);
    if (!*last) break;
    after = **last;
  }
  CHECK(seen == std::vector<std::uint32_t>{1, 2, 3, 4, 5});
}

TEST_CASE("of some devices only what is theirs, and old enough, is forgotten; of a log without connections nothing") {
  const Folder folder;
  Database database = opened(folder);
  CHECK(has_flow_table(database) == false);
  CHECK(forget_flows(database, std::nullopt, 100) == 0u);
  auto table = FlowTable::open(database);
  REQUIRE(table);
  CHECK(has_flow_table(database) == true);
  for (std::uint32_t device = 1; device <= 3; ++device)
    for (std::int64_t time = 10; time <= 30; time += 10) REQUIRE(table->insert(entry(time, device)));
  const std::vector<std::uint32_t> two{2};
  CHECK(forget_flows(database, std::span(two), 25) == 2u);
  CHECK(count(database) == 7);
}

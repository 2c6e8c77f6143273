#include "control/hosts_keeper.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "run_until.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;
using doline::tests::TemporaryFolder;

namespace {

struct House {
  TemporaryFolder folder;
  std::ostringstream said;
  spdlog::logger log{"hosts", std::make_shared<spdlog::sinks::ostream_sink_st>(said)};
  Loop loop;
  int changes = 0;
  HostsKeeper keeper{loop, log, [this] { ++changes; }, milliseconds(10)};

  void write(const char* name, const std::string& text) { std::ofstream(folder / name) << text; }
};

}  // namespace

TEST_CASE("Hosts files are read in their order, and again when one changes") {
  House house;
  house.write("a", "192.168.1.10 nas\n");
  house.write("b", "192.168.1.20 tv\n");
  house.keeper.configure({house.folder / "a", house.folder / "b"});
  REQUIRE(house.keeper.files().size() == 2);
  CHECK(house.keeper.files()[0].size() == 1);
  CHECK(house.keeper.files()[1][0].owner.to_string() == "tv");
  CHECK(house.changes == 0);

  house.write("a", "192.168.1.10 nas files\n");
  CHECK(run_until(house.loop, [&] { return house.changes > 0 && house.keeper.files()[0].size() == 2; }));
}

TEST_CASE("What is wrong in a hosts file is said with file and line") {
  House house;
  house.write("a", "nas 192.168.1.10\n192.168.1.20 tv\n");
  house.keeper.configure({house.folder / "a", house.folder / "missing"});
  CHECK(house.said.str().find("a:1: the line does not begin with an address.") != std::string::npos);
  CHECK(house.said.str().find("missing cannot be read") != std::string::npos);
  CHECK(house.keeper.files()[0].size() == 1);
  CHECK(house.keeper.files()[1].empty());
}

TEST_CASE("A hosts file that is gone keeps its names until a restart, over a reload too, and that is told") {
  House house;
  house.write("a", "192.168.1.10 nas\n");
  house.write("b", "192.168.1.20 tv\n");
  house.keeper.configure({house.folder / "a", house.folder / "b"});
  CHECK(house.keeper.problems().empty());

  std::filesystem::remove(house.folder / "a");
  CHECK(run_until(house.loop, [&] { return house.changes > 0; }));
  house.keeper.configure({house.folder / "b", house.folder / "a"});
  CHECK(house.keeper.files()[0][0].owner.to_string() == "tv");
  CHECK(house.keeper.files()[1][0].owner.to_string() == "nas");
  REQUIRE(house.keeper.problems().size() == 1);
  CHECK(house.keeper.problems()[0].find("stays in force") != std::string::npos);

  house.write("a", "");
  house.keeper.configure({house.folder / "a"});
  CHECK(house.keeper.files()[0].empty());
  CHECK(house.keeper.problems().empty());
}

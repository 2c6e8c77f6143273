#include "control/list_reports.h"

#include <doctest/doctest.h>

#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;

TEST_CASE("What the compiler said of lists is there again, for the set it was said of") {
  const tests::TemporaryFolder folder;
  blocklist::CompileReport report;
  report.fingerprint = 0xfedcba9876543210;
  blocklist::ListReport list;
  list.name = "ads";
  list.format = blocklist::ListFormat::adblock;
  list.read.lines = 10;
  list.read.entries = 7;
  list.read.rules = 3;
  list.read.exceptions = 1;
  list.read.problems = 2;
  list.read.skipped[6] = 2;
  list.names = 5;
  list.first_problems = {{3, 4, blocklist::LineFault::url_rule}};
  report.lists = {list, {}};
  report.lists[1].failure = "it is gone";
  const auto file = folder / "report";
  CHECK(write_reports(file, report) == "");
  const auto again = read_reports(file, report.fingerprint);
  REQUIRE(again.size() == 2);
  CHECK(again[0].format == list.format);
  CHECK(again[0].read == list.read);
  CHECK(again[0].first_problems[0].fault == blocklist::LineFault::url_rule);
  CHECK(again[1].failure == "it is gone");
  CHECK(read_reports(file, 1).empty());
  CHECK(read_reports(folder.write("bad", "{\"fingerprint\": 1, \"lists\": [{}]}"), 1).empty());
  CHECK(read_reports(folder / "missing", 1).empty());
}

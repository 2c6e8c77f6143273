#include "doline/forget_command.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <sstream>

#include "doline/exit_status.h"
#include "doline/log_command.h"
#include "unit/querylog/day.h"

using namespace doline;
using querylog::samples::Day;

namespace {

struct Said {
  int status = -1;
  std::string out, err;
};

/// `doline log forget WORDS`, on this day's log.
Said forget(const Day& day, const std::vector<std::string>& words) {
  CLI::App app;
  LogArguments log;
  ForgetArguments arguments;
  CLI::App* log_command = add_log_command(app, log);
  const CLI::App* command = add_forget_command(*log_command, arguments);
  std::vector<std::string> backwards(words.rbegin(), words.rend());
  backwards.insert(backwards.end(), {"forget", "log"});
  app.parse(backwards);
  REQUIRE(command->parsed());
  arguments.database = day.file;
  std::ostringstream out, err;
  const int status = run_forget(arguments, day.clock, out, err);
  return {status, out.str(), err.str()};
}

}  // namespace

TEST_CASE("doline log forget takes what it is told, and tells how much it was") {
  ::setenv("TZ", "UTC0", 1);
  Day day;
  day.household_asks();
  const Said camera = forget(day, {"--device", "wyze-base"});
  CHECK(camera.status == exit_ok);
  CHECK(camera.out == "Forgotten: 3 records of wyze-base.\n");
  CHECK(camera.err.empty());
  const Said again = forget(day, {"--device", "wyze-base"});
  CHECK(again.status == exit_no);
  CHECK(again.out == "Forgotten: 0 records of wyze-base.\n");
  const Said early = forget(day, {"--device", "phone", "--before", "2026-11-25T09:00"});
  CHECK(early.out == "Forgotten: 1 record of phone from before 2026-11-25 09:00:00 (UTC).\n");
  CHECK(day.found({}).size() == 4);
  CHECK(forget(day, {"--before", "3h"}).out == "Forgotten: 1 record from before 2026-11-25 10:00:00 (UTC).\n");
  CHECK(forget(day, {"--all"}).out == "Forgotten: 3 records.\n");
  CHECK(day.found({}).empty());
}

TEST_CASE("doline log forget does nothing where it is not told what, or told two things") {
  Day day;
  day.household_asks();
  CHECK(forget(day, {}).status == exit_wrong_usage);
  CHECK(forget(day, {"--before", "soon"}).status == exit_wrong_usage);
  CHECK_THROWS_AS(forget(day, {"--all", "--device", "phone"}), CLI::ParseError);
  CHECK(day.found({}).size() == 8);
}

TEST_CASE("doline log forget makes no database, and names damaged ones that were set aside") {
  Day day;
  day.household_asks();
  ForgetArguments arguments;
  arguments.all = true;
  arguments.database = day.folder / "none.db";
  std::ostringstream out, err;
  CHECK(run_forget(arguments, day.clock, out, err) == exit_no_input);
  CHECK_FALSE(std::filesystem::exists(arguments.database));
  std::ofstream(day.file.string() + ".corrupt-20261125T070000Z") << "x";
  CHECK(forget(day, {"--all"}).err.find("x.db.corrupt-20261125T070000Z") != std::string::npos);
}

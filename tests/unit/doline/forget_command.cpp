#include "doline/forget_command.h"

#include <fstream>
#include <sstream>

#include "doline/exit_status.h"
#include "temporary_folder.h"
#include "unit/querylog/day.h"

using namespace doline;
using querylog::samples::Day;

namespace {

struct Said {
  int status = -1;
  std::string out, err;
};

Said run(const Day& day, const ForgetArguments& arguments) {
  std::ostringstream out, err;
  const int status = run_forget(arguments, day.clock, out, err);
  return {status, out.str(), err.str()};
}

/// `doline log forget --device ... --before ...`, on this day's log.
Said forget(const Day& day, const std::vector<std::string>& devices, const std::string& before = "") {
  return run(day, {.database = day.file, .forget_found = {}, .devices = devices, .before = before});
}

/// `doline log forget --all`, on this day's log.
Said forget_all(const Day& day) {
  return run(day, {.database = day.file, .forget_found = {}, .devices = {}, .before = {}, .all = true});
}

}  // namespace

TEST_CASE("doline log forget takes what it is told, and tells how much it was") {
  ::setenv("TZ", "UTC0", 1);
  Day day;
  day.household_asks();
  const Said camera = forget(day, {"wyze-base"});
  CHECK(camera.status == exit_ok);
  CHECK(camera.out == "Forgotten: 3 records of wyze-base.\n");
  CHECK(camera.err.empty());
  const Said again = forget(day, {"wyze-base"});
  CHECK(again.status == exit_no);
  CHECK(again.out == "Forgotten: 0 records of wyze-base; " + day.file.string() + " has none.\n");
  const Said early = forget(day, {"phone"}, "2026-11-25T09:00");
  CHECK(early.out == "Forgotten: 1 record of phone from before 2026-11-25 09:00:00 (UTC).\n");
  CHECK(day.found({}).size() == 4);
  CHECK(forget(day, {}, "3h").out == "Forgotten: 1 record from before 2026-11-25 10:00:00 (UTC).\n");
  CHECK(forget_all(day).out == "Forgotten: 3 records.\n");
  CHECK(day.found({}).empty());
}

TEST_CASE("doline log forget does nothing where it is not told what, or when is not to be understood") {
  Day day;
  day.household_asks();
  CHECK(forget(day, {}).status == exit_wrong_usage);
  CHECK(forget(day, {}, "soon").status == exit_wrong_usage);
  CHECK(day.found({}).size() == 8);
}

TEST_CASE("doline log forget forgets the devices too that Doline had found, and needs no log for that") {
  ::setenv("TZ", "UTC0", 1);
  Day day;
  day.household_asks();
  querylog::Forgetting asked;
  Result<std::size_t, int> found = 2;
  ForgetArguments arguments{.database = day.file,
                            .forget_found =
                                [&](const querylog::Forgetting& what) {
                                  asked = what;
                                  return found;
                                },
                            .devices = {"wyze-base"},
                            .before = {}};
  const Said both = run(day, arguments);
  CHECK(both.out == "Forgotten: 2 devices that Doline had found by itself.\nForgotten: 3 records of wyze-base.\n");
  CHECK(asked.devices == std::vector<std::string>{"wyze-base"});
  arguments.database.clear();  // `querylog: off`
  CHECK(run(day, arguments).status == exit_ok);
  found = 0;
  CHECK(run(day, arguments).status == exit_no);
  found = fail(exit_disk);
  CHECK(run(day, arguments).status == exit_disk);
  arguments.database = day.file;
  arguments.devices = {"phone"};
  const Said rest = run(day, arguments);  // the log is forgotten all the same
  CHECK(rest.status == exit_disk);
  CHECK(rest.out.find(" of phone.") != std::string::npos);
}

TEST_CASE("found devices are forgotten in the file where no Doline runs") {
  const tests::TemporaryFolder folder;
  config::Settings settings;
  config::place_state(settings.fixed, folder.path());
  const std::string kept = R"("94:51:3d:00:00:02")", gone = R"("94:51:3d:00:00:01")";
  folder.write("devices.json", R"({"devices": [{"mac": )" + gone +
                                   R"(, "hostname": "camera", "last": 1794999000}, {"mac": )" + kept +
                                   R"(, "hostname": "tv", "last": 1794999000}]})");
  std::ostringstream err;
  const WallTime now{seconds(1'795'000'000)};
  CHECK(forget_found(settings, {{"camera"}, {}}, now, err) == 1u);
  const std::string text = tests::content_of(folder / "devices.json");
  CHECK(text.find(gone) == std::string::npos);
  CHECK(text.find(kept) != std::string::npos);
  CHECK(forget_found(settings, {}, now, err) == 1u);
  CHECK_FALSE(std::filesystem::exists(folder / "devices.json"));
  CHECK(forget_found(settings, {}, now, err) == 0u);
  CHECK(err.str().empty());
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
  CHECK(forget_all(day).err.find("x.db.corrupt-20261125T070000Z") != std::string::npos);
}

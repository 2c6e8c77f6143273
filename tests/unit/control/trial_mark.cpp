#include "control/trial_mark.h"

#include <doctest/doctest.h>

#include "../redirect/home.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;

TEST_CASE("what was on trial, and before, is read as it was written") {
  const tests::TemporaryFolder folder;
  const auto file = folder / "trial.json";
  std::string complaint;
  CHECK_FALSE(read_trial_mark(file, complaint));
  TrialMark mark{tests::home_options(redirect::Mode::tproxy), std::nullopt};
  CHECK(write_trial_mark(file, mark).empty());
  CHECK(read_trial_mark(file, complaint) == mark);
  mark.former = mark.on_trial;
  mark.former->encrypted = redirect::Encrypted::reject;
  CHECK(write_trial_mark(file, mark).empty());
  CHECK(read_trial_mark(file, complaint) == mark);
  CHECK(complaint.empty());
}

TEST_CASE("a damaged mark is told, with its file") {
  const tests::TemporaryFolder folder;
  for (const char* text : {"", "{}", "[]", R"({"on_trial": [1, 2, 3], "former": null})", R"({"on_trial": [300]})",
                           R"({"on_trial": "x", "former": null})"}) {
    CAPTURE(text);
    std::string complaint;
    CHECK_FALSE(read_trial_mark(folder.write("trial.json", text), complaint));
    CHECK(complaint.find("trial.json is damaged") != std::string::npos);
  }
  CHECK(write_trial_mark(folder / "none" / "trial.json", {}) != "");
}

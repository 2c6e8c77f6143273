#include "control/file_watch.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "run_until.h"
#include "temporary_folder.h"

using namespace doline::control;
using namespace doline::control::test;

TEST_CASE("Files of several folders are watched, written in place or replaced, and no others of those folders") {
  const doline::tests::TemporaryFolder one, other;
  Loop loop;
  int changes = 0;
  const auto a = one.write("a", "1"), b = other.write("b", "1");
  const FolderWatches folders = watch_files(loop, {a, one / "later", b}, [&] { ++changes; });
  REQUIRE(folders.size() == 2);
  for (const auto& [folder, watch] : folders) CHECK(watch);

  one.write("stranger", "1");
  settle(loop);
  CHECK(changes == 0);
  one.write("a", "2");
  CHECK(run_until(loop, [&] { return changes > 0; }));
  settle(loop);
  changes = 0;
  std::filesystem::rename(other.write("new", "2"), b);
  CHECK(run_until(loop, [&] { return changes > 0; }));
  settle(loop);
  changes = 0;
  one.write("later", "1");
  CHECK(run_until(loop, [&] { return changes > 0; }));
}

TEST_CASE("A folder that is not there has an empty watch") {
  Loop loop;
  const FolderWatches folders = watch_files(loop, {"/does/not/exist/file"}, [] {});
  REQUIRE(folders.size() == 1);
  CHECK_FALSE(folders.begin()->second);
}

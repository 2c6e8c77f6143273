#include "control/file_watch.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "run_until.h"
#include "temporary_folder.h"

using namespace doline::control;
using namespace doline::control::test;
using doline::tests::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

/// What a watch has told of since it was last asked.
struct Changes {
  Loop loop;
  int count = 0;
  FileWatch watch;

  explicit Changes(std::vector<fs::path> files) : watch(loop, std::move(files), [this] { ++count; }) {}
  bool come() {
    const bool have_come = run_until(loop, [&] { return count > 0; });
    settle(loop);
    count = 0;
    return have_come;
  }
  bool are_none() {
    settle(loop);
    return count == 0;
  }
};

/// As Kubernetes does it: the new link takes the old one's name.
void turn_link(const fs::path& link, const fs::path& target) {
  fs::create_symlink(target, link.native() + ".new");
  fs::rename(link.native() + ".new", link);
}

}  // namespace

TEST_CASE("Files of several folders are watched, written in place or replaced, and no others of those folders") {
  const TemporaryFolder one, other;
  const auto a = one.write("a", "1"), b = other.write("b", "1");
  Changes changes({a, one / "later", b});
  CHECK(changes.watch.unwatched().empty());

  one.write("stranger", "1");
  CHECK(changes.are_none());
  one.write("a", "2");
  CHECK(changes.come());
  fs::rename(other.write("new", "2"), b);
  CHECK(changes.come());
  one.write("later", "1");
  CHECK(changes.come());
}

TEST_CASE("A file behind links is watched where it is, and so is each link, wherever it leads then") {
  const TemporaryFolder links, first, second;
  const auto file = first.write("a", "1");
  second.write("a", "2");
  fs::create_directory_symlink(first.path(), links / "folder");
  fs::create_symlink("folder/a", links / "a");
  Changes changes({links / "a"});

  first.write("a", "3");
  CHECK(changes.come());
  turn_link(links / "folder", second.path());
  CHECK(changes.come());
  first.write("a", "4");
  CHECK(changes.are_none());
  second.write("a", "5");
  CHECK(changes.come());
  turn_link(links / "a", file);
  CHECK(changes.come());
  first.write("a", "6");
  CHECK(changes.come());
}

TEST_CASE("Links that lead to themselves are watched, and nothing more") {
  const TemporaryFolder folder;
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  Changes changes({folder / "a"});
  fs::remove(folder / "b");
  CHECK(changes.come());
  folder.write("b", "1");
  CHECK(changes.come());
}

TEST_CASE("A file whose folder is not there yet is told of when both have come") {
  const TemporaryFolder folder;
  Changes changes({folder / "later" / "deep" / "file"});
  fs::create_directories(folder / "later" / "deep");
  CHECK(changes.come());
  std::ofstream(folder / "later" / "deep" / "file") << "1";
  CHECK(changes.come());
}

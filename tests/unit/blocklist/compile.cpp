#include "blocklist/compile.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "blocklist/file_format.h"
#include "seeded.h"
#include "temporary_folder.h"
#include "unit/blocklist/pack.h"

using namespace doline;
using namespace doline::blocklist;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;

namespace {

std::shared_ptr<const ListSet> opened(const std::filesystem::path& file) {
  auto set = ListSet::open(file, true);
  REQUIRE(set.has_value());
  return *set;
}

bool lists(const ListSet& set, std::string_view name, std::uint16_t list) {
  const Listing listing = set.look_up(*dns::Name::parse(name));
  for (const Covering& covering : listing.all()) {
    const auto members = set.lists_of(covering.set);
    if (std::find(members.begin(), members.end(), ListId{list}) != members.end()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a list that cannot be used leaves the others whole and says why") {
  const TemporaryFolder folder;
  const std::vector<ListInput> inputs{
      {"good", folder.write("good", "a.example\nbad|line\nb.example\nA.example.\n"), {}, false},
      {"missing", folder / "missing", {}, false},
      {"page", folder.write("page", "<html>Not Found</html>\n"), {}, false},
      {"empty", folder.write("empty", ""), {}, false},
      {"folder", folder.path(), {}, false},
      {"hosts", folder.write("hosts", "0.0.0.0 c.example\n"), ListFormat::hosts, false},
  };
  const auto report = compile(inputs, folder / "set");
  REQUIRE(report.has_value());
  REQUIRE(report->lists.size() == 6);
  CHECK(report->names == 3);
  CHECK(report->file_octets == std::filesystem::file_size(folder / "set"));

  CHECK(report->lists[0].failure.empty());
  CHECK(report->lists[0].format == ListFormat::domains);
  CHECK(report->lists[0].names == 2);
  CHECK(report->lists[0].read.lines == 4);
  CHECK(report->lists[0].read.entries == 3);
  REQUIRE(report->lists[0].first_problems.size() == 1);
  CHECK(report->lists[0].first_problems[0].line == 2);
  CHECK(report->lists[1].failure == "cannot read " + (folder / "missing").string() + ": No such file or directory");
  CHECK(report->lists[2].failure ==
        (folder / "page").string() + " looks like none of the formats of lists; if it is one, say which by `format`");
  CHECK(report->lists[3].failure.empty());  // an empty file is meant to be empty
  CHECK(report->lists[4].failure == folder.path().string() + " is not a file");
  CHECK(report->lists[5].names == 1);

  const auto set = opened(folder / "set");
  CHECK(set->list_count() == 6);
  CHECK(set->name_count() == 3);
  CHECK(set->name_count(ListId{0}) == 2);
  CHECK(set->name_count(ListId{1}) == 0);
  CHECK(set->name_count(ListId{5}) == 1);
  CHECK(lists(*set, "a.example", 0));
  CHECK(lists(*set, "c.example", 5));
  CHECK_FALSE(lists(*set, "c.example", 0));
}

TEST_CASE("no more problems are kept than are shown, but all are counted") {
  const TemporaryFolder folder;
  std::string text = "a.example\n";
  for (int line = 0; line < 1000; ++line) text += "bad|line\n";
  const auto report = compile({{"list", folder.write("list", text), ListFormat::domains, false}}, folder / "set");
  REQUIRE(report.has_value());
  CHECK(report->lists[0].first_problems.size() == problems_shown);
  CHECK(report->lists[0].read.problems == 1000);
}

TEST_CASE("only a target that cannot be written is a fault, and nothing is left beside it") {
  const TemporaryFolder folder;
  const auto report = compile({}, folder / "no-such-folder" / "set");
  REQUIRE_FALSE(report.has_value());
  CHECK(report.error() ==
        "cannot write " + (folder / "no-such-folder" / "set").string() + ": No such file or directory");

  std::filesystem::create_directory(folder / "set");
  CHECK_FALSE(compile({}, folder / "set").has_value());
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a disk that is full is a fault, leaves the set as it was and nothing beside it") {
  const TemporaryFolder folder;
  const std::vector<ListInput> few{{"list", folder.write("list", "a.example\n"), {}, false}};
  REQUIRE(compile(few, folder / "set").has_value());
  const std::string before = content_of(folder / "set");
  std::string text;
  for (int number = 0; number < 2000; ++number) text += std::to_string(number) + ".example\n";
  const std::vector<ListInput> many{{"list", folder.write("list", text), {}, false}};

  // No file may grow beyond 8 KiB: to who writes, that is a full disk by another name.
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{8192, limit.rlim_max};
  const auto handled = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto report = compile(many, folder / "set");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  std::signal(SIGXFSZ, handled);
  REQUIRE_FALSE(report.has_value());
  CHECK(report.error() == "cannot write " + (folder / "set").string() + ": File too large");
  CHECK(content_of(folder / "set") == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("what a compilation left that was killed is taken away by the next, what one still writes is not") {
  const TemporaryFolder folder;
  const auto target = folder / "lists.image";
  for (const char* name : {"lists.image.new-abcdef", "lists.image.new-ghijkl", "lists.image.new-kept", "other"})
    folder.write(name, "half");
  const int writing = ::open((folder / "lists.image.new-ghijkl").c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(::flock(writing, LOCK_EX) == 0);
  REQUIRE(compile({}, target).has_value());
  CHECK_FALSE(std::filesystem::exists(folder / "lists.image.new-abcdef"));
  CHECK(std::filesystem::exists(folder / "lists.image.new-ghijkl"));
  CHECK(std::filesystem::exists(folder / "lists.image.new-kept"));
  CHECK(std::filesystem::exists(folder / "other"));
  ::close(writing);
}

TEST_CASE("no lists make a set that lists nothing") {
  const TemporaryFolder folder;
  REQUIRE(compile({}, folder / "set").has_value());
  const auto set = opened(folder / "set");
  CHECK(set->name_count() == 0);
  CHECK(set->list_count() == 0);
  CHECK(set->look_up(*dns::Name::parse("a.example")).is_empty());
}

TEST_CASE("the same lists compiled again make the same file, and the set says what it was compiled from") {
  const TemporaryFolder folder;
  std::vector<ListInput> inputs{{"list", folder.write("list", "a.example\nb.example\n"), {}, false}};
  const auto first = compile(inputs, folder / "set");
  REQUIRE(first.has_value());
  CHECK(first->fingerprint == fingerprint_of(inputs));
  CHECK(opened(folder / "set")->fingerprint() == fingerprint_of(inputs));
  const std::string octets = content_of(folder / "set");
  REQUIRE(compile(inputs, folder / "set").has_value());
  CHECK(content_of(folder / "set") == octets);

  REQUIRE(compile(inputs, folder / "other").has_value());
  FileHeader here;
  FileHeader there;
  std::memcpy(&here, octets.data(), sizeof here);
  std::memcpy(&there, content_of(folder / "other").data(), sizeof there);
  CHECK(here.seed != there.seed);
}

TEST_CASE("the fingerprint changes with a setting, the order and the file, and not by itself") {
  const TemporaryFolder folder;
  const ListInput one{"one", folder.write("one", "a.example\n"), {}, false};
  const ListInput two{"two", folder.write("two", "b.example\n"), {}, false};
  const std::uint64_t fingerprint = fingerprint_of({one, two});
  CHECK(fingerprint_of({one, two}) == fingerprint);
  CHECK(fingerprint_of({two, one}) != fingerprint);
  CHECK(fingerprint_of({one}) != fingerprint);
  ListInput changed = two;
  changed.subdomains = true;
  CHECK(fingerprint_of({one, changed}) != fingerprint);
  changed = two;
  changed.format = ListFormat::domains;
  CHECK(fingerprint_of({one, changed}) != fingerprint);
  folder.write("two", "b.example\nc.example\n");
  CHECK(fingerprint_of({one, two}) != fingerprint);
  std::filesystem::remove(two.file);
  CHECK(fingerprint_of({one, two}) != fingerprint);
}

TEST_CASE("a new set does not touch the one that is mapped") {
  const TemporaryFolder folder;
  std::vector<ListInput> inputs{{"list", folder.write("list", "a.example\n"), {}, false}};
  REQUIRE(compile(inputs, folder / "set").has_value());
  const auto before = opened(folder / "set");
  folder.write("list", "b.example\n");
  REQUIRE(compile(inputs, folder / "set").has_value());
  const auto after = opened(folder / "set");
  CHECK((lists(*before, "a.example", 0) && !lists(*before, "b.example", 0)));
  CHECK((!lists(*after, "a.example", 0) && lists(*after, "b.example", 0)));
}

TEST_CASE("a FIFO in a list's place holds nothing up") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const auto report = compile({{"pipe", folder / "pipe", {}, false}}, folder / "set");
  REQUIRE(report.has_value());
  CHECK(report->lists[0].failure == (folder / "pipe").string() + " is not a file");
}

TEST_CASE("lists beyond the most there can be are left out and say so") {
  const TemporaryFolder folder;
  std::vector<ListInput> inputs(lists_max + 1,
                                {"list", folder.write("list", "a.example\n"), ListFormat::domains, false});
  const auto report = compile(inputs, folder / "set");
  REQUIRE(report.has_value());
  REQUIRE(report->lists.size() == lists_max + 1);
  CHECK(report->lists[lists_max - 1].failure.empty());
  CHECK(report->lists[lists_max].failure == "more than 4096 lists");
  const auto set = opened(folder / "set");
  const Listing listing = set->look_up(*dns::Name::parse("a.example"));
  REQUIRE(listing.count == 1);
  CHECK(set->lists_of(listing.coverings[0].set).size() == lists_max);
}

TEST_CASE("a text larger than the reading buffer loses no line at its edges") {
  const TemporaryFolder folder;
  std::string text;
  for (int number = 0; number < 200'000; ++number) text += "name-" + std::to_string(number) + ".example\n";
  REQUIRE(text.size() > 3 * 1024 * 1024);
  const auto report = compile({{"list", folder.write("list", text), {}, false}}, folder / "set");
  REQUIRE(report.has_value());
  CHECK(report->names == 200'000);
  CHECK(report->lists[0].read.lines == 200'000);
  CHECK(report->lists[0].read.problems == 0);
}

TEST_CASE("a packed list is read whole, however many readings it takes") {
  const TemporaryFolder folder;
  tests::Seeded random;
  INFO(random.replay());
  std::string text;
  for (int number = 0; number < 60'000; ++number) {
    std::string label;
    for (int i = 0; i < 12; ++i) label += static_cast<char>('a' + random.below(26));
    text += label + std::to_string(number) + ".example\n";
  }
  for (const Packing packing : {Packing::gzip, Packing::xz, Packing::zstd}) {
    CAPTURE(static_cast<int>(packing));
    const std::string packed = pack(packing, text);
    REQUIRE(packed.size() > 400'000);
    const auto report = compile({{"list", folder.write("list", packed), {}, false}}, folder / "set");
    REQUIRE(report.has_value());
    CHECK(report->lists[0].failure == "");
    CHECK(report->names == 60'000);
  }
}

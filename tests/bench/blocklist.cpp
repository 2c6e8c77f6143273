// What lists cost: the CPU time and memory of compiling them, the octets of the file, the time of a look-up. Prints
// figures; asserts none of them.
//   blocklist_bench [FILE...]   (default: one made-up list of a million names)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "blocklist/compile.h"

using namespace doline;
using namespace doline::blocklist;

namespace {

constexpr int made_up_names = 1'000'000;
constexpr std::size_t asked_names = 200'000;
constexpr int rounds = 5;

struct Cost {
  double cpu_seconds = 0;
  double peak_mebioctets = 0;
};

/// Of a first compilation, in a process of its own.
std::optional<Cost> cost_of_compiling(const std::vector<ListInput>& inputs, const std::filesystem::path& target) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(compile(inputs, target) ? 0 : 1);
  int status = 0;
  rusage usage{};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child || status != 0) return std::nullopt;
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return Cost{of(usage.ru_utime) + of(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024};
}

std::filesystem::path make_list(const std::filesystem::path& folder) {
  std::mt19937_64 random(1);
  std::ofstream list(folder / "list");
  for (int number = 0; number < made_up_names; ++number)
    list << "host" << random() % 100 << ".site" << number << (number % 3 == 0 ? ".example\n" : ".example.com\n");
  return folder / "list";
}

/// Every so many names of the files, so that they are asked_names in all.
std::vector<dns::Name> listed_names(const std::vector<ListInput>& inputs, std::uint64_t entries) {
  std::vector<dns::Name> names;
  std::uint64_t seen = 0;
  for (const ListInput& input : inputs) {
    std::stringstream text;
    text << std::ifstream(input.file).rdbuf();
    const std::string octets = text.str();
    const auto format = recognise(octets);
    if (!format) continue;
    read_list(
        octets, *format, false,
        [&](const Entry& entry) {
          if (seen++ * asked_names / entries >= names.size()) names.push_back(entry.name);
        },
        [](const LineProblem&) {});
  }
  return names;
}

void ask(const char* what, const ListSet& set, const std::vector<dns::Name>& names) {
  double fastest = 0;
  std::size_t found = 0;
  for (int round = 0; round < rounds; ++round) {
    found = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (const dns::Name& name : names) found += set.look_up(name).is_empty() ? 0 : 1;
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (round == 0 || took < fastest) fastest = took;
  }
  std::printf("%-9s %7.1f ns a look-up; %zu of %zu names found\n", what,
              fastest * 1e9 / static_cast<double>(names.size()), found, names.size());
}

int measure(const std::filesystem::path& folder, std::vector<ListInput> inputs) {
  if (inputs.empty()) inputs.push_back({"made up", make_list(folder), {}, false});
  std::optional<Cost> cost;
  for (int round = 0; round < rounds; ++round) {
    const auto another = cost_of_compiling(inputs, folder / "set");
    if (!another) return 1;
    if (!cost || another->cpu_seconds < cost->cpu_seconds) cost = another;
  }
  const auto report = compile(inputs, folder / "set");
  const auto set = ListSet::open(folder / "set");
  if (!report || !set || report->names == 0) return 1;
  std::uint64_t entries = 0;
  for (const ListReport& list : report->lists) {
    entries += list.read.entries;
    if (!list.failure.empty()) std::printf("! %s\n", list.failure.c_str());
  }
  const auto names = static_cast<double>(report->names);
  std::printf("compiled  %.0f names (%llu entries) in %.3f s of CPU: %.0f ns a name; peak %.0f MiB\n", names,
              static_cast<unsigned long long>(entries), cost->cpu_seconds, cost->cpu_seconds * 1e9 / names,
              cost->peak_mebioctets);
  std::printf("file      %.2f octets a name\n", static_cast<double>(report->file_octets) / names);

  std::vector<dns::Name> asked = listed_names(inputs, entries);
  std::shuffle(asked.begin(), asked.end(), std::mt19937_64(2));
  ask("listed", **set, asked);
  for (dns::Name& name : asked) {
    std::vector<std::uint8_t> wire(name.wire().begin(), name.wire().end());
    wire[1] = wire[1] == '~' ? '!' : '~';  // in no list
    name = *dns::Name::from_wire(wire);
  }
  ask("unlisted", **set, asked);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  std::vector<ListInput> inputs;
  for (int at = 1; at < count; ++at) inputs.push_back({words[at], words[at], {}, false});
  std::string pattern = (std::filesystem::temp_directory_path() / "doline-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return 1;
  const int status = measure(pattern, std::move(inputs));
  std::filesystem::remove_all(pattern);
  return status;
}

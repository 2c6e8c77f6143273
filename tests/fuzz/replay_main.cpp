// The main() of fuzz targets without libFuzzer: runs every file of the corpus as it is and mutations of it. A crash
// names the input by a file that it leaves behind; the seed is printed ($DOLINE_SEED runs the same again,
// $DOLINE_MUTATIONS sets how many a file).
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "seeded.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size);

namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::size_t mutations_in_all = 100'000;
constexpr std::size_t mutations_max = 2'000;  // of one file
constexpr std::size_t input_octets_max = 70'000;

/// One to eight small changes, of the kinds that break parsers: bits, lengths, extremes, cuts, repetitions, pieces of
/// other inputs.
Octets mutate(Octets input, const std::vector<Octets>& corpus, doline::tests::Seeded& random) {
  for (std::size_t changes = random.between(1, 8); changes > 0; --changes) {
    if (input.empty()) input.push_back(random.octet());
    const std::size_t at = random.below(input.size());
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random.below(8)) {
      case 0:
        *place ^= static_cast<std::uint8_t>(1u << random.below(8));
        break;
      case 1:
        *place = random.octet();
        break;
      case 2:
        *place = static_cast<std::uint8_t>(*place + (random.once_in(2) ? 1 : -1));
        break;
      case 3: {
        constexpr std::uint8_t extremes[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
        *place = extremes[random.below(std::size(extremes))];
        break;
      }
      case 4:
        input.resize(at);
        break;
      case 5:
        input.erase(place, place + static_cast<std::ptrdiff_t>(
                                       random.between(1, std::min<std::size_t>(input.size() - at, 16))));
        break;
      case 6: {
        const Octets piece(place, place + static_cast<std::ptrdiff_t>(
                                              random.between(1, std::min<std::size_t>(input.size() - at, 64))));
        input.insert(place, piece.begin(), piece.end());
        break;
      }
      default: {
        const Octets& other = corpus[random.below(corpus.size())];
        if (other.empty()) break;
        const std::size_t from = random.below(other.size());
        const std::size_t count = std::min({other.size() - from, input.size() - at, random.between(1, 64)});
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), count, place);
        break;
      }
    }
  }
  if (input.size() > input_octets_max) input.resize(input_octets_max);
  return input;
}

const Octets* running = nullptr;

void leave_input_behind() {
  if (running == nullptr) return;
  std::ofstream("crash-input", std::ios::binary)
      .write(reinterpret_cast<const char*>(running->data()), std::ssize(*running));
  std::fprintf(stderr, "the input is in the file crash-input of the working directory\n");
}

void run(const Octets& input) {
  running = &input;
  LLVMFuzzerTestOneInput(input.data(), input.size());
  running = nullptr;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::filesystem::path> paths;
  for (int i = 1; i < count; ++i) {
    if (!std::filesystem::is_directory(arguments[i])) {
      paths.emplace_back(arguments[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // so that the seed says all
  std::vector<Octets> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "no corpus\n");
    return 1;
  }

  std::signal(SIGABRT, [](int) {
    leave_input_behind();
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  doline::tests::Seeded random;
  const char* const wished = std::getenv("DOLINE_MUTATIONS");
  const std::size_t mutations = wished != nullptr ? std::strtoull(wished, nullptr, 10)
                                                  : std::min(mutations_max, mutations_in_all / corpus.size());
  std::printf("%zu inputs, %zu mutations of each, %s\n", corpus.size(), mutations, random.replay().c_str());
  std::fflush(stdout);
  for (const Octets& input : corpus) run(input);
  for (const Octets& input : corpus)
    for (std::size_t i = 0; i < mutations; ++i) run(mutate(input, corpus, random));
  return 0;
}

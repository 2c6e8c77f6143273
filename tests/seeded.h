// Seeded: random numbers for laws, from a seed that is printed with every failure and can be given again in
// $DOLINE_SEED.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace doline::tests {

class Seeded {
 public:
  Seeded() : seed_(choose()), engine_(seed_) {}
  explicit Seeded(std::uint64_t seed) : seed_(seed), engine_(seed) {}

  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  /// For INFO(): how to run the same again.
  [[nodiscard]] std::string replay() const { return "DOLINE_SEED=" + std::to_string(seed_); }
  std::uint64_t operator()() { return engine_(); }
  /// 0 to count - 1.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
  std::uint8_t octet() { return static_cast<std::uint8_t>(engine_() >> 32); }
  /// True once in `count` times.
  bool once_in(std::size_t count) { return below(count) == 0; }

 private:
  static std::uint64_t choose() {
    if (const char* given = std::getenv("DOLINE_SEED")) return std::strtoull(given, nullptr, 10);
    return std::random_device{}();
  }
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace doline::tests

// PatternSet: which of many regular expressions match a name, in time linear in the name whatever they are.
//
// RE2 says of most expressions which literals a match must hold; one automaton looks for all of these literals at once,
// and only expressions whose literals are there are tried. Those without any are one combined automaton. Immutable;
// any thread. RE2 guards the states it makes while it matches by locks of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dns/name.h"

namespace doline::blocklist {

inline constexpr std::size_t pattern_octets_max = 2'048;
inline constexpr std::size_t patterns_max = 50'000;

class PatternSet {
 public:
  /// Expressions with a fault match nothing.
  explicit PatternSet(std::span<const std::string_view> expressions);
  ~PatternSet();
  PatternSet(const PatternSet&) = delete;
  PatternSet& operator=(const PatternSet&) = delete;

  /// Numbers of all expressions that match, ascending. Allocates only where literals are there, or some match.
  [[nodiscard]] std::vector<std::uint32_t> match(const dns::Name& lowered) const;

 private:
  struct Automata;
  std::unique_ptr<const Automata> automata_;
};

}  // namespace doline::blocklist

// Difference: what a plan would change on this machine, part by part: the text of each part as it is and as it would
// be, and of these the lines that come and go. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace doline::redirect {

/// Past it a part is said to change as a whole.
inline constexpr std::size_t difference_lines_max = 4'000;

/// Begins a line that is one element of a set. Past so many that come or go together people are told their number.
inline constexpr std::string_view element_line = "\t\telement ";
inline constexpr std::size_t elements_told_max = 8;

struct Part {
  std::string name;    ///< `table inet doline`
  std::string before;  ///< lines; empty: it is not there
  std::string after;   ///< likewise
};

struct LineChange {
  enum class Kind : std::uint8_t { kept, removed, added };
  Kind kind = Kind::kept;
  std::string line;
  bool operator==(const LineChange&) const = default;
};

/// The fewest removals and additions that lead from one to the other; removals first where both stand together.
[[nodiscard]] std::vector<LineChange> find_difference(const std::string& before, const std::string& after);

/// For people: each part that changes, with the lines that come (`+`) and go (`-`); empty where none does.
[[nodiscard]] std::string describe(const std::vector<Part>& parts);

}  // namespace doline::redirect

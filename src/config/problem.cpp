#include "config/problem.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "config/printable.h"

namespace doline::config {

namespace {

constexpr std::size_t quoted_octets_max = 60;
/// A candidate longer than this is no key of ours; bounds the work.
constexpr std::size_t near_octets_max = 64;
/// Of thousands of devices the first are enough to look among.
constexpr std::size_t candidates_max = 4'096;

/// Columns that the first `octets` of a printable line take, one a character.
std::size_t width(std::string_view line, std::size_t octets) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(std::min(octets, line.size())),
                    [](char letter) { return (static_cast<unsigned char>(letter) & 0xc0) != 0x80; }));
}

/// Optimal string alignment: letters put in, left out, changed, or two neighbours swapped.
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before_last(right.size() + 1), last(right.size() + 1), row(right.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= left.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (left[i - 1] == right[j - 1] ? 0u : 1u)});
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[right.size()];
}

/// Small letters, `-` and blanks as `_`: how people miswrite keys without noticing.
std::string flattened(std::string_view text) {
  std::string flat(text);
  for (char& letter : flat) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    if (letter == '-' || letter == ' ') letter = '_';
  }
  return flat;
}

}  // namespace

std::string to_string(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
  text += ": " + problem.message;
  if (!problem.hint.empty()) text += "; " + problem.hint;
  return text;
}

std::string to_text(const Problem& problem) {
  std::string text = to_string(problem) + "\n";
  if (problem.line == 0 || problem.source_line.empty()) return text;
  const std::string margin = std::to_string(problem.line);
  const std::size_t before = width(problem.source_line, static_cast<std::size_t>(std::max(problem.column, 1)) - 1);
  text += " " + margin + " | " + problem.source_line + "\n";
  text += " " + std::string(margin.size(), ' ') + " | " + std::string(before, ' ') + "^\n";
  return text;
}

std::string quote(std::string_view text) {
  std::string quoted = "'";
  while (!text.empty()) {
    if (quoted.size() > quoted_octets_max) {
      quoted += "...";
      break;
    }
    const std::size_t octets = front_of(text).octets;
    quoted += printable(text.substr(0, octets));
    text.remove_prefix(octets);
  }
  return quoted + "'";
}

std::string printable_line(std::string_view line) {
  std::string shown;
  while (!line.empty()) {
    // As many octets as there were, so that the caret stays under its place.
    const Front front = front_of(line);
    if (front.is_harmless)
      shown += line.substr(0, front.octets);
    else
      shown.append(front.octets, line[0] == '\t' ? ' ' : '?');
    line.remove_prefix(front.octets);
  }
  return shown;
}

std::string_view find_nearest(std::string_view text, const std::vector<std::string_view>& candidates) {
  if (text.empty() || text.size() > near_octets_max) return {};
  const std::string wanted = flattened(text);
  std::string_view nearest;
  // A third of the letters may be wrong, but never all of a short word.
  std::size_t least = std::max<std::size_t>(wanted.size() / 3, 1) + 1;
  for (const std::string_view candidate : std::span(candidates).first(std::min(candidates.size(), candidates_max))) {
    if (candidate.empty() || candidate.size() > near_octets_max) continue;
    const std::size_t wrong = distance(wanted, flattened(candidate));
    if (wrong < least && wrong < std::max(wanted.size(), candidate.size())) {
      least = wrong;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace doline::config

#include "redirect/difference.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace doline::redirect {

namespace {

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// How long the longest common sequence of what follows is, for each pair of places.
class SharedLines {
 public:
  SharedLines(const Lines& before, const Lines& after)
      : width_(after.size() + 1), lengths_((before.size() + 1) * width_) {
    for (std::size_t i = before.size(); i-- > 0;)
      for (std::size_t j = after.size(); j-- > 0;)
        lengths_[i * width_ + j] = before[i] == after[j] ? static_cast<std::uint16_t>(at(i + 1, j + 1) + 1)
                                                         : std::max(at(i + 1, j), at(i, j + 1));
  }
  [[nodiscard]] std::uint16_t at(std::size_t i, std::size_t j) const { return lengths_[i * width_ + j]; }

 private:
  std::size_t width_;
  std::vector<std::uint16_t> lengths_;
};

/// How many elements in a row, from this line on, come or go like it.
std::size_t elements_like(const std::vector<LineChange>& changes, std::size_t at) {
  const auto is_like = [&](const LineChange& one) {
    return one.kind == changes[at].kind && one.line.starts_with(element_line);
  };
  const auto first = changes.begin() + static_cast<std::ptrdiff_t>(at);
  return static_cast<std::size_t>(std::find_if_not(first, changes.end(), is_like) - first);
}

}  // namespace

std::vector<LineChange> find_difference(const std::string& before, const std::string& after) {
  using Kind = LineChange::Kind;
  const Lines old_lines = lines_of(before), new_lines = lines_of(after);
  std::vector<LineChange> changes;
  const auto add = [&](Kind kind, std::string_view line) { changes.push_back({kind, std::string(line)}); };
  if (std::max(old_lines.size(), new_lines.size()) > difference_lines_max) {
    for (const std::string_view line : old_lines) add(Kind::removed, line);
    for (const std::string_view line : new_lines) add(Kind::added, line);
    return changes;
  }
  const SharedLines lengths(old_lines, new_lines);
  std::size_t i = 0, j = 0;
  while (i < old_lines.size() || j < new_lines.size()) {
    if (i < old_lines.size() && j < new_lines.size() && old_lines[i] == new_lines[j]) {
      add(Kind::kept, old_lines[i++]);
      ++j;
    } else if (i < old_lines.size() && (j == new_lines.size() || lengths.at(i + 1, j) >= lengths.at(i, j + 1))) {
      add(Kind::removed, old_lines[i++]);
    } else {
      add(Kind::added, new_lines[j++]);
    }
  }
  return changes;
}

std::string describe(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) {
    if (part.before == part.after) continue;
    text += part.name + (part.before.empty() ? " is added" : part.after.empty() ? " is removed" : " changes") + ":\n";
    const std::vector<LineChange> changes = find_difference(part.before, part.after);
    for (std::size_t at = 0; at < changes.size(); ++at) {
      const LineChange& change = changes[at];
      if (change.kind == LineChange::Kind::kept) continue;
      const char* const sign = change.kind == LineChange::Kind::added ? "+ " : "- ";
      text += sign + change.line + '\n';
      const std::size_t alike = elements_like(changes, at);
      if (alike <= elements_told_max) continue;
      text += sign + std::string("\t\tand ") + std::to_string(alike - 1) + " more elements\n";
      at += alike - 1;
    }
  }
  return text;
}

}  // namespace doline::redirect

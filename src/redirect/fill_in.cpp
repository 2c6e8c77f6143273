#include "redirect/fill_in.h"

#include <algorithm>

#include "base/check.h"

namespace doline::redirect {

namespace {

struct Gap {
  std::size_t begin = 0, end = 0;  ///< braces included
  std::string_view name;
};

/// From `from` on; begin is npos where there is none.
Gap next_gap(std::string_view line, std::size_t from) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (std::size_t open = line.find('{', from); open != std::string_view::npos; open = line.find('{', open + 1)) {
    const std::size_t close = line.find_first_not_of(letters, open + 1);
    if (close != std::string_view::npos && close > open + 1 && line[close] == '}')
      return {open, close + 1, line.substr(open + 1, close - open - 1)};
  }
  return {std::string_view::npos, std::string_view::npos, {}};
}

std::string fill_in_line(std::string_view line, const Values& values) {
  std::size_t copies = 1;
  for (Gap gap = next_gap(line, 0); !gap.name.empty(); gap = next_gap(line, gap.end)) {
    const auto found = values.find(gap.name);
    check(found != values.end());
    if (found->second.empty()) return {};
    check(copies == 1 || found->second.size() == 1 || found->second.size() == copies);
    copies = std::max(copies, found->second.size());
  }
  std::string filled;
  for (std::size_t copy = 0; copy < copies; ++copy) {
    std::size_t at = 0;
    for (Gap gap = next_gap(line, 0); !gap.name.empty(); gap = next_gap(line, gap.end)) {
      const std::vector<std::string>& choice = values.find(gap.name)->second;
      filled += line.substr(at, gap.begin - at);
      filled += choice[choice.size() == 1 ? 0 : copy];
      at = gap.end;
    }
    filled += line.substr(at);
    filled += '\n';
  }
  return filled;
}

}  // namespace

std::string fill_in(std::string_view text, const Values& values) {
  std::string filled;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    filled += fill_in_line(text.substr(begin, end - begin), values);
    begin = end + 1;
  }
  return filled;
}

}  // namespace doline::redirect

#include "doline/terminal_text.h"

#include <algorithm>
#include <ostream>

#include "base/check.h"

namespace doline {

namespace {

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char octet) {
    return (static_cast<unsigned char>(octet) & 0xc0) != 0x80;  // characters, not octets
  }));
}

}  // namespace

TextTable::TextTable(std::vector<std::string> titles) : titles_(std::move(titles)) {}

void TextTable::add(std::vector<std::string> cells) {
  check(cells.size() == titles_.size());
  rows_.push_back(std::move(cells));
}

void TextTable::print(std::ostream& out) {
  if (widths_.empty()) {
    for (std::size_t column = 0; column < titles_.size(); ++column) {
      std::size_t width = width_of(titles_[column]);
      for (const auto& row : rows_) width = std::max(width, std::min(width_of(row[column]), column_width_max));
      widths_.push_back(width);
    }
    print_row(out, titles_);
  }
  for (const auto& row : rows_) print_row(out, row);
  rows_.clear();
}

void TextTable::print_row(std::ostream& out, const std::vector<std::string>& cells) const {
  std::string line;
  for (std::size_t column = 0; column < cells.size(); ++column) {
    line += cells[column];
    const std::size_t width = width_of(cells[column]);
    if (column + 1 < cells.size()) line.append((width < widths_[column] ? widths_[column] - width : 0) + 2, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

}  // namespace doline

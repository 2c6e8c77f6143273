// Text for a terminal: what came from outside (lease host names, vendors, list names) made harmless, and columns that
// line up.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "config/printable.h"

namespace doline {

using config::grouped;
using config::printable;

/// Rows of cells, each column as wide as its widest cell but at most column_width_max; a longer cell is never cut, it
/// pushes the rest of its row. Widths are settled when print() is first called, so that rows can be streamed after it.
class TextTable {
 public:
  static constexpr std::size_t column_width_max = 44;

  explicit TextTable(std::vector<std::string> titles);
  /// As many cells as titles, already printable.
  void add(std::vector<std::string> cells);
  [[nodiscard]] std::size_t waiting() const { return rows_.size(); }
  /// The titles (the first time) and the rows that wait.
  void print(std::ostream& out);

 private:
  void print_row(std::ostream& out, const std::vector<std::string>& cells) const;

  std::vector<std::string> titles_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;  // empty until the first print()
};

}  // namespace doline

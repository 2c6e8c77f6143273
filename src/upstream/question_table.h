// QuestionTable: the questions asked through one socket, by the ID they were sent with.
//
// A socket is given so few questions in its life that an ID is never used twice on it: what arrives late, or twice, is
// taken for the answer to nothing else, and IDs stay as good as random. Pure; allocation-free.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/check.h"

namespace doline::upstream {

inline constexpr std::size_t questions_per_socket_max = 256;
static_assert(questions_per_socket_max <= 65'536 / 2, "a free ID must be found by chance");

class QuestionTable {
 public:
  /// Whoever waits, as a number of the owner's.
  using Asker = std::uint32_t;
  static constexpr Asker nobody = 0xffff'ffff;
  /// Where a question stands in the table.
  using Row = std::uint16_t;

  QuestionTable() { clear(); }
  void clear() {
    rows_.fill({});
    asked_ = waiting_ = 0;
  }
  [[nodiscard]] bool is_full() const { return asked_ == questions_per_socket_max; }
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

  /// A row with an ID that `draw()` gives and that was not used yet. Not when full.
  template <class Draw>
  [[nodiscard]] Row add(Asker asker, Draw draw) {
    check(!is_full() && asker != nobody);
    for (;;) {
      const std::uint16_t id = draw();
      const Row row = row_of(id);
      if (rows_[row].is_used) continue;
      rows_[row] = {asker, id, true};
      ++asked_;
      ++waiting_;
      return row;
    }
  }
  [[nodiscard]] std::uint16_t id(Row row) const { return rows_[row].id; }
  [[nodiscard]] Asker asker(Row row) const { return rows_[row].asker; }
  /// Who waits for the answer with this ID.
  [[nodiscard]] Asker find(std::uint16_t id) const { return rows_[row_of(id)].asker; }
  /// Nobody waits for this one any more.
  void remove(Row row) {
    check(rows_[row].asker != nobody);
    rows_[row].asker = nobody;
    --waiting_;
  }
  /// Calls `take(Asker)` for all who wait; `take` may add and remove. Who was added meanwhile is not among them.
  template <class Take>
  void each(Take take) const {
    const auto rows = rows_;
    for (std::size_t row = 0; row < rows.size(); ++row)
      if (rows[row].asker != nobody && rows_[row].asker == rows[row].asker) take(rows[row].asker);
  }

 private:
  struct Question {
    Asker asker = nobody;
    std::uint16_t id = 0;
    bool is_used = false;
  };
  /// The row of this ID, or the free one where it would stand. There is one: at most half of the rows are used.
  [[nodiscard]] Row row_of(std::uint16_t id) const {
    std::size_t row = id % rows_.size();
    while (rows_[row].is_used && rows_[row].id != id) row = (row + 1) % rows_.size();
    return static_cast<Row>(row);
  }

  std::array<Question, 2 * questions_per_socket_max> rows_;
  std::uint16_t asked_ = 0, waiting_ = 0;
};

}  // namespace doline::upstream

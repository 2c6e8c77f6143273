#include "querylog/id_memory.h"

#include <algorithm>
#include <utility>

namespace doline::querylog {

namespace {

constexpr std::size_t lines_first = 64;

}  // namespace

std::uint32_t IdMemory::find(std::uint64_t hash) {
  if (lines_.empty()) return 0;
  Line& line = line_of(hash);
  for (std::size_t place = 0; place < places && line.ids[place] != 0; ++place) {
    if (line.hashes[place] != hash) continue;
    const std::uint32_t id = line.ids[place];
    if (place != 0) put_first(line, place, hash, id);
    return id;
  }
  return 0;
}

void IdMemory::put(std::uint64_t hash, std::uint32_t id) {
  // With a third of all places in use hardly any line is full.
  if (count_ * 3 >= lines_.size() * places && lines_.size() < lines_max) grow();
  Line& line = line_of(hash);
  count_ += line.ids[places - 1] == 0 ? 1 : 0;
  put_first(line, places - 1, hash, id);
}

void IdMemory::forget(std::uint64_t hash, std::uint32_t id) {
  if (find(hash) != id) return;
  Line& line = line_of(hash);  // it stands first now
  std::shift_left(line.hashes.begin(), line.hashes.end(), 1);
  std::shift_left(line.ids.begin(), line.ids.end(), 1);
  line.ids[places - 1] = 0;
  --count_;
}

void IdMemory::clear() {
  lines_ = {};
  count_ = 0;
}

/// In the place of the one at `last`.
void IdMemory::put_first(Line& line, std::size_t last, std::uint64_t hash, std::uint32_t id) {
  for (std::size_t place = last; place > 0; --place) {
    line.hashes[place] = line.hashes[place - 1];
    line.ids[place] = line.ids[place - 1];
  }
  line.hashes[0] = hash;
  line.ids[0] = id;
}

void IdMemory::grow() {
  const std::vector<Line> before = std::exchange(lines_, std::vector<Line>(std::max(lines_first, 2 * lines_.size())));
  for (const Line& line : before)
    for (std::size_t place = places; place-- > 0;)
      if (line.ids[place] != 0) put_first(line_of(line.hashes[place]), places - 1, line.hashes[place], line.ids[place]);
}

}  // namespace doline::querylog

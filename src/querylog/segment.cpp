#include "querylog/segment.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace doline::querylog {

namespace {

constexpr std::uint8_t format = 1;  // the first octet of a head
// How a column is stored.
constexpr std::uint8_t set_in_head = 0;
constexpr std::uint8_t set_in_body = 1;
constexpr std::uint8_t differences = 2;  // as set_in_body; a value is the difference to the row before
constexpr std::size_t room_min = 256;    // rows

// What is searched for, and what names entries of dictionaries.
constexpr Column in_head[] = {Column::device, Column::client,        Column::destination, Column::name,
                              Column::qtype,  Column::verdict,       Column::answer,      Column::rule,
                              Column::lists,  Column::observed_rule, Column::upstream};
constexpr Column in_body[] = {
    Column::destination_source, Column::transport, Column::observed, Column::source, Column::rcode, Column::ttl,
    Column::latency_us,         Column::dnssec,    Column::withheld};
static_assert(std::size(in_head) + std::size(in_body) + 1 == columns);

void put_number(std::vector<std::uint8_t>& octets, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) octets.push_back(static_cast<std::uint8_t>(number | 0x80));
  octets.push_back(static_cast<std::uint8_t>(number));
}

bool take_number(dns::Octets& octets, std::uint64_t& number) {
  number = 0;
  for (std::size_t at = 0; at < octets.size() && at < 10; ++at) {
    number |= static_cast<std::uint64_t>(octets[at] & 0x7f) << (7 * at);
    if ((octets[at] & 0x80) == 0) {
      octets = octets.subspan(at + 1);
      return at < 9 || octets.data()[-1] <= 1;
    }
  }
  return false;
}

/// Small differences of either sign become small numbers: 0, -1, 1, -2, ...
std::uint64_t to_unsigned(std::int64_t number) {
  return static_cast<std::uint64_t>(number) << 1 ^ static_cast<std::uint64_t>(number >> 63);
}
std::int64_t to_signed(std::uint64_t number) {
  return static_cast<std::int64_t>(number >> 1 ^ (0 - (number & 1)));
}

unsigned bits_for(std::size_t count) {
  return count <= 1 ? 0 : static_cast<unsigned>(std::bit_width(count - 1));
}
std::size_t octets_for(std::size_t rows, unsigned bits) {
  return (rows * bits + 7) / 8;
}

/// Row by row, the lowest bit first. A place has 16 bits at most.
void put_places(std::vector<std::uint8_t>& octets, const std::vector<std::uint16_t>& numbers,
                const std::vector<std::uint16_t>& place_of, unsigned bits) {
  std::size_t at = octets.size();
  octets.resize(at + octets_for(numbers.size(), bits));
  std::uint64_t waiting = 0;
  unsigned count = 0;
  for (const std::uint16_t number : numbers) {
    waiting |= static_cast<std::uint64_t>(place_of[number]) << count;
    count += bits;
    if (count < 32) continue;
    auto word = static_cast<std::uint32_t>(waiting);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
    std::memcpy(octets.data() + at, &word, sizeof word);
    at += sizeof word;
    count -= 32;
    waiting >>= 32;
  }
  for (; at < octets.size(); waiting >>= 8) octets[at++] = static_cast<std::uint8_t>(waiting);
}

std::size_t place_at(dns::Octets octets, unsigned bits, std::size_t row) {
  const std::size_t bit = row * bits, at = bit / 8;
  std::uint32_t word = 0;  // a place has 16 bits at most, so that it lies in three octets
  if (octets.size() - at >= 4) {
    std::memcpy(&word, octets.data() + at, 4);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
  } else {
    for (std::size_t more = 0; at + more < octets.size(); ++more)
      word |= std::uint32_t{octets[at + more]} << (8 * more);
  }
  return word >> (bit % 8) & ((1u << bits) - 1);
}

/// Strictly ascending up to `largest`, and no octet left.
template <class Value>
bool read_set(dns::Octets octets, std::size_t count, std::uint64_t largest, std::vector<Value>& set) {
  set.clear();
  if (count > octets.size()) return false;
  set.reserve(count);
  std::uint64_t value = 0;
  for (std::size_t at = 0; at < count; ++at) {
    std::uint64_t more;
    if (!take_number(octets, more) || more > largest - value || (at > 0 && more == 0)) return false;
    value += more;
    set.push_back(static_cast<Value>(value));
  }
  return octets.empty();
}

}  // namespace

void SegmentWriter::add(std::int64_t time, const Values& values) {
  const std::size_t row = times_.size();
  if (row == room_) make_room(row + 1);
  times_.push_back(time);
  std::uint32_t* into = values_.data() + row;
  const std::size_t room = room_;
#pragma GCC unroll 20
  for (std::size_t column = 1; column < columns; ++column, into += room) *into = values[column];
}

void SegmentWriter::add(const SegmentWriter& rows) {
  const std::size_t before = begin_rows(rows.times_);
  for (std::size_t column = 1; column < columns; ++column)
    std::copy_n(rows.values_of(column), rows.rows(), values_of(column) + before);
}

void SegmentWriter::add(const Segment& rows) {
  const std::size_t before = begin_rows(rows.times());
  for (std::size_t column = 1; column < columns; ++column)
    rows.copy_values(static_cast<Column>(column), values_of(column) + before);
}

/// How many there were before.
std::size_t SegmentWriter::begin_rows(const std::vector<std::int64_t>& times) {
  const std::size_t before = times_.size();
  if (before + times.size() > room_) make_room(before + times.size());
  times_.insert(times_.end(), times.begin(), times.end());
  return before;
}

std::int64_t SegmentWriter::first() const {
  return *std::min_element(times_.begin(), times_.end());
}

std::int64_t SegmentWriter::last() const {
  return *std::max_element(times_.begin(), times_.end());
}

void SegmentWriter::clear() {
  times_.clear();
}

void SegmentWriter::make_room(std::size_t rows) {
  const std::size_t wider = std::max({rows, 2 * room_, room_min});
  std::vector<std::uint32_t> values((columns - 1) * wider);
  for (std::size_t column = 1; column < columns; ++column)
    std::copy_n(values_of(column), times_.size(), values.data() + (column - 1) * wider);
  values_ = std::move(values);
  room_ = wider;
}

template <class Value>
void SegmentWriter::find_set(const Value* values, std::size_t rows) {
  set_.clear();
  if (rows == 0) return;
  set_.push_back({values[0], 0});
  if (std::equal(values + 1, values + rows, values)) return;  // as most columns
  unsigned width = 6;                                         // of a slot's position, bits
  const auto slot_of = [&](std::uint64_t value) {
    // Who chooses values (ids, times) gains nothing by collisions: a segment has few, and a set grows by a row at most.
    std::size_t slot = (value * 0x9e3779b97f4a7c15) >> (64 - width);
    while (slots_[slot] != 0 && set_[slots_[slot] - 1u].value != value) slot = (slot + 1) & (slots_.size() - 1);
    return &slots_[slot];
  };
  const auto fill_slots = [&] {
    slots_.assign(std::size_t{1} << width, 0);
    for (const Numbered& one : set_) *slot_of(one.value) = static_cast<std::uint16_t>(one.number + 1);
  };
  fill_slots();
  numbers_.resize(rows);
  std::uint16_t* const numbers = numbers_.data();
  std::uint16_t number = 0;
  for (std::size_t row = 0; row < rows; numbers[row++] = number) {
    if (row == 0 || values[row] == values[row - 1]) continue;
    std::uint16_t* const slot = slot_of(values[row]);
    if (*slot != 0) {
      number = static_cast<std::uint16_t>(*slot - 1);
      continue;
    }
    number = static_cast<std::uint16_t>(set_.size());
    set_.push_back({values[row], number});
    *slot = static_cast<std::uint16_t>(number + 1);
    if (set_.size() * 2 <= slots_.size()) continue;
    width += 2;
    fill_slots();
  }
  std::sort(set_.begin(), set_.end(),
            [](const Numbered& one, const Numbered& other) { return one.value < other.value; });
  place_of_.resize(set_.size());
  for (std::size_t place = 0; place < set_.size(); ++place)
    place_of_[set_[place].number] = static_cast<std::uint16_t>(place);
}

void SegmentWriter::write(std::vector<std::uint8_t>& head, std::vector<std::uint8_t>& body) {
  check(times_.size() <= segment_rows_max);
  head.assign(1, format);
  body.clear();
  put_number(head, times_.size());
  std::vector<std::uint8_t> set;
  const auto put = [&](Column column, std::uint8_t coding, const auto* values) {
    find_set(values, times_.size());
    if (set_.empty() || (set_.size() == 1 && set_[0].value == 0)) return;
    set.clear();
    std::uint64_t before = 0;
    for (const Numbered& one : set_) put_number(set, one.value - std::exchange(before, one.value));
    head.push_back(static_cast<std::uint8_t>(column));
    head.push_back(coding);
    put_number(head, set_.size());
    put_number(head, set.size());
    auto& into = coding == set_in_head ? head : body;
    into.insert(into.end(), set.begin(), set.end());
    if (set_.size() > 1) put_places(body, numbers_, place_of_, bits_for(set_.size()));
  };
  for (const Column column : in_head) put(column, set_in_head, values_of(static_cast<std::size_t>(column)));
  differences_.resize(times_.size());
  std::uint64_t before = 0;
  for (std::size_t row = 0; row < times_.size(); ++row) {
    const auto time = static_cast<std::uint64_t>(times_[row]);
    differences_[row] = to_unsigned(static_cast<std::int64_t>(time - std::exchange(before, time)));
  }
  put(Column::time, differences, differences_.data());
  for (const Column column : in_body) put(column, set_in_body, values_of(static_cast<std::size_t>(column)));
}

bool Segment::read_head(dns::Octets head) {
  rows_ = 0;
  stored_.clear();
  times_.clear();
  for (Read& column : columns_) {
    column.set.clear();
    column.places = {};
    column.bits = 0;
  }
  if (head.empty() || head[0] != format) return false;
  head = head.subspan(1);
  std::uint64_t rows;
  if (!take_number(head, rows) || rows > segment_rows_max) return false;
  std::uint64_t seen = 0;  // known ids
  while (!head.empty()) {
    if (head.size() < 2 || stored_.size() == segment_columns_max) return false;
    Stored column;
    column.id = head[0];
    column.coding = head[1];
    head = head.subspan(2);
    std::uint64_t count, octets;
    if (column.coding > differences || !take_number(head, count) || count == 0 || count > rows ||
        !take_number(head, octets) || octets > count * 10)
      return false;
    column.count = static_cast<std::uint32_t>(count);
    column.set_octets = static_cast<std::uint32_t>(octets);
    column.is_known = column.id < columns;
    if (column.is_known) {
      if ((seen >> column.id & 1) != 0 || (column.coding == differences) != (column.id == 0)) return false;
      seen |= std::uint64_t{1} << column.id;
    }
    if (column.coding == set_in_head) {
      if (octets > head.size()) return false;
      if (column.is_known && !read_set(head.first(octets), count, UINT32_MAX, columns_[column.id].set)) return false;
      head = head.subspan(octets);
    }
    stored_.push_back(column);
  }
  rows_ = rows;
  return true;
}

bool Segment::read_body(dns::Octets body) {
  std::vector<std::uint64_t> differences_set;
  for (const Stored& column : stored_) {
    if (column.coding != set_in_head) {
      if (column.set_octets > body.size()) return false;
      const auto set = body.first(column.set_octets);
      const bool is_sound = !column.is_known ? true
                            : column.coding == differences
                                ? read_set(set, column.count, UINT64_MAX, differences_set)
                                : read_set(set, column.count, UINT32_MAX, columns_[column.id].set);
      if (!is_sound) return false;
      body = body.subspan(column.set_octets);
    }
    const unsigned bits = bits_for(column.count);
    const std::size_t octets = octets_for(rows_, bits);
    if (octets > body.size()) return false;
    if (column.is_known) {
      Read& read = columns_[column.id];
      read.bits = bits;
      read.places = body.first(octets);
      // Where bits can name more places than there are.
      if (!std::has_single_bit(column.count))
        for (std::size_t row = 0; row < rows_; ++row)
          if (place_at(read.places, bits, row) >= column.count) return false;
    }
    body = body.subspan(octets);
  }
  if (!body.empty()) return false;
  times_.reserve(rows_);
  std::uint64_t time = 0;
  for (std::size_t row = 0; row < rows_; ++row) {
    const std::size_t place = columns_[0].bits == 0 ? 0 : place_at(columns_[0].places, columns_[0].bits, row);
    if (!differences_set.empty()) time += static_cast<std::uint64_t>(to_signed(differences_set[place]));
    times_.push_back(static_cast<std::int64_t>(time));
  }
  return true;
}

std::size_t Segment::place(Column column, std::size_t row) const {
  const Read& read = at(column);
  return read.bits == 0 ? 0 : place_at(read.places, read.bits, row);
}

std::uint32_t Segment::value(Column column, std::size_t row) const {
  const Read& read = at(column);
  return read.set.empty() ? 0 : read.set[read.bits == 0 ? 0 : place_at(read.places, read.bits, row)];
}

void Segment::copy_values(Column column, std::uint32_t* into) const {
  const Read& read = at(column);
  if (read.bits == 0)
    std::fill_n(into, rows_, value(column, 0));
  else
    for (std::size_t row = 0; row < rows_; ++row) into[row] = read.set[place_at(read.places, read.bits, row)];
}

Values Segment::values(std::size_t row) const {
  Values all{};
  for (std::size_t column = 1; column < columns; ++column) all[column] = value(static_cast<Column>(column), row);
  return all;
}

}  // namespace doline::querylog

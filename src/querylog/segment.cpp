#include "querylog/segment.h"

#include <algorithm>
#include <bit>
#include <cstring>

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

/// Place by place, the lowest bit first.
void put_places(std::vector<std::uint8_t>& octets, const std::vector<std::uint16_t>& places, unsigned bits) {
  if (bits == 0) return;
  std::uint64_t waiting = 0;
  unsigned count = 0;
  for (const std::uint16_t place : places) {
    waiting |= static_cast<std::uint64_t>(place) << count;
    count += bits;
    for (; count >= 8; count -= 8, waiting >>= 8) octets.push_back(static_cast<std::uint8_t>(waiting));
  }
  if (count > 0) octets.push_back(static_cast<std::uint8_t>(waiting));
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

/// The first value, then by how much each is greater than the one before.
void put_set(std::vector<std::uint8_t>& octets, const std::vector<std::uint64_t>& set) {
  std::uint64_t before = 0;
  for (const std::uint64_t value : set) {
    put_number(octets, value - before);
    before = value;
  }
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
  first_ = times_.empty() ? time : std::min(first_, time);
  last_ = times_.empty() ? time : std::max(last_, time);
  const std::size_t row = times_.size();
  if (row == room_) make_room(row + 1);
  times_.push_back(time);
  std::uint32_t* into = values_.data() + row;
  for (std::size_t column = 1; column < columns; ++column, into += room_) *into = values[column];
}

void SegmentWriter::add(const SegmentWriter& rows) {
  if (rows.rows() == 0) return;
  first_ = times_.empty() ? rows.first_ : std::min(first_, rows.first_);
  last_ = times_.empty() ? rows.last_ : std::max(last_, rows.last_);
  const std::size_t before = times_.size();
  if (before + rows.rows() > room_) make_room(before + rows.rows());
  times_.insert(times_.end(), rows.times_.begin(), rows.times_.end());
  for (std::size_t column = 1; column < columns; ++column)
    std::copy_n(rows.values_of(column), rows.rows(), values_of(column) + before);
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

/// From column_: set_ and, where it has several values, places_.
void SegmentWriter::find_set() {
  const std::size_t rows = column_.size();
  places_.resize(rows);
  unsorted_.clear();
  std::size_t room = 64;
  table_.assign(room, 0);
  const auto slot_of = [&](std::uint64_t value) {
    // Who chooses values (ids, times) gains nothing by collisions: a segment has few, and a set grows by a row at most.
    std::size_t slot = (value * 0x9e3779b97f4a7c15) >> (64 - static_cast<unsigned>(std::bit_width(room - 1)));
    while (table_[slot] != 0 && unsorted_[table_[slot] - 1] != value) slot = (slot + 1) & (room - 1);
    return slot;
  };
  for (std::size_t row = 0; row < rows; ++row) {
    if (row > 0 && column_[row] == column_[row - 1]) {
      places_[row] = places_[row - 1];
      continue;
    }
    std::size_t slot = slot_of(column_[row]);
    if (table_[slot] == 0) {
      unsorted_.push_back(column_[row]);
      if (unsorted_.size() * 2 > room) {
        room *= 4;
        table_.assign(room, 0);
        for (std::uint32_t number = 0; number < unsorted_.size(); ++number)
          table_[slot_of(unsorted_[number])] = number + 1;
        slot = slot_of(column_[row]);
      } else {
        table_[slot] = static_cast<std::uint32_t>(unsorted_.size());
      }
    }
    places_[row] = static_cast<std::uint16_t>(table_[slot] - 1);
  }
  set_ = unsorted_;
  std::sort(set_.begin(), set_.end());
  if (set_.size() == 1) return;
  place_of_.resize(set_.size());
  for (std::size_t place = 0; place < set_.size(); ++place)
    place_of_[table_[slot_of(set_[place])] - 1] = static_cast<std::uint16_t>(place);
  for (std::uint16_t& place : places_) place = place_of_[place];
}

/// Most columns have one value in all rows.
void SegmentWriter::find_set_of(Column column) {
  const std::uint32_t* const values = values_of(static_cast<std::size_t>(column));
  const std::size_t rows = times_.size();
  if (rows > 0 && std::equal(values + 1, values + rows, values)) {
    set_.assign(1, values[0]);
    return;
  }
  column_.assign(values, values + rows);
  find_set();
}

void SegmentWriter::write(std::vector<std::uint8_t>& head, std::vector<std::uint8_t>& body) {
  check(times_.size() <= segment_rows_max);
  head.assign(1, format);
  body.clear();
  put_number(head, times_.size());
  std::vector<std::uint8_t> set;
  const auto put = [&](Column column, std::uint8_t coding) {
    if (set_.empty() || (set_.size() == 1 && set_[0] == 0)) return;
    set.clear();
    put_set(set, set_);
    head.push_back(static_cast<std::uint8_t>(column));
    head.push_back(coding);
    put_number(head, set_.size());
    put_number(head, set.size());
    auto& into = coding == set_in_head ? head : body;
    into.insert(into.end(), set.begin(), set.end());
    put_places(body, places_, bits_for(set_.size()));
  };
  const auto put_values = [&](Column column, std::uint8_t coding) {
    find_set_of(column);
    put(column, coding);
  };
  for (const Column column : in_head) put_values(column, set_in_head);
  column_.clear();
  std::int64_t before = 0;
  for (const std::int64_t time : times_) {
    column_.push_back(
        to_unsigned(static_cast<std::int64_t>(static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(before))));
    before = time;
  }
  find_set();
  put(Column::time, differences);
  for (const Column column : in_body) put_values(column, set_in_body);
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

Values Segment::values(std::size_t row) const {
  Values all{};
  for (std::size_t column = 1; column < columns; ++column) all[column] = value(static_cast<Column>(column), row);
  return all;
}

}  // namespace doline::querylog

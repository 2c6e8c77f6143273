#include "geo/place_table.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "geo/country.h"

namespace doline::geo {

namespace {

using Octets = std::span<const std::uint8_t>;

constexpr std::string_view metadata_mark("\xab\xcd\xefMaxMind.com", 14);
constexpr std::size_t metadata_octets_max = 128 << 10;
constexpr std::size_t separator_octets = 16;  // between search tree and data
constexpr int nesting_max = 32;
constexpr std::uint64_t values_free = 1'000'000;  // looked at, however small the file

/// The value types that matter here; the numbers are the format's.
enum class Type : std::uint8_t {
  extended = 0,
  pointer = 1,
  text = 2,
  uint16 = 5,
  uint32 = 6,
  map = 7,
  uint64 = 9,
  array = 11,
  boolean = 14
};

struct Value {
  Type type = Type::extended;
  std::size_t size = 0;  // octets, or entries of a map or array
  std::size_t at = 0;    // where its content begins
};

/// One section of values. Every step is checked and counted: `left` is shared by all look-ups of a file.
class Values {
 public:
  Values(Octets section, std::uint64_t& left) : section_(section), left_(left) {}

  /// The value at `at`, where a pointer is followed.
  [[nodiscard]] std::optional<Value> read(std::size_t at) const {
    std::size_t end = at;
    return take(end);
  }
  /// Of a map: the value of its key.
  [[nodiscard]] std::optional<Value> find(const Value& map, std::string_view key) const {
    if (map.type != Type::map) return std::nullopt;
    std::size_t at = map.at;
    for (std::size_t entry = 0; entry < map.size; ++entry) {
      const auto name = take(at);
      if (!name || name->type != Type::text) return std::nullopt;
      if (text(*name) == key) return take(at);
      if (!skip(at, nesting_max)) return std::nullopt;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string_view text(const Value& value) const {
    if (value.type != Type::text) return {};
    return {reinterpret_cast<const char*>(section_.data()) + value.at, value.size};
  }
  [[nodiscard]] std::optional<std::uint64_t> number(const Value& value) const {
    if ((value.type != Type::uint16 && value.type != Type::uint32 && value.type != Type::uint64) || value.size > 8)
      return std::nullopt;
    return big_endian(value.at, value.size);
  }
  [[nodiscard]] std::optional<std::uint64_t> find_number(const Value& map, std::string_view key) const {
    const auto value = find(map, key);
    return value ? number(*value) : std::nullopt;
  }

 private:
  [[nodiscard]] std::uint64_t big_endian(std::size_t at, std::size_t octets) const {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < octets; ++i) number = number << 8 | section_[at + i];
    return number;
  }
  [[nodiscard]] bool has(std::size_t at, std::size_t octets) const {
    return at <= section_.size() && section_.size() - at >= octets;
  }

  /// The value at `at`, which moves behind it (for maps and arrays: to the first entry); a pointer counts as what it
  /// leads to, and leads to no other pointer.
  [[nodiscard]] std::optional<Value> take(std::size_t& at) const {
    auto value = take_one(at);
    if (!value || value->type != Type::pointer) return value;
    std::size_t elsewhere = value->at;
    value = take_one(elsewhere);
    if (value && value->type == Type::pointer) return std::nullopt;
    return value;
  }

  [[nodiscard]] std::optional<Value> take_one(std::size_t& at) const {
    if (left_ == 0 || !has(at, 1)) return std::nullopt;
    --left_;
    const std::uint8_t control = section_[at++];
    Value value{static_cast<Type>(control >> 5), control & 0x1fu, 0};
    if (value.type == Type::pointer) {
      const std::size_t octets = (control >> 3 & 3u) + 1;
      if (!has(at, octets)) return std::nullopt;
      static constexpr std::size_t bases[] = {0, 2'048, 526'336, 0};
      const std::size_t head = octets == 4 ? 0 : control & 7u;
      value.at = (head << octets * 8 | static_cast<std::size_t>(big_endian(at, octets))) + bases[octets - 1];
      at += octets;
      return value;
    }
    if (value.type == Type::extended) {
      if (!has(at, 1)) return std::nullopt;
      value.type = static_cast<Type>(section_[at++] + 7);
    }
    if (value.size >= 29) {
      const std::size_t octets = value.size - 28;
      if (!has(at, octets)) return std::nullopt;
      static constexpr std::size_t bases[] = {29, 285, 65'821};
      value.size = bases[octets - 1] + static_cast<std::size_t>(big_endian(at, octets));
      at += octets;
    }
    value.at = at;
    if (value.type == Type::map || value.type == Type::array || value.type == Type::boolean) return value;
    if (!has(at, value.size)) return std::nullopt;
    at += value.size;
    return value;
  }

  /// Behind the whole value at `at`.
  [[nodiscard]] bool skip(std::size_t& at, int nesting) const {
    const auto value = take_one(at);
    if (!value || nesting == 0) return false;
    if (value->type != Type::map && value->type != Type::array) return true;
    const std::size_t values = value->size * (value->type == Type::map ? 2 : 1);
    for (std::size_t i = 0; i < values; ++i)
      if (!skip(at, nesting - 1)) return false;
    return true;
  }

  Octets section_;
  std::uint64_t& left_;
};

std::uint32_t country_of(const Values& values, const Value& record) {
  const auto said = [&](const std::optional<Value>& value) -> std::uint32_t {
    const auto country = value ? Country::parse(values.text(*value)) : std::nullopt;
    return country ? country->number() : 0;
  };
  const auto country = values.find(record, "country");
  if (country && country->type == Type::map)
    if (const auto number = said(values.find(*country, "iso_code")); number != 0) return number;
  if (const auto number = said(values.find(record, "country_code")); number != 0) return number;
  return said(country);
}

std::uint32_t asn_of(const Values& values, const Value& record) {
  for (const std::string_view key : {"autonomous_system_number", "asn"}) {
    const auto value = values.find(record, key);
    if (!value) continue;
    if (const auto number = values.number(*value))
      return *number <= 0xffffffff ? static_cast<std::uint32_t>(*number) : 0;
    std::string_view text = values.text(*value);
    if (text.starts_with("AS")) text.remove_prefix(2);
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) return number;
  }
  return 0;
}

}  // namespace

/// One file while it is read.
class PlaceFile {
 public:
  PlaceFile(Octets file, PlaceKind kind) : file_(file), kind_(kind), left_(values_free + 2 * file.size()) {}

  Result<PlaceTable, std::string> read() {
    if (file_.size() > place_file_octets_max)
      return fail("is larger than " + std::to_string(place_file_octets_max >> 20) + " MiB");
    if (!read_metadata()) return fail(std::string("is no MaxMind DB file that can be read"));
    std::array<std::uint8_t, 16> bits{};
    if (!walk(0, is_v6_ ? 0 : 96, bits)) return fail(std::string("is damaged"));
    if (known_ == 0)
      return fail(std::string(kind_ == PlaceKind::country ? "has no countries in it" : "has no AS numbers in it"));
    return std::move(table_);
  }

 private:
  bool read_metadata() {
    const std::string_view tail(
        reinterpret_cast<const char*>(file_.data()) + (file_.size() - std::min(file_.size(), metadata_octets_max)),
        std::min(file_.size(), metadata_octets_max));
    const auto found = tail.rfind(metadata_mark);
    if (found == std::string_view::npos) return false;
    const std::size_t mark_at = file_.size() - tail.size() + found;
    const Values values(file_.subspan(mark_at + metadata_mark.size()), left_);
    const auto map = values.read(0);
    if (!map) return false;
    const auto nodes = values.find_number(*map, "node_count"), bits = values.find_number(*map, "record_size"),
               version = values.find_number(*map, "ip_version"),
               format = values.find_number(*map, "binary_format_major_version");
    if (!nodes || !bits || !version || format != 2) return false;
    if ((*bits != 24 && *bits != 28 && *bits != 32) || (*version != 4 && *version != 6)) return false;
    record_bits_ = static_cast<unsigned>(*bits);
    is_v6_ = *version == 6;
    const std::uint64_t node_octets = *bits / 4;
    if (*nodes == 0 || *nodes > mark_at / node_octets) return false;
    const std::uint64_t tree_octets = *nodes * node_octets;
    if (mark_at - tree_octets < separator_octets) return false;
    nodes_ = static_cast<std::uint32_t>(*nodes);
    visits_left_ = std::uint64_t{nodes_} * 2 + 256;
    data_ = file_.subspan(tree_octets + separator_octets, mark_at - tree_octets - separator_octets);
    return true;
  }

  [[nodiscard]] std::uint32_t child(std::uint32_t node, int bit) const {
    const std::uint8_t* at = file_.data() + std::size_t{node} * (record_bits_ / 4);
    const auto three = [](const std::uint8_t* from) {
      return std::uint32_t{from[0]} << 16 | std::uint32_t{from[1]} << 8 | from[2];
    };
    switch (record_bits_) {
      case 24:
        return three(at + bit * 3);
      case 28:  // the middle octet holds the upper four bits of both
        return bit == 0 ? (at[3] & 0xf0u) << 20 | three(at) : (at[3] & 0x0fu) << 24 | three(at + 4);
      default:
        return std::uint32_t{at[bit * 4]} << 24 | three(at + bit * 4 + 1);
    }
  }

  /// In the order of addresses. False: the tree is damaged.
  bool walk(std::uint32_t record, int depth, std::array<std::uint8_t, 16>& bits) {
    // IPv4 stands below ::/96. That other prefixes lead there too (6to4 and kin) would make it come several times.
    if (is_v6_ && depth == 96 && bits == std::array<std::uint8_t, 16>{})
      v4_root_ = record;
    else if (v4_root_ && *v4_root_ < nodes_ && record == *v4_root_)
      return add(depth, bits, 0);
    if (record >= nodes_) {
      if (record == nodes_) return add(depth, bits, 0);
      const std::uint64_t offset = std::uint64_t{record} - nodes_;
      if (offset < separator_octets || offset - separator_octets >= data_.size()) return false;
      return add(depth, bits, value_at(static_cast<std::uint32_t>(offset - separator_octets)));
    }
    if (depth == 128 || visits_left_ == 0) return false;
    --visits_left_;
    if (!walk(child(record, 0), depth + 1, bits)) return false;
    const auto octet = static_cast<std::size_t>(depth / 8);
    const auto mask = static_cast<std::uint8_t>(0x80 >> depth % 8);
    bits[octet] |= mask;
    const bool is_sound = walk(child(record, 1), depth + 1, bits);
    bits[octet] &= static_cast<std::uint8_t>(~mask);
    return is_sound;
  }

  std::uint32_t value_at(std::uint32_t offset) {
    const auto [known, is_new] = values_.try_emplace(offset, 0);
    if (!is_new) return known->second;
    const Values values(data_, left_);
    const auto record = values.read(offset);
    if (record) known->second = kind_ == PlaceKind::country ? country_of(values, *record) : asn_of(values, *record);
    return known->second;
  }

  /// What begins with the address `bits` has this value, until the next.
  bool add(int depth, const std::array<std::uint8_t, 16>& bits, std::uint32_t value) {
    if (value != 0) ++known_;
    const auto number = [&](std::size_t from, std::size_t octets) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < octets; ++i) sum = sum << 8 | bits[from + i];
      return sum;
    };
    const PlaceTable::Begin begin{number(0, 8), number(8, 8)};
    const bool is_v4 = begin[0] == 0 && begin[1] >> 32 == 0;
    if (is_v4 && (table_.v4_values_.empty() || table_.v4_values_.back() != value)) {
      table_.v4_begins_.push_back(static_cast<std::uint32_t>(begin[1]));
      table_.v4_values_.push_back(value);
    }
    // Of IPv6 nothing below ::/96 is an address of its own.
    if ((!is_v4 || depth < 96) && (table_.v6_values_.empty() || table_.v6_values_.back() != value)) {
      table_.v6_begins_.push_back(begin);
      table_.v6_values_.push_back(value);
    }
    return true;
  }

  Octets file_;
  PlaceKind kind_;
  Octets data_;
  unsigned record_bits_ = 24;
  bool is_v6_ = false;
  std::uint32_t nodes_ = 0;
  std::optional<std::uint32_t> v4_root_;
  std::uint64_t left_;         // values that may be looked at
  std::uint64_t visits_left_;  // of nodes: a tree has each once
  std::size_t known_ = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> values_;  // by offset
  PlaceTable table_;
};

Result<PlaceTable, std::string> PlaceTable::read(std::span<const std::uint8_t> file, PlaceKind kind) {
  return PlaceFile(file, kind).read();
}

std::uint32_t PlaceTable::find(const IpAddress& address) const {
  const auto look = [](const auto& begins, const auto& values, const auto& wanted) -> std::uint32_t {
    const auto behind = std::upper_bound(begins.begin(), begins.end(), wanted);
    return behind == begins.begin() ? 0 : values[static_cast<std::size_t>(behind - begins.begin()) - 1];
  };
  const auto number = [&](std::size_t from, std::size_t octets) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < octets; ++i) sum = sum << 8 | address.mapped()[from + i];
    return sum;
  };
  if (address.is_v4()) return look(v4_begins_, v4_values_, static_cast<std::uint32_t>(number(12, 4)));
  return look(v6_begins_, v6_values_, Begin{number(0, 8), number(8, 8)});
}

}  // namespace doline::geo

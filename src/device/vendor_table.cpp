#include "device/vendor_table.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

namespace doline::device {

namespace {

static_assert(vendor_name_octets_max < 256, "its length is one octet");

/// Takes one field of RFC 4180 off `text`, which may run over lines within quotation marks; true: more of this line
/// follow.
bool take_field(std::string_view& text, std::string& field) {
  field.clear();
  bool is_quoted = false;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter == '"') {
      if (is_quoted && at + 1 < text.size() && text[at + 1] == '"')
        field.push_back(text[++at]);
      else
        is_quoted = !is_quoted;
    } else if (!is_quoted && (letter == ',' || letter == '\n')) {
      break;
    } else {
      field.push_back(letter);
    }
  }
  const bool has_more = at < text.size() && text[at] == ',';
  text.remove_prefix(std::min(at + 1, text.size()));
  return has_more;
}

/// One blank between words, no control characters, cut between characters of UTF-8. Empty for what names nobody.
std::string to_name(std::string_view text) {
  std::string name;
  for (const char letter : text) {
    const auto octet = static_cast<unsigned char>(letter);
    if (octet > ' ' && octet != 0x7f)
      name.push_back(letter);
    else if (!name.empty() && name.back() != ' ')
      name.push_back(' ');
  }
  if (name.size() > vendor_name_octets_max) {
    std::size_t end = vendor_name_octets_max;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
    name.resize(end);
  }
  while (!name.empty() && name.back() == ' ') name.pop_back();
  if (name == "Private" || name == "IEEE Registration Authority") name.clear();
  return name;
}

}  // namespace

VendorTable VendorTable::read(std::span<const std::string_view> files) {
  VendorTable table;
  table.pool_.push_back('\0');  // the empty name, at 0
  std::unordered_map<std::string, std::uint32_t> places{{"", 0}};
  std::array<std::vector<std::pair<std::uint64_t, std::uint32_t>>, 3> found;
  std::size_t lines = 0;
  std::string field, digits, name;
  for (std::string_view text : files) {
    while (!text.empty() && lines < vendors_max) {
      ++lines;
      bool has_more = take_field(text, field);  // the registry: MA-L, MA-M, MA-S, IAB
      if (has_more) has_more = take_field(text, digits);
      const bool has_name = has_more;
      if (has_more) has_more = take_field(text, name);
      while (has_more) has_more = take_field(text, field);
      if (!has_name) continue;
      std::uint64_t prefix = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix, 16);
      if (error != std::errc{} || end != digits.data() + digits.size()) continue;
      const auto block = std::find_if(table.blocks_.begin(), table.blocks_.end(), [&](const Block& candidate) {
        return candidate.bits == static_cast<int>(digits.size()) * 4;
      });
      if (block == table.blocks_.end()) continue;
      const std::string vendor = to_name(name);
      const auto [place, is_new] = places.try_emplace(vendor, static_cast<std::uint32_t>(table.pool_.size()));
      if (is_new) {
        table.pool_.push_back(static_cast<char>(vendor.size()));
        table.pool_ += vendor;
      }
      found[static_cast<std::size_t>(block - table.blocks_.begin())].emplace_back(prefix, place->second);
    }
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto& entries = found[i];
    // The IEEE lists a few prefixes twice: the first holder stays.
    const auto before = [](const auto& left, const auto& right) { return left.first < right.first; };
    std::stable_sort(entries.begin(), entries.end(), before);
    entries.erase(std::unique(entries.begin(), entries.end(),
                              [](const auto& left, const auto& right) { return left.first == right.first; }),
                  entries.end());
    Block& block = table.blocks_[i];
    block.prefixes.reserve(entries.size());
    block.names.reserve(entries.size());
    for (const auto& [prefix, place] : entries) {
      block.prefixes.push_back(prefix);
      block.names.push_back(place);
    }
  }
  table.pool_.shrink_to_fit();
  return table;
}

std::string_view VendorTable::find(const MacAddress& mac) const {
  if (mac.is_locally_administered()) return {};
  std::uint64_t value = 0;
  for (const std::uint8_t octet : mac.octets) value = value << 8 | octet;
  for (const Block& block : blocks_) {
    const std::uint64_t prefix = value >> (48 - block.bits);
    const auto found = std::lower_bound(block.prefixes.begin(), block.prefixes.end(), prefix);
    if (found == block.prefixes.end() || *found != prefix) continue;
    const std::uint32_t place = block.names[static_cast<std::size_t>(found - block.prefixes.begin())];
    return std::string_view(pool_).substr(place + 1, static_cast<unsigned char>(pool_[place]));
  }
  return {};
}

std::size_t VendorTable::size() const {
  std::size_t count = 0;
  for (const Block& block : blocks_) count += block.prefixes.size();
  return count;
}

std::size_t VendorTable::octets() const {
  std::size_t count = pool_.capacity();
  for (const Block& block : blocks_)
    count += block.prefixes.capacity() * sizeof(std::uint64_t) + block.names.capacity() * sizeof(std::uint32_t);
  return count;
}

}  // namespace doline::device

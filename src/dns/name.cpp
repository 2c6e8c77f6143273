#include "dns/name.h"

#include <algorithm>

#include "base/check.h"
#include "dns/fold.h"

namespace doline::dns {

namespace {

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

/// Where each label begins; returns how many.
int find_labels(std::span<const std::uint8_t> wire, std::array<std::uint8_t, 128>& starts) {
  int count = 0;
  for (std::size_t at = 0; wire[at] != 0; at += wire[at] + 1u) starts[count++] = static_cast<std::uint8_t>(at);
  return count;
}

std::uint8_t fold_octet(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
}

}  // namespace

std::string_view to_string(NameFault fault) {
  switch (fault) {
    case NameFault::empty_label:
      return "a label is empty";
    case NameFault::label_too_long:
      return "a label is longer than 63 octets";
    case NameFault::name_too_long:
      return "the name is longer than 255 octets";
    case NameFault::bad_escape:
      return "a backslash is followed by neither three digits up to 255 nor a character";
    case NameFault::truncated:
      return "the octets end inside the name";
    case NameFault::bad_label_type:
      return "a label has an unknown type";
    case NameFault::bad_pointer:
      return "a compression pointer leads forward or through too many others";
  }
  return "unknown fault";
}

Result<Name, NameFault> Name::parse(std::string_view text) {
  Name name;
  if (text == ".") return name;
  std::size_t length_at = 0, at = 1;  // of the label being read; where its next octet goes
  const auto end_label = [&]() -> bool {
    if (at == length_at + 1) return false;
    name.octets_[length_at] = static_cast<std::uint8_t>(at - length_at - 1);
    length_at = at++;
    return true;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto octet = static_cast<std::uint8_t>(text[i]);
    if (octet == '.') {
      if (!end_label()) return fail(NameFault::empty_label);
      continue;
    }
    if (octet == '\\') {
      if (++i == text.size()) return fail(NameFault::bad_escape);
      octet = static_cast<std::uint8_t>(text[i]);
      if (is_digit(text[i])) {
        if (text.size() - i < 3 || !is_digit(text[i + 1]) || !is_digit(text[i + 2])) return fail(NameFault::bad_escape);
        const int value = (text[i] - '0') * 100 + (text[i + 1] - '0') * 10 + (text[i + 2] - '0');
        if (value > 255) return fail(NameFault::bad_escape);
        octet = static_cast<std::uint8_t>(value);
        i += 2;
      }
    }
    if (at - length_at > label_octets_max) return fail(NameFault::label_too_long);
    if (at >= name_octets_max - 1) return fail(NameFault::name_too_long);  // one octet is the root's
    name.octets_[at++] = octet;
  }
  if (at > length_at + 1)
    (void)end_label();
  else if (length_at == 0)
    return fail(NameFault::empty_label);
  name.octets_[length_at] = 0;
  name.size_ = static_cast<std::uint8_t>(length_at + 1);
  return name;
}

Result<Name, NameFault> Name::from_wire(std::span<const std::uint8_t> octets) {
  Name name;
  if (const auto assigned = name.assign_wire(octets); !assigned) return fail(assigned.error());
  return name;
}

Result<void, NameFault> Name::assign_wire(std::span<const std::uint8_t> octets) {
  std::size_t at = 0;
  for (;;) {
    if (at >= octets.size()) return fail(NameFault::truncated);
    const std::uint8_t length = octets[at];
    if (length == 0) break;
    if (length > label_octets_max) return fail(length >= 0xc0 ? NameFault::bad_pointer : NameFault::bad_label_type);
    at += length + 1u;
    if (at >= name_octets_max) return fail(NameFault::name_too_long);
  }
  size_ = static_cast<std::uint8_t>(at + 1);
  std::memcpy(octets_, octets.data(), at + 1);
  return {};
}

int Name::label_count() const {
  int count = 0;
  for (std::size_t at = 0; octets_[at] != 0; at += octets_[at] + 1u) ++count;
  return count;
}

Name Name::ancestor(int count) const {
  std::size_t at = 0;
  for (; count > 0; --count) {
    check(octets_[at] != 0);
    at += octets_[at] + 1u;
  }
  Name name;
  name.size_ = static_cast<std::uint8_t>(size_ - at);
  std::memcpy(name.octets_, octets_ + at, name.size_);
  return name;
}

bool Name::is_within(const Name& suffix) const {
  std::size_t at = 0;
  while (size_ - at > suffix.size_) at += octets_[at] + 1u;
  if (size_ - at != suffix.size_) return false;
  for (std::size_t i = 0; i < suffix.size_; ++i)
    if (fold_octet(octets_[at + i]) != fold_octet(suffix.octets_[i])) return false;
  return true;
}

std::string Name::to_string() const {
  if (is_root()) return ".";
  std::string text;
  text.reserve(size_);
  for (std::size_t at = 0; octets_[at] != 0; at += octets_[at] + 1u) {
    if (at > 0) text += '.';
    for (std::size_t i = at + 1; i <= at + octets_[at]; ++i) {
      const std::uint8_t octet = octets_[i];
      if (octet <= ' ' || octet >= 0x7f) {
        text += '\\';
        text += static_cast<char>('0' + octet / 100);
        text += static_cast<char>('0' + octet / 10 % 10);
        text += static_cast<char>('0' + octet % 10);
      } else {
        if (octet == '.' || octet == '\\') text += '\\';
        text += static_cast<char>(octet);
      }
    }
  }
  return text;
}

// As wyhash does: two words a product, both mixed with what a sender does not know.
std::uint64_t Name::hash(std::uint64_t seed) const {
  const std::uint64_t key = seed ^ 0xa0761d6478bd642fULL;
  std::uint64_t state = mix(seed ^ 0xe7037ed1a0b428dbULL, size_ ^ 0x8ebc6af09c88c6e3ULL);
  const auto take = [&](Block block) {
    std::uint64_t words[2];
    std::memcpy(words, &block, sizeof words);
    state = mix(words[0] ^ key, words[1] ^ state);
  };
  std::size_t at = 0;
  for (; at + block_octets <= size_; at += block_octets) take(fold(load_block(octets_ + at)));
  take(fold(load_beginning(octets_ + at, size_ - at)));
  return mix(state ^ 0x1d8e4e27c47d124fULL, key);
}

std::strong_ordering operator<=>(const Name& left, const Name& right) {
  std::array<std::uint8_t, 128> left_starts, right_starts;
  int left_labels = find_labels(left.wire(), left_starts), right_labels = find_labels(right.wire(), right_starts);
  while (left_labels > 0 && right_labels > 0) {
    const std::uint8_t* a = left.octets_ + left_starts[--left_labels];
    const std::uint8_t* b = right.octets_ + right_starts[--right_labels];
    const int shorter = std::min(a[0], b[0]);
    for (int i = 1; i <= shorter; ++i)
      if (const auto order = fold_octet(a[i]) <=> fold_octet(b[i]); order != 0) return order;
    if (const auto order = a[0] <=> b[0]; order != 0) return order;
  }
  return left_labels <=> right_labels;
}

}  // namespace doline::dns

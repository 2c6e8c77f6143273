#include "config/printable.h"

#include <algorithm>
#include <cstdint>

namespace doline::config {

namespace {

/// The octets of the well-formed UTF-8 character at the front (Unicode table 3-7) and its code point; 0 octets where
/// there is none.
std::size_t read_character(std::string_view text, std::uint32_t& code) {
  const auto octet = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  const std::uint8_t first = octet(0);
  const std::size_t size = first < 0x80                    ? 1
                           : first >= 0xc2 && first < 0xe0 ? 2
                           : first >= 0xe0 && first < 0xf0 ? 3
                           : first >= 0xf0 && first < 0xf5 ? 4
                                                           : 0;
  if (size == 0 || size > text.size()) return 0;
  code = size == 1 ? first : first & (0xffu >> (size + 1));
  for (std::size_t at = 1; at < size; ++at) {
    if ((octet(at) & 0xc0) != 0x80) return 0;
    code = code << 6 | (octet(at) & 0x3f);
  }
  const bool is_overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  return is_overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : size;
}

bool is_harmless(std::uint32_t code) {
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;  // C0, DEL, C1
  if (code == 0xad || code == 0x61c || code == 0x180e)
    return false;                                      // soft hyphen, Arabic letter mark, Mongolian separator
  if (code >= 0x200b && code <= 0x200f) return false;  // zero width, direction marks
  if (code >= 0x2028 && code <= 0x202e) return false;  // separators, direction embedding and override
  if (code >= 0x2060 && code <= 0x206f) return false;  // invisible operators, isolates
  if (code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb)) return false;  // byte order mark, specials
  return code < 0xe0000;                                                   // tags and what lies behind
}

}  // namespace

Front front_of(std::string_view text) {
  std::uint32_t code = 0;
  const std::size_t size = read_character(text, code);
  return {std::max<std::size_t>(size, 1), size != 0 && is_harmless(code)};
}

std::string printable(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    const Front front = front_of(text);
    if (front.is_harmless) {
      result += text.substr(0, front.octets);
    } else {
      for (const char letter : text.substr(0, front.octets)) {
        const auto octet = static_cast<unsigned char>(letter);
        result.append({'\\', 'x', digits[octet >> 4], digits[octet & 15]});
      }
    }
    text.remove_prefix(front.octets);
  }
  return result;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

}  // namespace doline::config

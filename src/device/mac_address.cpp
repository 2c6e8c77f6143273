#include "device/mac_address.h"

namespace doline::device {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

int digit_value(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  const bool has_separators = text.size() == 17;
  if (!has_separators && text.size() != 12) return std::nullopt;
  const char separator = has_separators ? text[2] : '\0';
  if (has_separators && separator != ':' && separator != '-') return std::nullopt;
  MacAddress mac;
  std::size_t at = 0;
  for (std::uint8_t& octet : mac.octets) {
    if (has_separators && at > 0 && text[at++] != separator) return std::nullopt;
    const int high = digit_value(text[at++]);
    const int low = digit_value(text[at++]);
    if (high < 0 || low < 0) return std::nullopt;
    octet = static_cast<std::uint8_t>(high << 4 | low);
  }
  return mac;
}

std::optional<MacAddress> MacAddress::parse_base64(std::string_view text) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() != 8) return std::nullopt;
  std::uint64_t bits = 0;
  for (const char letter : text) {
    const std::size_t value = letters.find(letter);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | value;
  }
  MacAddress mac;
  for (std::size_t at = 0; at < mac.octets.size(); ++at)
    mac.octets[at] = static_cast<std::uint8_t>(bits >> (8 * (mac.octets.size() - 1 - at)));
  return mac;
}

std::string MacAddress::to_string() const {
  std::string text;
  text.reserve(17);
  for (const std::uint8_t octet : octets) {
    if (!text.empty()) text.push_back(':');
    text.push_back(digits[octet >> 4]);
    text.push_back(digits[octet & 15]);
  }
  return text;
}

}  // namespace doline::device

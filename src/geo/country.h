// Country: two capital letters (ISO 3166 alpha-2), or none where nobody knows.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace doline::geo {

class Country {
 public:
  /// Unknown.
  constexpr Country() = default;
  /// `CN`; any case.
  static constexpr std::optional<Country> parse(std::string_view text) {
    if (text.size() != 2) return std::nullopt;
    Country country;
    for (const char letter : text) {
      const char capital = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
      if (capital < 'A' || capital > 'Z') return std::nullopt;
      country.number_ = static_cast<std::uint16_t>(country.number_ << 8 | capital);
    }
    return country;
  }
  /// As number() gave it.
  static constexpr Country from_number(std::uint16_t number) {
    Country country;
    country.number_ = number;
    return country;
  }
  [[nodiscard]] constexpr bool is_known() const { return number_ != 0; }
  /// 0 where unknown.
  [[nodiscard]] constexpr std::uint16_t number() const { return number_; }
  /// `CN`; empty where unknown.
  [[nodiscard]] std::string to_string() const {
    if (!is_known()) return {};
    return {static_cast<char>(number_ >> 8), static_cast<char>(number_ & 0xff)};
  }
  constexpr auto operator<=>(const Country&) const = default;

 private:
  std::uint16_t number_ = 0;  // both letters
};

}  // namespace doline::geo

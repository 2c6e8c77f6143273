// Text made fit for a terminal: what comes from outside (operator's files, host names, names that devices ask for), and
// large numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace doline::config {

/// The character at the front of a text that is not empty.
struct Front {
  std::size_t octets = 1;  ///< 1 of what is not UTF-8
  bool is_harmless = false;
};
[[nodiscard]] Front front_of(std::string_view text);

/// Control characters, what is not UTF-8, and characters that reorder or hide text come out as \xNN, octet by octet;
/// all else stays. So no name can move the cursor, colour the screen or forge a line.
[[nodiscard]] std::string printable(std::string_view text);
/// `1,204,331`.
[[nodiscard]] std::string grouped(std::uint64_t number);

}  // namespace doline::config

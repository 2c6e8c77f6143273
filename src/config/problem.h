// Problem: one mistake in the operator's file, with its place, said so that it can be put right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace doline::config {

/// Past so many, reading on helps nobody.
inline constexpr std::size_t problems_max = 200;

/// `not_yet`: right, but this build cannot honour it. As much a reason not to take the file as a mistake: what an
/// operator asked for is never left out in silence.
enum class Kind : std::uint8_t { mistake, not_yet };

struct Problem {
  Kind kind = Kind::mistake;
  std::string file;         ///< as it was given to us
  int line = 0;             ///< from 1; 0: of the file as a whole
  int column = 0;           ///< from 1
  std::string message;      ///< printable
  std::string hint;         ///< what may have been meant, or what would be right; may be empty
  std::string source_line;  ///< the line itself, printable, so that a caret can be set under it
};

/// `doline.yml:12:5: unknown key 'upstream' in the top level; did you mean 'upstreams'?`
[[nodiscard]] std::string to_string(const Problem& problem);
/// The same, the line it stands on, and a caret under the place: for terminals. Ends with a line feed.
[[nodiscard]] std::string to_text(const Problem& problem);

/// Within single quotes, shortened, everything that is not printable ASCII or well-formed UTF-8 shown as `\x1b`: fit
/// for a terminal.
[[nodiscard]] std::string quote(std::string_view text);
/// Of the same length, in octets, as `line`; blanks for tabs, `?` for what must not reach a terminal.
[[nodiscard]] std::string printable_line(std::string_view line);
/// The candidate that `text` most likely was meant to be; empty where none is near.
[[nodiscard]] std::string_view find_nearest(std::string_view text, const std::vector<std::string_view>& candidates);

}  // namespace doline::config

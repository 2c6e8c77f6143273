// How RE2 reads every expression of ours. Private to the room.
#pragma once

#include <re2/re2.h>
#include <re2/stringpiece.h>

#include <cstdint>
#include <string_view>

namespace doline::blocklist {

/// Of one expression and its automata.
inline constexpr std::int64_t expression_memory_max = std::int64_t{1} << 20;

/// `memory_max`: beyond, matching is slower, not larger.
inline RE2::Options re2_options(std::int64_t memory_max = expression_memory_max) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  options.set_never_capture(true);
  options.set_encoding(RE2::Options::EncodingLatin1);
  options.set_max_mem(memory_max);
  return options;
}

/// What RE2 takes as a text: its own type, or Abseil's, which need not be the standard's.
inline re2::StringPiece piece_of(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace doline::blocklist

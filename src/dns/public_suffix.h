// PublicSuffixes: under which names anybody can register one, and so which names are one owner's: `example.co.uk` of
// `www.example.co.uk`.
//
// By the list of publicsuffix.org (Debian: publicsuffix), where it is there. Without it by a guess: the last label is a
// suffix, and with it the second-last where that is a usual word (`co`, `com`, `org`, `ac`, ...) below two letters.
// Immutable; look-ups from any thread.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "dns/name.h"

namespace doline::dns {

class PublicSuffixes {
 public:
  /// The list's text; what is no line of it is passed over, and lines that are not ASCII too (their names are asked for
  /// in Punycode; of them the last label counts as the suffix).
  static PublicSuffixes read(std::string_view list);
  static PublicSuffixes guess() { return {}; }

  /// The name that somebody has registered, above `lowered` or itself. Where `lowered` is a public suffix: itself.
  [[nodiscard]] Name registrable(const Name& lowered) const;
  /// Below it many have registered names of their own.
  [[nodiscard]] bool is_suffix(const Name& lowered) const { return suffix_labels(lowered) >= lowered.label_count(); }
  [[nodiscard]] bool is_guess() const { return rules_.empty(); }

 private:
  enum class Rule : std::uint8_t { suffix = 1, below = 2 /* `*.ck` */, exception = 4 /* `!www.ck` */ };
  [[nodiscard]] int suffix_labels(const Name& lowered) const;

  std::unordered_map<std::string, std::uint8_t> rules_;  // by wire form: the rules of the name
};

}  // namespace doline::dns

// Expression: a regular expression over names, of an operator's rule or a list's line, and the text of a name that all
// expressions see.
//
// Immutable; matched from any thread. RE2's: time linear in the name, whatever its author wrote, with bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/name.h"

namespace doline::blocklist {

/// As Name::to_string() writes it, without allocation; empty for the root.
class NameText {
 public:
  explicit NameText(const dns::Name& name) {
    const auto wire = name.wire();
    for (std::size_t at = 0; wire[at] != 0; at += wire[at] + std::size_t{1}) {
      if (at > 0) letters_[size_++] = '.';
      for (std::size_t i = 1; i <= wire[at]; ++i) add(wire[at + i]);
    }
  }
  [[nodiscard]] std::string_view view() const { return {letters_.data(), size_}; }

 private:
  void add(std::uint8_t octet) {
    const bool is_printable = octet > ' ' && octet < 0x7f;
    if (!is_printable || octet == '.' || octet == '\\') letters_[size_++] = '\\';
    if (is_printable) {
      letters_[size_++] = static_cast<char>(octet);
      return;
    }
    letters_[size_++] = static_cast<char>('0' + octet / 100);
    letters_[size_++] = static_cast<char>('0' + octet / 10 % 10);
    letters_[size_++] = static_cast<char>('0' + octet % 10);
  }

  std::array<char, 4 * dns::name_octets_max> letters_;
  std::size_t size_ = 0;
};

class Expression {
 public:
  /// Without regard to case; found anywhere in the name (`www.example.com`, no dot at its end). The fault is RE2's
  /// reason: `missing ): (ab`.
  static Result<std::shared_ptr<const Expression>, std::string> compile(std::string_view expression);
  /// The text as an expression that finds it alone.
  [[nodiscard]] static std::string quote(std::string_view text);
  ~Expression();
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;
  [[nodiscard]] bool finds(const dns::Name& lowered) const;
  /// As it was given to compile().
  [[nodiscard]] std::string_view text() const;

 private:
  struct Impl;
  explicit Expression(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::blocklist

// NamePattern: which names a rule's `name` condition means: a name and all below it, it alone, all below it, or what a
// regular expression finds.
//
// Immutable values, made when the configuration is read; matched from any thread. Regular expressions run in time
// linear in the name (RE2), whatever the operator wrote, with bounded memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/name.h"

namespace doline::policy {

class NameExpression {
 public:
  /// Without regard to case; found anywhere in the name (`www.example.com`, no dot at its end). The fault is RE2's
  /// reason: `missing ): (ab`.
  static Result<std::shared_ptr<const NameExpression>, std::string> compile(std::string_view expression);
  ~NameExpression();
  NameExpression(const NameExpression&) = delete;
  NameExpression& operator=(const NameExpression&) = delete;
  [[nodiscard]] bool finds(const dns::Name& lowered) const;

 private:
  struct Impl;
  explicit NameExpression(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct NamePattern {
  enum class Kind : std::uint8_t {
    subtree /* `example.com`: it and all below */,
    exact /* `=example.com` */,
    below /* `*.example.com` */,
    expression /* `/^ad[0-9]+\./`, and `ad*.example.com` */
  };
  Kind kind = Kind::subtree;
  dns::Name name;  ///< small letters; of an expression: what every name that it finds is within, the root if unknown
  std::shared_ptr<const NameExpression> expression = {};

  [[nodiscard]] bool matches(const dns::Name& lowered) const;
};

/// `ad*.example.com`: a `*` stands for any letters within its label, or none; with `=` before it for these names alone,
/// else for them and all below. The fault is a sentence's end.
[[nodiscard]] Result<NamePattern, std::string> compile_wildcard(std::string_view text);

}  // namespace doline::policy

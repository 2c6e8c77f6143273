// NamePattern: which names a rule's `name` condition means: a name and all below it, it alone, all below it, or what a
// regular expression finds.
//
// Immutable values, made when the configuration is read; matched from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "blocklist/expression.h"
#include "dns/name.h"

namespace doline::policy {

struct NamePattern {
  enum class Kind : std::uint8_t {
    subtree /* `example.com`: it and all below */,
    exact /* `=example.com` */,
    below /* `*.example.com` */,
    expression /* `/^ad[0-9]+\./`, and `ad*.example.com` */
  };
  Kind kind = Kind::subtree;
  dns::Name name;  ///< small letters; of an expression: what every name that it finds is within, the root if unknown
  std::shared_ptr<const blocklist::Expression> expression = {};

  [[nodiscard]] bool matches(const dns::Name& lowered) const;
};

/// `ad*.example.com`: a `*` stands for any letters within its label, or none; with `=` before it for these names alone,
/// else for them and all below. The fault is a sentence's end.
[[nodiscard]] Result<NamePattern, std::string> compile_wildcard(std::string_view text);

}  // namespace doline::policy

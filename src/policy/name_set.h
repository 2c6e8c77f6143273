// NameSet: many domain names at once: names with all below them, and names alone. Asked for a name it looks at each of
// its ancestors once, however many names it holds.
//
// Immutable; shared by the rule books that it is data of, read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dns/name.h"

namespace doline::policy {

class NameSet {
 public:
  /// Both in small letters.
  NameSet(std::span<const dns::Name> subtrees, std::span<const dns::Name> names);
  [[nodiscard]] bool has(const dns::Name& lowered) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    bool covers_below = false;
    dns::Name name;
  };
  std::vector<Entry> entries_;  // by hash
};

}  // namespace doline::policy

#include "policy/name_set.h"

#include <algorithm>

#include "policy/suffix_hash.h"

namespace doline::policy {

NameSet::NameSet(std::span<const dns::Name> subtrees, std::span<const dns::Name> names) {
  for (const dns::Name& name : subtrees) entries_.push_back({whole_hash(name), true, name});
  for (const dns::Name& name : names) entries_.push_back({whole_hash(name), false, name});
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& left, const Entry& right) { return left.hash < right.hash; });
}

bool NameSet::has(const dns::Name& lowered) const {
  bool is_found = false;
  each_suffix_hash(lowered, [&](std::uint64_t hash) {
    for (auto entry = std::lower_bound(entries_.begin(), entries_.end(), hash,
                                       [](const Entry& one, std::uint64_t wanted) { return one.hash < wanted; });
         !is_found && entry != entries_.end() && entry->hash == hash; ++entry)
      is_found = entry->covers_below ? lowered.is_within(entry->name) : lowered == entry->name;
  });
  return is_found;
}

}  // namespace doline::policy

// DohNames: by which names DoH servers are known: the resolver list's, and what lists with `kind: doh` name. Whoever
// asks for one means to ask another resolver, over encrypted DNS. Frozen.
#pragma once

#include <algorithm>
#include <vector>

#include "blocklist/list_set.h"
#include "dns/name.h"

namespace doline::blocklist {

struct DohNames {
  std::vector<dns::Name> names;  ///< sorted
  std::vector<ListId> lists;     ///< ascending; what they name is DoH too
  bool operator==(const DohNames&) const = default;

  /// `set`: where `lists` are.
  [[nodiscard]] bool hold(const dns::Name& name, const ListSet& set) const {
    return std::binary_search(names.begin(), names.end(), name) ||
           (!lists.empty() && set.is_named_by(lists, name.lowered()));
  }
};

}  // namespace doline::blocklist

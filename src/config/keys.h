// Keys: every key that Doline knows, as a table, and a map's entries looked up by it.
//
// The table is the one place where a key is declared: unknown keys are judged by it, `doline config`'s documentation is
// held against it by a test, and what this build cannot honour yet is marked in it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/document.h"
#include "config/reading.h"

namespace doline::config {

struct KnownKey {
  std::string_view path;  ///< `upstreams.*.servers`; `*` is a name that the operator chose, or an entry of a list
  enum class When : unsigned char { live, restart, not_yet } when = When::live;
  /// With `not_yet`: the values that ask for nothing but what this build does, separated by blanks.
  std::string_view does = {};
};
[[nodiscard]] std::span<const KnownKey> known_keys();

/// The entries of one map. Making it tells every unknown key, and every one that is not in this build yet; those are
/// judged for their own keys and then left out.
class Keys {
 public:
  /// `path`: of the map, as in the table; empty for the top level.
  Keys(Reading& reading, const Node& map, std::string path);
  /// Null where absent, without a value, or not in this build yet. A key that the table does not have breaks an
  /// invariant.
  [[nodiscard]] const Node* find(std::string_view key) const;

 private:
  std::string path_;
  std::vector<std::pair<std::string_view, const Node*>> entries_;  // keys borrowed from the tree
};

/// For maps whose keys are names that the operator chose: says so where the node is no map. Null: no map.
[[nodiscard]] const Node* expect_map(Reading& reading, const Node& node, std::string_view what);

}  // namespace doline::config

// Document: a YAML file as a plain tree, every node with its place. The only place that knows yaml-cpp.
//
// Aliases are copied in, so that whoever walks the tree needs to know nothing of them; each copy counts, so that ten
// lines of anchors cannot become a billion nodes (nodes_max), nor a thousand brackets a deep recursion (depth_max).
// A key that stands twice in one map is a problem: YAML forbids it, and the second would be ignored. Values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doline::config {

inline constexpr std::size_t nodes_max = 1'000'000;  ///< of a file, each copy by an alias counted
inline constexpr int depth_max = 32;                 ///< of lists and maps in each other; ours take seven

struct Place {
  int line = 1;    ///< from 1
  int column = 1;  ///< from 1, in octets
};

struct Node {
  enum class Kind : unsigned char { null, scalar, list, map };
  Kind kind = Kind::null;
  Place place;
  std::string text;         ///< of a scalar
  std::vector<Node> items;  ///< of a list
  struct Entry;
  std::vector<Entry> entries;  ///< of a map, in the order of the file; keys are scalars, each once
};
struct Node::Entry {
  Node key, value;
};

struct DocumentFault {
  Place place;
  std::string message;  ///< printable
};

/// What reading gave: the tree, and what is wrong with it all the same (keys that stand twice: the first is kept).
struct Document {
  Node root;
  std::vector<DocumentFault> faults;
};

/// The fault is the one at which reading ended: not YAML, or too large.
[[nodiscard]] Result<Document, DocumentFault> read_document(std::string_view text);

}  // namespace doline::config

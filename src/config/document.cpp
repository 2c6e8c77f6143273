#include "config/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>
#include <unordered_set>

#include "config/problem.h"

namespace doline::config {

namespace {

/// Thrown from within yaml-cpp's parser to end it; never leaves this file.
struct End {
  DocumentFault fault;
};

Place to_place(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

/// Builds the tree from yaml-cpp's events. Its own Node is avoided: it shares what aliases name, so that a walk over it
/// explodes, and it forgets that a key stands twice.
class TreeBuilder final : public YAML::EventHandler {
 public:
  Document document;
  Place latest;  // for exceptions without a place

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(leaf(Node::Kind::null, mark, ""), anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag, "!");
    // What is quoted is a text, though it be empty or `null`; plain, these say nothing.
    const bool says_nothing = tag != "!" && (value.empty() || value == "~" || value == "null");
    add(leaf(says_nothing ? Node::Kind::null : Node::Kind::scalar, mark, value), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    latest = to_place(mark);
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) throw End{{latest, "an alias stands inside what it names"}};
    count(found->second.nodes);
    if (static_cast<int>(open_.size()) + found->second.depth > depth_max) throw End{{latest, too_deep()}};
    Node copy = found->second.node;
    copy.place = latest;
    nodes_of_latest_ = found->second.nodes;
    depth_of_latest_ = found->second.depth;
    put(std::move(copy));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(Node::Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(Node::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Anchored {
    Node node;
    std::size_t nodes = 1;
    int depth = 0;
  };
  struct Open {
    Node node;
    YAML::anchor_t anchor = YAML::NullAnchor;
    bool has_key = false;  // of a map: the next node is its value
    Node key;
    std::unordered_set<std::string> keys;
    std::size_t nodes_before = 0;
    int depth = 1;
  };

  static std::string too_deep() { return "more than " + std::to_string(depth_max) + " lists and maps in each other"; }

  Node leaf(Node::Kind kind, const YAML::Mark& mark, const std::string& value) {
    latest = to_place(mark);
    count(1);
    Node node;
    node.kind = kind;
    node.place = latest;
    node.text = kind == Node::Kind::scalar ? value : "";
    return node;
  }
  void count(std::size_t more) {
    nodes_ += more;
    if (nodes_ > nodes_max) throw End{{latest, "more than " + std::to_string(nodes_max) + " values, aliases counted"}};
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag, std::string_view allowed) {
    if (!tag.empty() && tag != "?" && tag != allowed)
      document.faults.push_back({to_place(mark), "the tag " + quote(tag) + " says nothing here"});
  }

  void begin(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Open open;
    open.nodes_before = nodes_;
    open.node = leaf(kind, mark, "");
    open.anchor = anchor;
    refuse_tag(mark, tag, "");
    if (static_cast<int>(open_.size()) >= depth_max) throw End{{latest, too_deep()}};
    open_.push_back(std::move(open));
  }
  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    nodes_of_latest_ = nodes_ - done.nodes_before;
    depth_of_latest_ = done.depth;
    keep(done.node, done.anchor);
    put(std::move(done.node));
  }
  void add(Node node, YAML::anchor_t anchor) {
    nodes_of_latest_ = 1;
    depth_of_latest_ = 0;
    keep(node, anchor);
    put(std::move(node));
  }
  void keep(const Node& node, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    count(nodes_of_latest_);  // what is kept for aliases takes room too
    anchored_[anchor] = {node, nodes_of_latest_, depth_of_latest_};
  }

  void put(Node node) {
    if (open_.empty()) {
      document.root = std::move(node);
      return;
    }
    Open& into = open_.back();
    into.depth = std::max(into.depth, depth_of_latest_ + 1);
    if (into.node.kind == Node::Kind::list) {
      into.node.items.push_back(std::move(node));
    } else if (!into.has_key) {
      into.has_key = true;
      into.key = std::move(node);
    } else {
      into.has_key = false;
      put_entry(into, std::move(node));
    }
  }
  void put_entry(Open& map, Node value) {
    if (map.key.kind != Node::Kind::scalar) {
      document.faults.push_back({map.key.place, "a key is a word; this is not one"});
    } else if (!map.keys.insert(map.key.text).second) {
      document.faults.push_back({map.key.place, "the key " + quote(map.key.text) + " stands here for the second time"});
    } else {
      map.node.entries.push_back({std::move(map.key), std::move(value)});
    }
  }

  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchored_;
  std::size_t nodes_ = 0;
  std::size_t nodes_of_latest_ = 0;
  int depth_of_latest_ = 0;
};

/// yaml-cpp speaks of itself ("bad conversion", "illegal map value"); its sentence, and nothing that is not printable.
std::string to_message(const std::string& yaml_says) {
  const std::string quoted = quote(yaml_says);
  return "this is not YAML: " + quoted.substr(1, quoted.size() - 2);
}

}  // namespace

Result<Document, DocumentFault> read_document(std::string_view text) {
  // yaml-cpp takes UTF-16 and UTF-32 too, and then places are no longer those of the file.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos) {
    const auto line_start = text.substr(0, zero).rfind('\n');
    Place place;
    for (const char letter : text.substr(0, zero)) place.line += letter == '\n' ? 1 : 0;
    place.column = static_cast<int>(zero - (line_start == std::string_view::npos ? 0 : line_start + 1)) + 1;
    return fail(DocumentFault{place, "a zero octet: this is no UTF-8 text"});
  }
  TreeBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    Document first = std::move(builder.document);
    builder.document = {};
    if (parser.HandleNextDocument(builder))
      first.faults.push_back({builder.document.root.place, "a second document; one file holds one"});
    return first;
  } catch (const End& end) {
    return fail(end.fault);
  } catch (const YAML::Exception& exception) {
    return fail(
        DocumentFault{exception.mark.is_null() ? builder.latest : to_place(exception.mark), to_message(exception.msg)});
  }
}

}  // namespace doline::config

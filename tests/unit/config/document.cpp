#include "config/document.h"

#include <doctest/doctest.h>

#include <string>

using namespace doline::config;
using NodeKind = Node::Kind;

namespace {

std::string fault_of(const std::string& text) {
  const auto document = read_document(text);
  if (document) return "";
  return std::to_string(document.error().place.line) + ":" + std::to_string(document.error().place.column) + ": " +
         document.error().message;
}

Node root_of(const std::string& text) {
  auto document = read_document(text);
  REQUIRE(document.has_value());
  CHECK(document->faults.empty());
  return document->root;
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("A document is a tree whose nodes know their places") {
  const Node root = root_of("a: 1\nb:\n  - x\n  - {c: \"2\"}\n");
  REQUIRE(root.kind == NodeKind::map);
  REQUIRE(root.entries.size() == 2);
  CHECK(root.entries[0].value.text == "1");
  const Node& list = root.entries[1].value;
  REQUIRE(list.kind == NodeKind::list);
  CHECK(list.items[0].place.line == 3);
  CHECK(list.items[0].place.column == 5);
  CHECK(list.items[1].entries[0].value.text == "2");
  CHECK(list.items[1].entries[0].key.place.column == 6);
}

TEST_CASE("Nothing, null and ~ say nothing, and in quotes they are texts") {
  const Node root = root_of("a:\nb: ~\nc: null\nd: \"null\"\ne: ''\n");
  CHECK(root.entries[0].value.kind == NodeKind::null);
  CHECK(root.entries[1].value.kind == NodeKind::null);
  CHECK(root.entries[2].value.kind == NodeKind::null);
  CHECK(root.entries[3].value.text == "null");
  CHECK(root.entries[4].value.kind == NodeKind::scalar);
  CHECK(root_of("").kind == NodeKind::null);
  CHECK(root_of("# only a comment\n").kind == NodeKind::null);
}

TEST_CASE("A byte order mark and line ends of other systems do no harm") {
  CHECK(root_of("\xef\xbb\xbf"
                "a: 1\r\nb: 2\r\n")
            .entries.size() == 2);
}

TEST_CASE("An alias is copied in, at its own place") {
  const Node root = root_of("a: &x {b: 1}\nc: *x\n");
  const Node& copy = root.entries[1].value;
  REQUIRE(copy.kind == NodeKind::map);
  CHECK(copy.entries[0].value.text == "1");
  CHECK(copy.place.line == 2);
}

TEST_CASE("An alias within what it names ends the reading") {
  CHECK(fault_of("a: &x [1, *x]\n") == "1:11: an alias stands inside what it names");
}

TEST_CASE("A key that stands twice in one map is told, and the first is kept") {
  const auto document = read_document("a: 1\nb: 2\na: 3\n");
  REQUIRE(document.has_value());
  REQUIRE(document->faults.size() == 1);
  CHECK(document->faults[0].place.line == 3);
  CHECK(document->faults[0].message == "the key 'a' stands here for the second time");
  CHECK(document->root.entries.size() == 2);
  CHECK(document->root.entries[0].value.text == "1");
}

TEST_CASE("Keys are words") {
  const auto document = read_document("{[a]: 1, {b: 2}: 3, ~: 4, c: 5}\n");
  REQUIRE(document.has_value());
  CHECK(document->faults.size() == 3);
  CHECK(document->root.entries.size() == 1);
}

TEST_CASE("Tags and second documents are told") {
  const auto tagged = read_document("a: !!binary aGk=\n");
  REQUIRE(tagged.has_value());
  CHECK(tagged->faults.size() == 1);
  const auto second = read_document("a: 1\n---\nb: 2\n");
  REQUIRE(second.has_value());
  REQUIRE(second->faults.size() == 1);
  CHECK(second->faults[0].place.line == 3);
  CHECK(second->root.entries[0].key.text == "a");
}

TEST_CASE("What is no YAML is told with its place") {
  CHECK(fault_of("a: [1, 2\nb: 3\n").starts_with("2:"));
  CHECK(fault_of("a: 1\n\tb: 2\n").starts_with("2:"));
  CHECK(fault_of("a: *nobody\n").starts_with("1:"));
  CHECK(fault_of(std::string("a: 1\nbc\0d\n", 10)) == "2:3: a zero octet: this is no UTF-8 text");
}

TEST_CASE("Ten lines of anchors are not a billion values") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + repeated(", " + before, 9) + "]\n";
  }
  CHECK(fault_of(text).find("aliases counted") != std::string::npos);
}

TEST_CASE("Brackets within brackets end somewhere, by alias too") {
  CHECK(fault_of("a: " + repeated("[", depth_max - 1) + repeated("]", depth_max - 1) + "\n").empty());
  CHECK(fault_of("a: " + repeated("[", depth_max) + repeated("]", depth_max) + "\n").find("in each other") !=
        std::string::npos);
  CHECK_FALSE(fault_of(repeated("[", 1'000'000)).empty());
  CHECK_FALSE(fault_of(repeated("{a: ", 100'000)).empty());
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i < depth_max + 8; ++i)
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  CHECK(fault_of(text).find("in each other") != std::string::npos);
}

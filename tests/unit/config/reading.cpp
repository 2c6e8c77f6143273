#include "config/reading.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using doline::IpAddress;
using doline::IpPrefix;
using doline::milliseconds;
using doline::seconds;
using std::chrono::hours;

namespace {

Node scalar(const std::string& text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.text = text;
  return node;
}

/// What `read` makes of each text; nothing only together with a problem, and something only without.
template <class Read>
auto read_one(const std::string& text, Read read) {
  Reading reading(text, "f");
  const auto value = read(reading, scalar(text));
  CHECK(value.has_value() == (reading.problem_count() == 0));
  return value;
}

std::optional<milliseconds> duration(const std::string& text) {
  return read_one(text, [](Reading& reading, const Node& node) {
    return read_duration(reading, node, milliseconds(0), hours(24 * 365));
  });
}
std::optional<std::uint64_t> size(const std::string& text) {
  return read_one(
      text, [](Reading& reading, const Node& node) { return read_size(reading, node, 0, std::uint64_t{1} << 50); });
}
std::optional<std::uint64_t> number(const std::string& text) {
  return read_one(text,
                  [](Reading& reading, const Node& node) { return read_number(reading, node, "a port", 1, 65'535); });
}

}  // namespace

TEST_CASE("Durations have units, and may be put together") {
  CHECK(duration("500ms") == milliseconds(500));
  CHECK(duration("2s") == seconds(2));
  CHECK(duration("5m") == std::chrono::minutes(5));
  CHECK(duration("1h30m") == std::chrono::minutes(90));
  CHECK(duration("7d") == hours(168));
  CHECK(duration("2w") == hours(336));
  CHECK(duration("0") == milliseconds(0));
  CHECK(duration("0s") == milliseconds(0));
  for (const char* text : {"5", "s", "5 s", "-5s", "5x", "1.5s", "99999999999999999999s", "9999999999999999w", "5s "}) {
    CAPTURE(text);
    CHECK_FALSE(duration(text).has_value());
  }
  CHECK_FALSE(duration("366d").has_value());  // past the limit
}

TEST_CASE("Sizes have units, binary and decimal") {
  CHECK(size("64MiB") == 64u << 20);
  CHECK(size("4GiB") == std::uint64_t{4} << 30);
  CHECK(size("500MB") == 500'000'000u);
  CHECK(size("512KiB") == 512u << 10);
  CHECK(size("0") == 0u);
  for (const char* text : {"64", "64Mi", "MiB", "-1MiB", "1.5GiB", "99999999999999TiB", "64mib"}) {
    CAPTURE(text);
    CHECK_FALSE(size(text).has_value());
  }
}

TEST_CASE("Numbers are decimal or hexadecimal, and within their range") {
  CHECK(number("53") == 53u);
  CHECK(number("053") == 53u);  // not octal, whatever YAML thinks
  CHECK(number("0x5353") == 0x5353u);
  for (const char* text : {"0", "65536", "-1", "5.3", "53x", "0x", "99999999999999999999999", "0x1ffffffffffffffff"}) {
    CAPTURE(text);
    CHECK_FALSE(number(text).has_value());
  }
}

TEST_CASE("A network says exactly which bits count") {
  const auto prefix = [](const std::string& text) { return read_one(text, read_prefix); };
  CHECK(prefix("192.168.0.0/16") == IpPrefix::parse("192.168.0.0/16"));
  CHECK(prefix("fd00::20") == IpPrefix::parse("fd00::20/128"));
  CHECK_FALSE(prefix("192.168.1.0/16").has_value());  // was /24 meant?
  CHECK_FALSE(prefix("192.168.0.0/33").has_value());
  CHECK_FALSE(prefix("home").has_value());
}

TEST_CASE("A domain name is not an address, a path or a line of a filter list") {
  const auto name = [](const std::string& text) {
    return read_one(text, [](Reading& reading, const Node& node) { return read_name(reading, node); });
  };
  CHECK(name("NAS.Home.ARPA.")->to_string() == "nas.home.arpa");
  CHECK(name("_dns.resolver.arpa").has_value());
  CHECK(name("xn--bcher-kva.example").has_value());
  for (const char* text :
       {"192.168.1.1", "b\u00fccher.example", "https://a.example", "||a.example^", "a..b", "a b", "*.a"}) {
    CAPTURE(text);
    CHECK_FALSE(name(text).has_value());
  }
}

TEST_CASE("An endpoint has a port, its own or the usual one, never 0") {
  const auto endpoint = [](const std::string& text) {
    return read_one(text, [](Reading& reading, const Node& node) { return read_endpoint(reading, node, 53); });
  };
  CHECK(endpoint("1.1.1.1")->to_string() == "1.1.1.1:53");
  CHECK(endpoint("[2620:fe::fe]:5300")->to_string() == "[2620:fe::fe]:5300");
  CHECK_FALSE(endpoint("1.1.1.1:0").has_value());
  CHECK_FALSE(endpoint("dns.example:53").has_value());
  CHECK_FALSE(endpoint("fe80::1%eth0").has_value());
}

TEST_CASE("Switches take the words that people write") {
  const auto flag = [](const std::string& text) { return read_one(text, read_bool); };
  for (const char* text : {"true", "yes", "on"}) CHECK(flag(text) == true);
  for (const char* text : {"false", "no", "off"}) CHECK(flag(text) == false);
  CHECK_FALSE(flag("1").has_value());
  CHECK(says_off(scalar("off")));
  CHECK_FALSE(says_off(scalar("on")));
}

TEST_CASE("A single value is a list of one, and nothing is an empty list") {
  Node list;
  list.kind = Node::Kind::list;
  list.items = {scalar("a"), scalar("b")};
  CHECK(to_list(list).size() == 2);
  CHECK(to_list(scalar("a")).size() == 1);
  CHECK(to_list(Node{}).empty());
}

TEST_CASE("Of a list that is too long the beginning is read, and it is told") {
  Node list;
  list.kind = Node::Kind::list;
  list.items.assign(5, scalar("a"));
  Reading reading("", "f");
  CHECK(to_list(reading, list, 5, "ports").size() == 5);
  CHECK(reading.problem_count() == 0);
  CHECK(to_list(reading, list, 4, "ports").size() == 4);
  CHECK(reading.take_problems()[0].message == "more than 4 ports");
}

TEST_CASE("What is of the wrong shape is named by its shape") {
  Reading reading("", "f");
  Node list;
  list.kind = Node::Kind::list;
  CHECK_FALSE(read_text(reading, list, "a port").has_value());
  CHECK_FALSE(read_text(reading, Node{}, "a port").has_value());
  CHECK_FALSE(read_text(reading, scalar(""), "a port").has_value());
  const auto problems = reading.take_problems();
  REQUIRE(problems.size() == 3);
  CHECK(problems[0].message == "expected a port, not a list");
  CHECK(problems[1].message == "expected a port, not nothing");
  CHECK(problems[2].message == "expected a port, not an empty text");
}

TEST_CASE("Problems come in the order of the file, each with its line, and no more than help") {
  Reading reading("one\n  two\r\nthree", "f");
  reading.add(Place{3, 1}, "third");
  reading.add(Place{2, 3}, "second");
  reading.add_without_place("of the file");
  CHECK(reading.line_text(2) == "two");
  CHECK(reading.line_text(9).empty());
  auto problems = reading.take_problems();
  REQUIRE(problems.size() == 3);
  CHECK(problems[0].message == "of the file");
  CHECK(problems[1].source_line == "  two");
  CHECK(problems[2].source_line == "three");
  Reading many("", "f");
  for (std::size_t i = 0; i < 2 * problems_max; ++i) many.add(Place{}, "again");
  CHECK(many.take_problems().size() == problems_max);
}

TEST_CASE("A relative path is looked for beside the file, then in the folder above") {
  const auto folder = std::filesystem::temp_directory_path() / ("doline-config-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "config");
  std::ofstream(folder / "above.txt") << "x";
  std::ofstream(folder / "config/beside.txt") << "x";
  Reading reading("", folder / "config/doline.yml");
  CHECK(read_input_path(reading, scalar("beside.txt")) == folder / "config/beside.txt");
  CHECK(read_input_path(reading, scalar("above.txt")) == folder / "above.txt");
  CHECK(read_input_path(reading, scalar("nowhere.txt")) == folder / "config/nowhere.txt");
  CHECK(read_input_path(reading, scalar("/etc/hosts")) == "/etc/hosts");
  CHECK(read_output_path(reading, scalar("above.txt")) == folder / "config/above.txt");
  CHECK(reading.problem_count() == 0);
  std::filesystem::remove_all(folder);
}

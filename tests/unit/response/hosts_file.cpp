#include "response/hosts_file.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace doline::response {

namespace {

/// `NAME ADDRESS`, one a name.
std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> lines;
  for (const LocalName& name : read_hosts(text).names) {
    REQUIRE(name.records.size() == 1);
    CHECK_FALSE(name.is_wildcard);
    lines.push_back(name.owner.to_string() + ' ' + IpAddress::from_octets(name.records[0].rdata).to_string());
  }
  return lines;
}

/// `LINE WHAT`, one a problem.
std::vector<std::string> problems_in(std::string_view text) {
  std::vector<std::string> lines;
  for (const HostsProblem& problem : read_hosts(text).problems)
    lines.push_back(std::to_string(problem.line) + ' ' + problem.what);
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("A line gives all its names to its address, of either family") {
  CHECK(
      names_in(
          "192.168.1.10\tNAS.home.arpa nas\r\n  fd00::10 nas.home.arpa. # the same\n#192.0.2.1 x\n\n192.168.1.11 tv") ==
      Lines{"nas.home.arpa 192.168.1.10", "nas 192.168.1.10", "nas.home.arpa fd00::10", "tv 192.168.1.11"});
  CHECK(problems_in("").empty());
  CHECK(names_in("\xef\xbb\xbf"
                 "192.168.1.10 nas\n") == Lines{"nas 192.168.1.10"});
}

TEST_CASE("What is for the machine itself, or for nobody, is not taken and no mistake") {
  const std::string_view text =
      "127.0.0.1 localhost\n127.0.1.1 pi.home.arpa pi\n::1 ip6-localhost\nff02::1 ip6-allnodes\nfe00::0 localhost\n"
      "fe80::1%lo0 localhost\n192.168.1.5 x.localhost\n";
  CHECK(names_in(text).empty());
  CHECK(problems_in(text).empty());
}

TEST_CASE("A file that blocks by hosts' lines is told once that it is none of these") {
  const std::string_view text = "192.168.1.10 nas\n0.0.0.0 ads.example\n:: ads.example\n0.0.0.0 more.example\n";
  CHECK(names_in(text) == Lines{"nas 192.168.1.10"});
  REQUIRE(problems_in(text).size() == 1);
  CHECK(problems_in(text)[0].starts_with("2 lines with 0.0.0.0"));
}

TEST_CASE("What is wrong is told with its line, and the rest is used") {
  const std::string_view text = "nas 192.168.1.10\n192.168.1.11 a..b tv 192.168.1.12\n192.168.1.13\n192.168.1.14 .\n";
  CHECK(names_in(text) == Lines{"tv 192.168.1.11"});
  CHECK(problems_in(text) == Lines{"1 the line does not begin with an address", "2 not a host name",
                                   "2 not a host name", "3 an address without a name", "4 not a host name"});
  std::string bad;
  for (int i = 0; i < 100; ++i) bad += "bad\n";
  CHECK(problems_in(bad).size() == hosts_problems_max);
}

TEST_CASE("A file has so many names and no more") {
  std::string text;
  for (std::size_t i = 0; i <= hosts_names_max; ++i) text += "192.168.1.1 n" + std::to_string(i) + "\n";
  const HostsReading reading = read_hosts(text);
  CHECK(reading.names.size() == hosts_names_max);
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].line == hosts_names_max + 1);
}

}  // namespace doline::response

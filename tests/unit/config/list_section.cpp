#include <doctest/doctest.h>

#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::blocklist::ListFormat;
using doline::policy::ListKind;
using doline::policy::Mode;

TEST_CASE("Lists keep their order, for it is their number") {
  const Settings settings = settings_of(
      "lists:\n"
      "  ads: {url: \"https://lists.example/hosts.txt\", every: 12h}\n"
      "  strict: {file: /etc/strict.txt, format: domains, subdomains: true, mode: observe}\n"
      "  trusted: {file: /etc/allow.txt, kind: allow}\n"
      "resolver_list: /etc/resolvers.csv\n");
  const auto& lists = settings.live.lists;
  REQUIRE(lists.size() == 3);
  CHECK(lists[0].url == "https://lists.example/hosts.txt");
  CHECK(lists[0].every == std::chrono::hours(12));
  CHECK_FALSE(lists[0].format.has_value());
  CHECK(lists[0].line == 3);
  CHECK(lists[1].file == "/etc/strict.txt");
  CHECK(lists[1].format == ListFormat::domains);
  CHECK(lists[1].subdomains);
  CHECK(lists[1].mode == Mode::observe);
  CHECK(lists[2].kind == ListKind::allow);
  CHECK(settings.live.resolver_list == "/etc/resolvers.csv");
  REQUIRE(settings.live.policy.lists.size() == 3);
  CHECK(settings.live.policy.lists[2].name == "trusted");
  CHECK(settings.live.policy.lists[2].kind == ListKind::allow);
  CHECK(settings.live.policy.lists[1].mode == Mode::observe);
}

TEST_CASE("A list is in one place") {
  CHECK(problems_of("lists: {ads: {kind: block}}\n") ==
        "2:9: the list 'ads' has neither 'file' nor 'url'; one of them says where it is\n");
  CHECK(problems_of("lists: {ads: {file: x, url: \"http://a.example/\"}}\n").find("has both") != std::string::npos);
}

TEST_CASE("A URL is one that can be fetched") {
  for (const char* url :
       {"ftp://a.example/x", "https://", "https:///x", "a.example/x", "http://a b", "file:///etc/passwd"}) {
    CAPTURE(url);
    CHECK(
        problems_of("lists: {ads: {url: \"" + std::string(url) + "\"}}\n").find("is not an http:// or https:// URL") !=
        std::string::npos);
  }
  CHECK(problems_of("lists: {ads: {url: \"http://a.example/\", every: 1s}}\n") ==
        "2:48: '1s' is out of range; 5m to 365d would do\n");
  CHECK(problems_of("lists: {ads: {file: x, every: 1d}}\n").find("for lists with a URL") != std::string::npos);
}

TEST_CASE("A format that nobody knows is told with the nearest that is known") {
  CHECK(problems_of("lists: {ads: {file: x, format: adblock}}\n") == "");
  CHECK(problems_of("lists: {ads: {file: x, format: host}}\n") ==
        "2:32: 'host' is not a list's format; did you mean 'hosts'?\n");
}

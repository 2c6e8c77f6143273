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
        "2:9: the list 'ads' has neither 'file', 'url' nor 'zone'; one of them says where it is\n");
  CHECK(problems_of("lists: {ads: {file: x, url: \"http://a.example/\"}}\n").find("has several of") !=
        std::string::npos);
  CHECK(problems_of("lists: {ads: {zone: x, primary: 192.0.2.1, file: x}}\n").find("has several of") !=
        std::string::npos);
}

TEST_CASE("A zone is transferred from its primaries, with a key where they want one") {
  const Settings settings = settings_of(
      "lists:\n"
      "  threats: {zone: RPZ.example, primary: [192.0.2.1, \"[2001:db8::1]:5353\"]}\n"
      "  signed:\n"
      "    zone: rpz.example\n"
      "    primary: 192.0.2.1\n"
      "    key: {name: Doline.example, algorithm: hmac-sha512, secret_file: /etc/doline/rpz.key}\n");
  const auto& lists = settings.live.lists;
  REQUIRE(lists.size() == 2);
  REQUIRE(lists[0].zone.has_value());
  CHECK(lists[0].is_fetched());
  CHECK(lists[0].format == ListFormat::rpz);
  CHECK(lists[0].zone->to_string() == "rpz.example from 192.0.2.1:53 [2001:db8::1]:5353");
  CHECK_FALSE(lists[0].zone->key.has_value());
  REQUIRE((lists[1].zone.has_value() && lists[1].zone->key.has_value()));
  CHECK(lists[1].zone->key->name.to_string() == "doline.example");
  CHECK(lists[1].zone->key->algorithm == doline::transfer::Algorithm::hmac_sha512);
  CHECK(lists[1].zone->key->secret_file == "/etc/doline/rpz.key");
}

TEST_CASE("What a zone lacks, or another list has too much, is told") {
  CHECK(problems_of("lists: {ads: {zone: x}}\n") ==
        "2:9: the list 'ads' has a 'zone' and no 'primary'; the address of a server that lets us transfer it\n");
  CHECK(problems_of("lists: {ads: {file: x, primary: 192.0.2.1}}\n").find("for lists with a 'zone'") !=
        std::string::npos);
  CHECK(problems_of("lists: {ads: {zone: x, primary: ns.example}}\n") != "");
  CHECK(problems_of("lists: {ads: {zone: x, primary: 192.0.2.1, format: hosts}}\n") ==
        "2:52: a zone that is transferred is read as 'rpz'\n");
  CHECK(problems_of("lists: {ads: {zone: x, primary: 192.0.2.1, format: rpz}}\n") == "");
  CHECK(problems_of("lists: {ads: {zone: x, primary: 192.0.2.1, every: 1d}}\n").find("SOA record says how often") !=
        std::string::npos);
  CHECK(problems_of("lists: {ads: {zone: x, primary: 192.0.2.1, key: {name: a}}}\n").find("'secret_file'") !=
        std::string::npos);
  CHECK(problems_of("lists: {ads: {zone: x, primary: 192.0.2.1, key: {name: a, secret_file: f, algorithm: "
                    "hmac-sha265}}}\n")
            .find("did you mean 'hmac-sha256'?") != std::string::npos);
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

#include <doctest/doctest.h>

#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::dns::Name;
using Strategy = doline::upstream::Route::Strategy;

namespace {

std::string problems_alone(const std::string& text) {
  const auto settings = read(text);
  std::string all;
  if (!settings)
    for (const Problem& problem : settings.error()) all += to_string(problem) + "\n";
  return all;
}

}  // namespace

TEST_CASE("Whom to ask must be said") {
  CHECK(problems_alone("").starts_with("doline.yml: 'upstreams' is missing: whom to ask; "));
  CHECK(problems_alone("upstreams: {other: {servers: 192.0.2.1}}\n") ==
        "doline.yml:1:12: 'upstreams' has no entry 'default'\n");
  CHECK(problems_alone("upstreams: {default: {}}\n") ==
        "doline.yml:1:13: the route 'default' has no servers; {servers: [9.9.9.9]} would do\n");
  CHECK(problems_alone("upstreams: {default: }\n").find("has no servers") != std::string::npos);
}

TEST_CASE("The default route is the first, wherever it stands") {
  const auto settings = read(
      "upstreams:\n  router: {servers: 192.168.1.1, timeout: 500ms}\n"
      "  default: {servers: [192.0.2.1, \"[2001:db8::1]:5353\"], strategy: fastest}\n");
  REQUIRE(settings.has_value());
  const auto& routes = settings->live.upstream.routes;
  REQUIRE(routes.size() == 2);
  CHECK(routes[0].name == "default");
  CHECK(routes[0].strategy == Strategy::fastest);
  CHECK(routes[0].servers[1].to_string() == "[2001:db8::1]:5353");
  CHECK(routes[0].timeout == doline::milliseconds(2'000));
  CHECK(routes[1].name == "router");
  CHECK(routes[1].timeout == doline::milliseconds(500));
}

TEST_CASE("A server is an address that can be asked, and not Doline itself") {
  const auto problems = [](const std::string& server) {
    return problems_alone("upstreams: {default: {servers: [\"" + server + "\"]}}\n");
  };
  CHECK(problems("tls://9.9.9.9#dns.quad9.net").find("not in this build yet") != std::string::npos);
  CHECK(problems("tls://").find("names no server") != std::string::npos);
  CHECK(problems("udp://9.9.9.9").find("'udp' is no transport of DNS") != std::string::npos);
  CHECK(problems("dns.example").find("is not an address") != std::string::npos);
  CHECK(problems("0.0.0.0").find("is no server's address") != std::string::npos);
  CHECK(problems("fe80::1").find("of one link only") != std::string::npos);
  CHECK(problems("127.0.0.1").find("is where Doline itself listens") != std::string::npos);
  CHECK(problems("::1").find("is where Doline itself listens") != std::string::npos);
  CHECK(problems("127.0.0.1:5399").empty());
  CHECK(problems_alone("listen: 127.0.0.2\nupstreams: {default: {servers: [127.0.0.1]}}\n").empty());
  CHECK(problems_alone("upstreams: {default: {servers: [9.9.9.9, 9.9.9.9:53]}}\n").find("twice") != std::string::npos);
}

TEST_CASE("Names that go elsewhere are sorted by length, and their routes exist") {
  const auto settings = read(
      "upstreams:\n  default: {servers: 192.0.2.1}\n  router: {servers: 192.168.1.1}\n"
      "forward: {arpa: default, Home.Arpa.: router, 1.168.192.in-addr.arpa: router}\n");
  REQUIRE(settings.has_value());
  const auto& zones = settings->live.forward_zones;
  REQUIRE(zones.size() == 3);
  CHECK(zones[0].suffix.to_string() == "1.168.192.in-addr.arpa");
  CHECK(zones[1].suffix.to_string() == "home.arpa");
  CHECK(zones[1].route.value == 1);
  CHECK(zones[2].route.value == 0);
  CHECK(problems_of("forward: {home.arpa: defualt}\n") ==
        "2:22: 'defualt' is not an entry of 'upstreams'; did you mean 'default'?\n");
  CHECK(problems_of("forward: {a.example: default, A.example: default}\n") ==
        "2:31: the name 'A.example' stands here twice\n");
}

TEST_CASE("DNS64 has prefixes of RFC 6052, and clients and exclusions as it likes") {
  const std::string upstreams = "upstreams: {default: {servers: 192.0.2.1}}\n";
  CHECK(read(upstreams)->live.dns64 == nullptr);
  CHECK(read(upstreams + "dns64: off\n")->live.dns64 == nullptr);
  const auto settings = read(upstreams +
                             "dns64: {prefix: [\"64:ff9b::/96\", \"2001:db8::/32\"], clients: 192.168.64.0/24,\n"
                             "        exclude: [\"::ffff:0:0/96\", \"2001:db8:bad::/48\"]}\n");
  REQUIRE(settings.has_value());
  const auto& dns64 = settings->live.dns64;
  REQUIRE(dns64 != nullptr);
  CHECK(dns64->prefixes.size() == 2);
  CHECK(dns64->clients.size() == 1);
  CHECK(dns64->exclude.size() == 1);
  CHECK(!dns64->own->find(*Name::parse("ipv4only.arpa")).empty());

  const auto problems = [&](const std::string& text) { return problems_alone(upstreams + "dns64: " + text + "\n"); };
  CHECK(problems("{clients: 192.168.64.0/24}").starts_with("doline.yml:2:8: 'dns64' has no 'prefix'"));
  CHECK(
      problems("{prefix: \"2001:db8::/33\"}").starts_with("doline.yml:2:17: '2001:db8::/33' is no prefix of a NAT64"));
  CHECK(problems("{prefix: 10.0.0.0/8}").find("is no prefix of a NAT64") != std::string::npos);
  CHECK(problems("{prefix: here}").starts_with("doline.yml:2:17: "));
  CHECK(problems("{prefix: \"64:ff9b::/96\", client: any}").find("'clients'") != std::string::npos);
}

TEST_CASE("Names that must not leave are answered here, unless the file says otherwise") {
  const std::string upstreams = "upstreams: {default: {servers: 192.0.2.1}}\n";
  const auto choice = [&](const std::string& text) { return read(upstreams + text)->live.special_use; };
  CHECK((choice("").names && choice("").bare_names && choice("").firefox_canary && choice("").icloud_canaries));
  CHECK_FALSE(choice("bare_names: forward\n").bare_names);
  CHECK(choice("bare_names: answer\nspecial_use: forward\n").bare_names);
  CHECK_FALSE(choice("canaries: {icloud: forward}\n").icloud_canaries);
  CHECK(problems_alone(upstreams + "bare_names: block\n").find("is not a way with such names") != std::string::npos);
}

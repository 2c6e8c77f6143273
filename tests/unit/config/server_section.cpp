#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::IpAddress;

namespace {

bool allows(const Settings& settings, const std::string& client) {
  return std::any_of(settings.live.allow_clients.begin(), settings.live.allow_clients.end(),
                     [&](const auto& prefix) { return prefix.contains(*IpAddress::parse(client)); });
}

}  // namespace

TEST_CASE("A file with nothing but upstreams is complete") {
  const Settings settings = settings_of("");
  REQUIRE(settings.fixed.listen.size() == 2);
  CHECK(settings.fixed.listen[0].to_string() == "0.0.0.0:53");
  CHECK(settings.fixed.listen[1].to_string() == "[::]:53");
  CHECK_FALSE(settings.fixed.workers.has_value());
  CHECK(settings.fixed.user.empty());
  CHECK(settings.fixed.state == "/var/lib/doline");
  CHECK(settings.fixed.control_socket == "/var/lib/doline/control.socket");
  CHECK_FALSE(settings.fixed.redirect.has_value());
}

TEST_CASE("Where to listen is one address or many, with a port or without") {
  CHECK(settings_of("listen: 127.0.0.1\n").fixed.listen[0].to_string() == "127.0.0.1:53");
  CHECK(settings_of("listen: [127.0.0.1:5300, \"[::1]:5300\"]\n").fixed.listen[1].to_string() == "[::1]:5300");
  CHECK(problems_of("listen: []\n") == "2:9: no address to listen on\n");
  CHECK(problems_of("listen: [127.0.0.1, 127.0.0.1:53]\n") == "2:21: '127.0.0.1:53' stands here twice\n");
  CHECK(problems_of("listen: [127.0.0.1:x, 224.0.0.1]\n") ==
        "2:10: '127.0.0.1:x' is not an address, with a port or without; 1.1.1.1, 127.0.0.1:5399, 2620:fe::fe or "
        "[2620:fe::fe]:53 would be\n2:23: '224.0.0.1' is a multicast address\n");
  CHECK(problems_of("listen: tls://0.0.0.0:853\n").find("not in this build yet") != std::string::npos);
}

TEST_CASE("Private clients may ask unless others are named") {
  const Settings home = settings_of("");
  for (const char* client :
       {"10.1.2.3", "172.31.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "fd00::1", "fe80::1", "::1"}) {
    CAPTURE(client);
    CHECK(allows(home, client));
    CHECK(IpAddress::parse(client)->is_private());
  }
  CHECK_FALSE(allows(home, "8.8.8.8"));
  CHECK_FALSE(allows(home, "172.32.0.1"));
  CHECK_FALSE(allows(home, "2001:db8::1"));
  const Settings all = settings_of("allow_clients: any\n");
  CHECK(allows(all, "8.8.8.8"));
  CHECK(allows(all, "2001:db8::1"));
  const Settings some = settings_of("allow_clients: [private, \"2001:db8:50::/64\"]\n");
  CHECK(allows(some, "2001:db8:50::9"));
  CHECK_FALSE(allows(some, "2001:db8:51::9"));
  CHECK(settings_of("allow_clients: []\n").live.allow_clients.empty());
  CHECK(problems_of("allow_clients: privat\n") == "2:16: 'privat' is not a network; did you mean 'private'?\n");
}

TEST_CASE("Workers and user are judged") {
  CHECK(settings_of("workers: 2\n").fixed.workers == 2);
  CHECK_FALSE(settings_of("workers: auto\n").fixed.workers.has_value());
  CHECK_FALSE(problems_of("workers: 0\n").empty());
  CHECK(settings_of("user: doline\n").fixed.user == "doline");
  CHECK_FALSE(problems_of("user: \"do line\"\n").empty());
  CHECK_FALSE(problems_of("user: -x\n").empty());
}

TEST_CASE("The state folder carries what is not put elsewhere") {
  const Settings settings = settings_of("state: /srv/state\n");
  CHECK(settings.fixed.control_socket == "/srv/state/control.socket");
  CHECK(settings.fixed.query_log->path == "/srv/state/doline.db");
  CHECK(settings_of("control_socket: /run/x.socket\n").fixed.control_socket == "/run/x.socket");
  CHECK_FALSE(problems_of("control_socket: /" + std::string(200, 'x') + "\n").empty());
}

TEST_CASE("Names that the operator gives can be shown") {
  CHECK(problems_of("lists: {\"a\\eb\": {file: x}}\n") == "2:9: a list's name has letters that cannot be shown\n");
  CHECK(problems_of("lists: {\" a\": {file: x}}\n") == "2:9: a list's name begins or ends with a blank\n");
  CHECK(problems_of("lists: {" + std::string(64, 'a') + ": {file: x}}\n") ==
        "2:9: a list's name has more than 63 octets\n");
  CHECK(problems_of("lists: {\"k\u00fcche 1\": {file: x}, " + std::string(63, 'a') + ": {file: x}}\n").empty());
}

TEST_CASE("A time zone is one that this machine has") {
  CHECK(settings_of("time_zone: Europe/Berlin\n").fixed.time_zone == "Europe/Berlin");
  for (const char* zone : {"Europe/Berlim", "../../etc/passwd", "/etc/localtime", "zone.tab"})
    CHECK(problems_of("time_zone: " + std::string(zone) + "\n").find("is not a time zone of this machine") !=
          std::string::npos);
}

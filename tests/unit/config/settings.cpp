#include "config/settings.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;

namespace {

std::vector<std::string> changed(const std::string& wanted) {
  return changed_keys(settings_of("").fixed, settings_of(wanted).fixed);
}
using KeyNames = std::vector<std::string>;

}  // namespace

TEST_CASE("What needs a restart is named by its key") {
  CHECK(changed("") == KeyNames{});
  CHECK(changed("listen: 127.0.0.1:5300\n") == KeyNames{"listen"});
  CHECK(changed("workers: 2\n") == KeyNames{"workers"});
  CHECK(changed("user: doline\n") == KeyNames{"user"});
  CHECK(changed("state: /srv\n") == KeyNames{"state", "control_socket", "querylog"});
  CHECK(changed("control_socket: /run/x\n") == KeyNames{"control_socket"});
  CHECK(changed("querylog: off\n") == KeyNames{"querylog"});
  CHECK(changed("querylog: {answers: false}\n") == KeyNames{"querylog"});
  CHECK(changed("redirect: {interfaces: br-lan}\n") == KeyNames{"redirect"});
  for (const char* cache : {"size: 1MiB", "stale: 1h", "min_ttl: 1s", "max_ttl: 1h", "max_negative_ttl: 1m"})
    CHECK(changed("cache: {" + std::string(cache) + "}\n") == KeyNames{"cache"});
}

TEST_CASE("What a reload changes needs no restart") {
  CHECK(changed("querylog: {keep: 1d, max_size: 1GiB}\nallow_clients: any\nblock_ttl: 1m\nrules: [{then: refuse}]\n"
                "lists: {a: {file: x}}\ndevices: {a: {address: 192.0.2.1}}\nforward: {a.example: default}\n") ==
        KeyNames{});
}

TEST_CASE("Another state folder takes along what lies in it, and nothing else") {
  Fixed usual = settings_of("").fixed;
  place_state(usual, "/srv/state");
  CHECK(usual.state == "/srv/state");
  CHECK(usual.control_socket == "/srv/state/control.socket");
  CHECK(usual.query_log->path == "/srv/state/doline.db");
  Fixed named = settings_of("querylog: {path: /srv/log.db}\ncontrol_socket: /run/x\n").fixed;
  place_state(named, "/srv/state");
  CHECK(named.control_socket == "/run/x");
  CHECK(named.query_log->path == "/srv/log.db");
}

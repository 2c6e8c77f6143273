#include "doline/status_command.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace doline;
using nlohmann::json;

namespace {

json status() {
  return json::parse(R"({
    "version": "1", "pid": 7, "state": "well", "shortcomings": [], "waiting_for_restart": [], "settings": "doline.yml",
    "serving": ["0.0.0.0:53"], "queries": {"received": 66, "answered": 65, "rejected": 60, "dropped_malformed": 1},
    "cache": {}, "interception": {"state": "applied", "mode": "tproxy", "reason": "", "gate": {}}, "devices": 2,
    "exemptions": [{"device": "tv", "until": null}], "device_book": [{"device": "camera", "macs": [{"joined": true}]}],
    "querylog": "off", "flows": null, "lists": [], "upstreams": []})");
}

}  // namespace

TEST_CASE("the status page counts what was not understood, whether it was answered or not") {
  CHECK(describe_status(status()).find("0 dropped by a rule, 61 not understood\n") != std::string::npos);
}

TEST_CASE("the status page tells of devices behind their number") {
  const std::string page = describe_status(status());
  const std::size_t devices = page.find("devices        2\n");
  REQUIRE(devices != std::string::npos);
  CHECK(page.find("  camera ") == devices + std::string("devices        2\n").size());
  CHECK(page.find("set aside ") < devices);
}

TEST_CASE("the status page says what puts a new value in force") {
  json waits = status();
  waits["waiting_for_restart"] = {"redirect", "listen"};
  const std::string page = describe_status(waits);
  CHECK(page.find("waits for `doline redirect apply`, or a restart where mode or ports differ: redirect\n") !=
        std::string::npos);
  CHECK(page.find("waits for a restart: listen\n") != std::string::npos);
  waits["interception"]["mode"] = "off";
  CHECK(describe_status(waits).find("waits for a restart: redirect\n") != std::string::npos);
}

#include <doctest/doctest.h>

#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::device::LogChoice;

TEST_CASE("Devices have names, and what they are recognised by") {
  const Settings settings = settings_of(
      "devices:\n"
      "  wyze-base: {mac: \"2c:aa:8e:12:34:56\", groups: [cameras]}\n"
      "  laptop: {address: [192.168.1.20, \"fd00::20\"], groups: grown-ups, log: anonymous}\n"
      "  phone: {client_id: anna, hostname: Annas-Phone}\n"
      "groups:\n"
      "  guests: {network: 192.168.60.0/24, log: none}\n"
      "leases: /var/lib/misc/dnsmasq.leases\n");
  const auto& devices = settings.live.devices;
  REQUIRE(devices.size() == 3);
  CHECK(devices[0].macs[0].to_string() == "2c:aa:8e:12:34:56");
  CHECK(devices[0].groups[0] == "cameras");
  CHECK(devices[1].addresses[1].to_string() == "fd00::20/128");
  CHECK(devices[1].log == LogChoice::anonymous);
  CHECK(devices[2].client_ids[0] == "anna");
  CHECK(devices[2].hostname == "annas-phone");
  // Declared groups first, then those that devices name.
  const auto& groups = settings.live.groups;
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].name == "guests");
  CHECK(groups[0].log == LogChoice::none);
  CHECK(groups[0].networks.size() == 1);
  CHECK(groups[1].name == "cameras");
  CHECK(groups[2].name == "grown-ups");
  CHECK(settings.live.leases.size() == 1);
}

TEST_CASE("What recognises a device belongs to it alone") {
  CHECK(problems_of("devices:\n"
                    "  a: {mac: \"2c:aa:8e:12:34:56\", address: 192.168.1.5, client_id: x}\n"
                    "  b: {mac: 2caa8e123456, address: 192.168.1.5/32, client_id: x}\n") ==
        "4:12: '2caa8e123456' already belongs to 'a' (line 3)\n"
        "4:35: '192.168.1.5/32' already belongs to 'a' (line 3)\n"
        "4:62: 'x' already belongs to 'a' (line 3)\n");
}

TEST_CASE("A MAC is one that a device can have") {
  for (const char* mac : {"2c:aa:8e:12:34", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "camera"}) {
    CAPTURE(mac);
    CHECK(problems_of("devices: {a: {mac: \"" + std::string(mac) + "\"}}\n").find("is not a device's MAC address") !=
          std::string::npos);
  }
}

TEST_CASE("Nobody is called unknown") {
  CHECK(problems_of("devices: {unknown: {address: 192.168.1.5}}\n") ==
        "2:11: 'unknown' is the name of the device that nobody knows\n");
}

TEST_CASE("There are no more groups than a mask has bits") {
  const auto groups = [](std::size_t count) {
    std::string text = "devices:\n  a: {address: 192.0.2.1, groups: [g0";
    for (std::size_t i = 1; i < count; ++i) text += ", g" + std::to_string(i);
    return text + "]}\n";
  };
  CHECK(problems_of(groups(doline::device::groups_max)).empty());
  CHECK(problems_of(groups(doline::device::groups_max + 1)).find("more than 64 groups") != std::string::npos);
}

TEST_CASE("More names are looked for where the operator says so, and nowhere else") {
  CHECK_FALSE(settings_of("devices: {}\n").live.hears_announcements);
  CHECK_FALSE(settings_of("discover: off\n").live.asks_pointers);
  const Settings settings = settings_of("discover: {mdns: true, ptr: on}\n");
  CHECK(settings.live.hears_announcements);
  CHECK(settings.live.asks_pointers);
  CHECK_FALSE(settings_of("discover: {mdns: true}\n").live.asks_pointers);
  CHECK(problems_of("discover: {mdns: yes please}\n").find("2:18") != std::string::npos);
  CHECK(problems_of("discover: {llmnr: true}\n").find("llmnr") != std::string::npos);
}

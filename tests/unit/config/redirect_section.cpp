#include <doctest/doctest.h>

#include <string>

#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::redirect::Encrypted;
using doline::redirect::Mode;
using doline::redirect::OnFailure;

TEST_CASE("Interception is what the section says") {
  const Settings settings = settings_of(
      "devices: {laptop: {mac: \"2c:aa:8e:12:34:56\", address: 192.168.1.20}}\n"
      "redirect:\n"
      "  mode: nat\n"
      "  interfaces: [br-lan, br-iot]\n"
      "  ports: [53, 5353]\n"
      "  exempt: {from: [laptop, \"b8:27:eb:00:50:53\", 192.168.1.5, \"fd00::/64\"], to: [10.8.0.1, 1.1.1.1]}\n"
      "  encrypted: reject\n"
      "  on_failure: closed\n"
      "  kernel: {mark: 0x2000, table: 6453, nflog_group: 5}\n");
  REQUIRE(settings.fixed.redirect.has_value());
  const auto& options = *settings.fixed.redirect;
  CHECK(options.mode == Mode::nat);
  CHECK(options.interfaces == std::vector<std::string>{"br-lan", "br-iot"});
  CHECK(options.ports == std::vector<std::uint16_t>{53, 5353});
  CHECK(options.exempt.macs.size() == 2);
  CHECK(options.exempt.clients.size() == 3);
  CHECK(options.exempt.destinations.size() == 2);
  CHECK(options.encrypted == Encrypted::reject);
  CHECK(options.on_failure == OnFailure::closed);
  CHECK(options.kernel.mark == 0x2000);
  CHECK(options.kernel.table == 6453);
  CHECK(options.kernel.nflog_group == 5);
}

TEST_CASE("Absent is not off: then nothing is known of it") {
  CHECK_FALSE(settings_of("").fixed.redirect.has_value());
  CHECK(settings_of("redirect: off\n").fixed.redirect->mode == Mode::off);
  CHECK(settings_of("redirect: {interfaces: br-lan}\n").fixed.redirect->mode == Mode::tproxy);
}

TEST_CASE("What cannot be carried out is told, where it stands") {
  CHECK(problems_of("redirect: {mode: tproxy}\n") == "2:11: redirect: no interface of the LAN is named\n");
  CHECK(problems_of("redirect: {mode: tporxy, interfaces: br-lan}\n").find("did you mean 'tproxy'?") !=
        std::string::npos);
  CHECK(problems_of("redirect: {interfaces: br-lan, ports: [53, 0]}\n") ==
        "2:44: '0' is not a port; 1 to 65535 would be\n");
  CHECK(problems_of("redirect: {interfaces: br-lan, kernel: {table: 254}}\n") ==
        "2:11: redirect: routing table 254 is the kernel's own\n");
  CHECK_FALSE(problems_of("redirect: {interfaces: \"br-lan\\\"; drop\"}\n").empty());
}

TEST_CASE("Connections are watched in any mode, where their records can be kept") {
  const Settings off = settings_of("redirect: {mode: off, interfaces: br-lan}\nflows: {watch: true, warm_up: 10m}\n");
  REQUIRE(off.fixed.redirect);
  CHECK(off.fixed.redirect->watch);
  CHECK(off.fixed.redirect->mode == Mode::off);
  CHECK(off.fixed.flow_warm_up == std::chrono::minutes(10));
  CHECK_FALSE(settings_of("redirect: {interfaces: br-lan}\nflows: {watch: false}\n").fixed.redirect->watch);
  CHECK_FALSE(settings_of("redirect: {interfaces: br-lan}\nflows: off\n").fixed.redirect->watch);
  CHECK(settings_of("redirect: {mode: audit, interfaces: br-lan}\n").fixed.redirect->mode == Mode::audit);
  CHECK(settings_of("redirect: {interfaces: br-lan, encrypted: log}\n").fixed.redirect->encrypted == Encrypted::log);
}

TEST_CASE("What stands in the way of watching is told at its place") {
  CHECK(problems_of("redirect: {interfaces: br-lan}\nflows: {watch: true}\nquerylog: off\n")
            .find("3:16: connections are recorded in the query log, which is off") == 0);
  CHECK(problems_of("redirect: {interfaces: br-lan}\nflows: {watch: true}\nquerylog: {answers: false}\n")
            .find("3:16: connections are set against answers, which the query log does not keep") == 0);
  CHECK(problems_of("flows: {watch: true}\n").find("2:16: which interfaces lead to the LAN is not said") == 0);
  CHECK(problems_of("redirect: off\nflows: {watch: true}\n").find("2:11: 'redirect' names no interfaces") == 0);
  CHECK(
      problems_of("redirect: {mode: audit, interfaces: br-lan}\nquerylog: off\n").find("the query log, which is off") !=
      std::string::npos);
  CHECK(problems_of("redirect: {interfaces: br-lan}\nflows: {warm_up: 8d}\n").find("3:18:") == 0);
}

TEST_CASE("Groups say what their devices may connect to, and whether they may encrypt") {
  using doline::redirect::Flows;
  const Settings settings = settings_of(
      "groups:\n"
      "  guests: {log: none}\n"
      "  cameras: {flows: only-resolved, encrypted: reject}\n"
      "  new-ones: {flows: observe}\n"
      "  grown-ups: {flows: any, encrypted: leave}\n"
      "redirect: {interfaces: br-lan, encrypted: reject}\n");
  const auto& by_group = settings.live.restrictions;
  REQUIRE(by_group.size() == 4);
  CHECK(by_group[0] == doline::redirect::GroupRestriction());
  CHECK(by_group[1].flows == Flows::only_resolved);
  CHECK(by_group[1].encrypted == Encrypted::reject);
  CHECK(by_group[2].flows == Flows::observe);
  CHECK_FALSE(by_group[2].encrypted.has_value());
  CHECK(by_group[3].encrypted == Encrypted::leave);
}

TEST_CASE("Restrictions that nobody would carry out are told, where they stand") {
  const std::string group = "groups: {cameras: {flows: only-resolved}}\n";
  const std::string told =
      "2:27: 'flows: only-resolved' of the group 'cameras' needs interception: `redirect:` with `interfaces`, in the "
      "mode tproxy, nat or remote\n";
  CHECK(problems_of(group) == told);
  CHECK(problems_of(group + "redirect: off\n") == told);
  CHECK(problems_of(group + "redirect: {mode: off}\n") == told);
  CHECK(problems_of(group + "redirect: {interfaces: br-lan}\n").empty());
  CHECK(problems_of("groups: {cameras: {encrypted: leave, flows: any}}\n").empty());
  CHECK(problems_of("groups: {cameras: {encrypted: reject}}\n").starts_with("2:31: 'encrypted: reject' of the group"));
  CHECK(settings_of("groups: {a: {encrypted: log}}\nredirect: {interfaces: br-lan}\n")
            .live.restrictions.back()
            .encrypted == Encrypted::log);
  CHECK(problems_of("groups: {a: {flows: only-resolvd}}\nredirect: {interfaces: br-lan}\n")
            .find("did you mean 'only-resolved'?") != std::string::npos);
}

TEST_CASE("Whoever is let through can be recognised") {
  CHECK(problems_of("devices: {phone: {client_id: anna}}\nredirect: {interfaces: br-lan, exempt: {from: phone}}\n")
            .find("has neither 'mac' nor 'address'") != std::string::npos);
  CHECK(problems_of("devices: {phone: {client_id: anna}}\nredirect: {interfaces: br-lan, exempt: {from: phonne}}\n")
            .find("did you mean 'phone'?") != std::string::npos);
}

TEST_CASE("Ports that stand for resolvers are read, with or without interception, and none is given twice") {
  const Settings settings =
      settings_of("redirect: {mode: off, port_map: {20001: 114.114.114.114, 20002: \"2400:3200::1\"}}\n");
  REQUIRE(settings.fixed.port_map.size() == 2);
  CHECK(settings.fixed.port_map[0].port == 20001);
  CHECK(settings.fixed.port_map[0].resolver.to_string() == "114.114.114.114");
  CHECK(settings.fixed.port_map[1].resolver.to_string() == "2400:3200::1");
  CHECK(settings_of("redirect: {mode: remote, interfaces: eth0}\n").fixed.redirect->mode == Mode::remote);

  CHECK(problems_of("redirect: {mode: off, port_map: {53: 8.8.8.8}}\n").find("2:34: port 53 is Doline's own already") !=
        std::string::npos);
  CHECK(problems_of("redirect: {mode: off, port_map: {20001: 127.0.0.1}}\n").find("nobody's whom a device could ask") !=
        std::string::npos);
  CHECK_FALSE(problems_of("redirect: {mode: off, port_map: {20001: google}}\n").empty());
  CHECK_FALSE(problems_of("redirect: {mode: off, port_map: {70000: 8.8.8.8}}\n").empty());
  CHECK_FALSE(problems_of("redirect: {mode: off, port_map: [20001]}\n").empty());
  CHECK_FALSE(problems_of("redirect: {mode: off, port_map: {20001: 8.8.8.8, 20001: 8.8.4.4}}\n").empty());
}

TEST_CASE("Ports may be those of the listed resolvers, where there is a list") {
  const Settings settings = settings_of("resolver_list: r.csv\nredirect: {mode: off, port_map: listed}\n");
  CHECK(settings.fixed.maps_listed);
  CHECK(settings.fixed.port_map.empty());
  CHECK_FALSE(settings_of("redirect: {mode: off, port_map: {20001: 8.8.8.8}}\n").fixed.maps_listed);
  CHECK(changed_keys(settings_of("").fixed, settings.fixed) ==
        std::vector<std::string>{"redirect", "redirect.port_map"});

  CHECK(problems_of("redirect: {mode: off, port_map: listed}\n").find("2:33: which resolvers are listed is not said") ==
        0);
  CHECK(problems_of("resolver_list: r.csv\nredirect: {mode: off, port_map: lsted}\n").find("did you mean 'listed'?") !=
        std::string::npos);
}

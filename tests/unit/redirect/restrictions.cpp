#include "redirect/restrictions.h"

#include <doctest/doctest.h>

#include <string>

#include "home.h"

using namespace doline;
using namespace doline::redirect;
using device::MacAddress;
using tests::home_restrictions;

namespace {

MacAddress mac(const char* text) {
  return *MacAddress::parse(text);
}

device::DeviceSettings device_of(const char* name, const char* mac_text, std::vector<std::string> groups) {
  device::DeviceSettings settings;
  settings.name = name;
  settings.macs = {mac(mac_text)};
  settings.groups = std::move(groups);
  return settings;
}

bool is_told(const Restrictions& restrictions, const std::string& part) {
  for (const std::string& problem : find_problems(restrictions))
    if (problem.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("The strictest of a device's groups holds, and a network's is one of them") {
  device::RosterBuilder builder;
  builder.add_group({.name = "strict", .networks = {}, .log = {}});
  builder.add_group({.name = "observed", .networks = {}, .log = {}});
  builder.add_group({.name = "guests", .networks = {*IpPrefix::parse("192.168.60.0/24")}, .log = {}});
  builder.add_device(device_of("camera", "94:51:3d:13:9a:35", {"observed", "strict"}));
  builder.add_device(device_of("tv", "02:d0:11:00:60:31", {"observed"}));
  builder.add_device(device_of("phone", "02:d0:11:00:50:32", {}));
  builder.add_sighting({.address = IpAddress::v4(192, 168, 60, 9), .mac = mac("02:00:00:00:00:09"), .hostname = ""},
                       "");
  const auto roster = builder.build();
  const GroupRestriction by_group[] = {{.flows = Flows::only_resolved, .encrypted = Encrypted::leave},
                                       {.flows = Flows::observe, .encrypted = Encrypted::reject},
                                       {.flows = Flows::any, .encrypted = Encrypted::reject}};
  const Restrictions all = restrictions_of(*roster, by_group);
  CHECK(all.only_resolved == std::vector{mac("94:51:3d:13:9a:35")});
  CHECK(all.observed == std::vector{mac("02:d0:11:00:60:31")});
  CHECK(all.may_encrypt.empty());
  CHECK(all.must_not_encrypt ==
        std::vector{mac("02:00:00:00:00:09"), mac("02:d0:11:00:60:31"), mac("94:51:3d:13:9a:35")});
  CHECK(find_problems(all).empty());

  const GroupRestriction logging[] = {by_group[0], {.flows = Flows::any, .encrypted = Encrypted::log}, by_group[2]};
  CHECK(restrictions_of(*roster, logging).log_encrypted ==
        std::vector{mac("02:d0:11:00:60:31"), mac("94:51:3d:13:9a:35")});
  CHECK(restrictions_of(*roster, {}) == Restrictions());
  CHECK(restriction_of(roster->devices()[0], *roster, by_group) == GroupRestriction());
}

TEST_CASE("A lock holds what a device connects to, no less than its groups do, and allows what it names") {
  device::RosterBuilder builder;
  builder.add_group({.name = "strict", .networks = {}, .log = {}});
  builder.add_device(device_of("camera", "94:51:3d:13:9a:35", {"strict"}));
  builder.add_device(device_of("tv", "02:d0:11:00:60:31", {}));
  builder.add_device(device_of("phone", "02:d0:11:00:50:32", {}));
  const auto roster = builder.build();
  const GroupRestriction by_group[] = {{.flows = Flows::only_resolved, .encrypted = {}}};
  const AllowedFlow clock{*IpPrefix::parse("198.51.100.0/24"), 17, 123};
  const FlowLock locks[] = {{"camera", Flows::observe, {clock}}, {"tv", Flows::only_resolved, {}}, {"radio", {}, {}}};
  const Restrictions all = restrictions_of(*roster, by_group, locks);
  CHECK(all.only_resolved == std::vector{mac("02:d0:11:00:60:31"), mac("94:51:3d:13:9a:35")});
  CHECK(all.observed.empty());
  CHECK(all.allowances == std::vector<Allowance>{{{mac("94:51:3d:13:9a:35")}, {clock}}});
  CHECK(find_problems(all).empty());
  CHECK(describe(clock) == "udp 198.51.100.0/24 port 123");
  CHECK(describe(AllowedFlow{*IpPrefix::parse("2001:db8::7"), 6, 0}) == "tcp 2001:db8::7");
  CHECK(describe(AllowedFlow{*IpPrefix::parse("0.0.0.0/0"), 0, 0}) == "any protocol to anywhere (IPv4)");
}

TEST_CASE("Too many, and MAC addresses of nobody, are problems") {
  CHECK(find_problems(home_restrictions()).empty());
  Restrictions restrictions = home_restrictions();
  restrictions.observed.emplace_back();
  CHECK(is_told(restrictions, "no device's"));
  restrictions = home_restrictions();
  restrictions.only_resolved.push_back(mac("01:00:5e:00:00:01"));
  CHECK(is_told(restrictions, "no device's"));
  restrictions = home_restrictions();
  restrictions.may_encrypt.resize(restricted_max + 1, mac("94:51:3d:13:9a:35"));
  CHECK(is_told(restrictions, "more than 2048 restricted"));
  restrictions = home_restrictions();
  restrictions.allowances.front().macs.clear();
  CHECK(is_told(restrictions, "locked MAC"));
  restrictions = home_restrictions();
  restrictions.allowances.front().flows.resize(allowed_flows_max + 1);
  CHECK(is_told(restrictions, "more than 2048 connections"));
  restrictions = home_restrictions();
  restrictions.doh_networks.resize(doh_networks_max + 1);
  CHECK(is_told(restrictions, "more than 4096 addresses and networks of DoH"));
  restrictions.doh_networks = {*IpPrefix::parse("9.9.9.0/24"), *IpPrefix::parse("9.9.9.9")};
  CHECK(is_told(restrictions, "overlap"));
}

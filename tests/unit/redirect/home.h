// A home as the tests of redirect know it: two LANs behind a gateway, and what its operator asked for.
#pragma once

#include "redirect/host_facts.h"
#include "redirect/options.h"
#include "redirect/restrictions.h"
#include "redirect/router_text.h"

namespace doline::tests {

inline IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}

/// Everything that can be asked for, once.
inline redirect::Options home_options(redirect::Mode mode) {
  redirect::Options options;
  options.mode = mode;
  options.interfaces = {"home0", "iot0"};
  options.exempt.macs = {*device::MacAddress::parse("b8:27:eb:00:50:53")};
  options.exempt.clients = {prefix("192.168.50.5"), prefix("2001:db8:50::5")};
  options.exempt.destinations = {prefix("10.8.0.0/16"), prefix("2001:db8:99::/48")};
  options.encrypted = redirect::Encrypted::reject;
  return options;
}

/// Everybody that can be restricted, once.
inline redirect::Restrictions home_restrictions() {
  const auto mac = [](const char* text) { return *device::MacAddress::parse(text); };
  redirect::Restrictions restrictions;
  restrictions.only_resolved = {mac("94:51:3d:13:9a:35"), mac("2c:aa:8e:12:34:56")};
  restrictions.observed = {mac("02:d0:11:00:50:32")};
  restrictions.allowances = {
      {.macs = {mac("2c:aa:8e:12:34:56")},
       .flows = {
           {prefix("198.51.100.0/24"), 17, 123}, {prefix("2001:db8:beef::7"), 6, 0}, {prefix("0.0.0.0/0"), 0, 0}}}};
  restrictions.may_encrypt = {mac("02:d0:11:00:60:31"), mac("02:d0:11:00:60:32")};
  restrictions.log_encrypted = {mac("02:d0:11:00:60:32")};
  restrictions.must_not_encrypt = {mac("94:51:3d:13:9a:35")};
  restrictions.doh_networks = {*IpPrefix::parse("1.1.1.1"), *IpPrefix::parse("2001:4860:4860::/48")};
  return restrictions;
}

/// A kernel of today, with both families and both tools.
inline redirect::HostFacts home_facts() {
  redirect::HostFacts facts;
  facts.kernel_major = 6;
  facts.kernel_minor = 1;
  facts.nft = "/usr/sbin/nft";
  facts.iptables = "/usr/sbin/iptables";
  facts.ip6tables = "/usr/sbin/ip6tables";
  facts.has_ipv6 = facts.forwards_v4 = facts.forwards_v6 = true;
  facts.interfaces = {{.name = "home0", .networks = {prefix("192.168.50.0/24"), prefix("2001:db8:50::/64")}},
                      {.name = "iot0", .networks = {prefix("192.168.60.0/24"), prefix("2001:db8:60::/64")}},
                      {.name = "wan0", .networks = {prefix("203.0.113.0/24")}}};
  return facts;
}

/// The box of a home whose router calls its LANs as the gateway above does.
inline redirect::RouterFacts router_facts() {
  redirect::RouterFacts facts;
  facts.options = home_options(redirect::Mode::remote);
  facts.options.exempt.macs = {*device::MacAddress::parse("b8:27:eb:00:00:07")};
  facts.interfaces = {"home0", "iot0"};
  facts.box_v4 = IpAddress::parse("192.168.50.53");
  facts.box_v6 = IpAddress::parse("fd00:50::53");
  facts.box_mac = *device::MacAddress::parse("b8:27:eb:00:50:53");
  facts.networks = {prefix("192.168.50.0/24"), prefix("2001:db8:50::/64")};
  facts.router = IpAddress::parse("192.168.50.1");
  return facts;
}

/// The same, with a port for each of three resolvers.
inline redirect::RouterFacts mapped_router_facts() {
  redirect::RouterFacts facts = router_facts();
  facts.port_map = {{20001, *IpAddress::parse("114.114.114.114")},
                    {20002, *IpAddress::parse("2400:3200::1")},
                    {20003, *IpAddress::parse("8.8.8.8")}};
  return facts;
}

}  // namespace doline::tests

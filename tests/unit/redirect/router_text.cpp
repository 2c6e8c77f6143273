#include "redirect/router_text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "home.h"

using namespace doline;
using namespace doline::redirect;
using doline::tests::home_options;
using doline::tests::mapped_router_facts;
using doline::tests::prefix;
using doline::tests::router_facts;

namespace {

constexpr Platform platforms[] = {Platform::openwrt, Platform::routeros, Platform::opnsense,
                                  Platform::pfsense, Platform::edgeos,   Platform::unifi,
                                  Platform::merlin,  Platform::iptables, Platform::nftables};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool is_told(Platform platform, const RouterFacts& facts, const std::string& words) {
  const auto problems = find_problems(platform, facts);
  return std::any_of(problems.begin(), problems.end(), [&](const std::string& problem) { return has(problem, words); });
}

}  // namespace

// The whole texts are golden: tests/golden/redirect. Here is what must hold of all of them.

TEST_CASE("Every platform has a word, and the word leads back to it") {
  for (const Platform platform : platforms) CHECK(parse_platform(to_string(platform)) == platform);
  CHECK_FALSE(parse_platform("fritzbox").has_value());
  CHECK(has(platform_words(), "openwrt, routeros"));
}

TEST_CASE("Every text names the box, says how it is undone and how it fails, and leaves no gap") {
  for (const RouterFacts& facts : {router_facts(), mapped_router_facts()})
    for (const Platform platform : platforms) {
      CAPTURE(to_string(platform));
      REQUIRE(find_problems(platform, facts).empty());
      const std::string text = router_text(platform, facts);
      for (const char* part : {"192.168.50.53", "fd00:50::53", "ow it fails", "ndo", "ried", "home0", "192.168.50.1"}) {
        CAPTURE(part);
        CHECK(has(text, part));
      }
      for (const char* gap : {"{box", "{lan", "{home", "{exempt", "{v6", "{port", "{each", "{map", "{enc", "{mac",
                              "{hop", "{rewrites", "{any", "{numbered"})
        CHECK_FALSE(has(text, gap));
      CHECK(has(text, "NOT tried on a real router") + has(text, "NOT tried.") +
                has(text, "Tried in network namespaces") ==
            1);
    }
}

TEST_CASE("Without an IPv6 address of the box there is nothing of IPv6 that would lead nowhere") {
  for (RouterFacts facts : {router_facts(), mapped_router_facts()}) {
    facts.box_v6.reset();
    for (const Platform platform : platforms) {
      CAPTURE(to_string(platform));
      REQUIRE(find_problems(platform, facts).empty());
      const std::string text = router_text(platform, facts);
      for (const char* part : {"ip -6", "/ipv6", "nfproto ipv6", "ip6tables-restore", "DOLINE6", "fd00:50::53",
                               "resolvers6", "2400:3200::1"})
        CHECK_FALSE(has(text, part));
    }
  }
}

TEST_CASE("What is not known, or would be more than a name, is a problem and never a text") {
  RouterFacts facts = router_facts();
  facts.interfaces = {"home0; reboot"};
  CHECK(is_told(Platform::nftables, facts, "--lan"));
  facts.interfaces = {"home0\" }"};
  CHECK(is_told(Platform::nftables, facts, "--lan"));
  facts.interfaces.clear();
  CHECK(is_told(Platform::nftables, facts, "--lan"));
  facts = router_facts();
  facts.box_v4.reset();
  facts.box_mac = {};
  CHECK(is_told(Platform::openwrt, facts, "--box-address"));
  CHECK(is_told(Platform::openwrt, facts, "--box-mac"));
  facts = router_facts();
  facts.box_v6 = IpAddress::parse("fe80::53");
  CHECK(is_told(Platform::openwrt, facts, "global or unique local"));
  facts.box_v4 = IpAddress::parse("127.0.0.1");
  CHECK(is_told(Platform::openwrt, facts, "an address that it can reach"));
}

TEST_CASE("Encrypted DNS is refused where Doline refuses it") {
  RouterFacts facts = router_facts();
  CHECK(has(router_text(Platform::nftables, facts), "tcp dport 853 reject"));
  CHECK(has(router_text(Platform::iptables, facts), "--dport 853 -j DOLINE_REFUSE"));
  CHECK_FALSE(has(router_text(Platform::nftables, facts), "dport 443"));
  facts.doh_networks = {*IpPrefix::parse("9.9.9.9"), *IpPrefix::parse("45.90.28.0/24"),
                        *IpPrefix::parse("2620:fe::fe")};
  CHECK(has(router_text(Platform::nftables, facts), "elements = { 9.9.9.9/32, 45.90.28.0/24 }"));
  CHECK(has(router_text(Platform::openwrt, facts), "tcp dport 443 ip6 daddr @doh6 reject with tcp reset"));
  CHECK(has(router_text(Platform::iptables, facts), "-p udp --dport 443 -d 45.90.28.0/24 -j DOLINE_REFUSE"));
  CHECK(has(router_text(Platform::routeros, facts), "list=doline-doh address=2620:fe::fe/128"));
  for (const Platform platform : {Platform::opnsense, Platform::pfsense})
    CHECK(has(router_text(platform, facts), "doline_doh     type Network   9.9.9.9/32"));
  facts.options.encrypted = Encrypted::leave;
  for (const Platform platform : platforms) {
    CHECK_FALSE(has(router_text(platform, facts), "853"));
    CHECK_FALSE(has(router_text(platform, facts), "9.9.9.9"));
  }
}

TEST_CASE("Exemptions hold on the router too") {
  const std::string text = router_text(Platform::nftables, router_facts());
  for (const char* rule :
       {"ether saddr b8:27:eb:00:00:07 return", "ip saddr 192.168.50.5/32 return",
        "ip6 saddr 2001:db8:50::5/128 return", "ip daddr 10.8.0.0/16 return", "ip6 daddr 2001:db8:99::/48 return"}) {
    CAPTURE(rule);
    CHECK(text.find(rule) < text.find("meta mark set"));
  }
}

TEST_CASE(
    "With a port map each known resolver has a port of the box, in the router's own words, and nothing goes by next "
    "hop") {
  const RouterFacts facts = mapped_router_facts();
  for (const auto& [platform, rule] : std::initializer_list<std::pair<Platform, const char*>>{
           {Platform::unifi, "to 114.114.114.114 port 53: translated to 192.168.50.53 port 20001"},
           {Platform::unifi, "to 2400:3200::1 port 53: translated to fd00:50::53 port 20002"},
           {Platform::nftables, "114.114.114.114 : 192.168.50.53 . 20001,"},
           {Platform::openwrt, "2400:3200::1 : fd00:50::53 . 20002,"},
           {Platform::iptables, "-d 114.114.114.114 -p tcp -j DNAT --to-destination 192.168.50.53:20001"},
           {Platform::merlin, "-d 2400:3200::1 -p udp -j DNAT --to-destination [fd00:50::53]:20002"},
           {Platform::routeros,
            "dst-address=8.8.8.8 protocol=udp dst-port=53 action=dst-nat "
            "to-addresses=192.168.50.53 to-ports=20003"},
           {Platform::routeros,
            "dst-address=2400:3200::1 protocol=tcp dst-port=53 action=dst-nat "
            "to-address=fd00:50::53/128 to-ports=20002"},
           {Platform::edgeos, "set service nat rule 1002 inside-address port 20003"},
           {Platform::edgeos, "set service nat rule 1003 inbound-interface iot0"},
           {Platform::edgeos, "delete service nat rule 1004"}}) {
    CAPTURE(rule);
    const std::string text = router_text(platform, facts);
    CHECK(has(text, rule));
    for (const char* part :
         {"next hop, untouched", "via 192.168.50.53 dev", "mark-routing", "notrack", "modify DOLINE"})
      CHECK_FALSE(has(text, part));
  }
  for (const Platform platform : platforms) CHECK_FALSE(has(router_text(platform, router_facts()), "20001"));
  CHECK(has(router_text(Platform::unifi, router_facts()), "port_map: listed"));
  CHECK_FALSE(has(router_text(Platform::unifi, facts), "has no `redirect.port_map`"));
  // Hand-made rules by the hundred make no sense where the router can lead by next hop.
  for (const Platform platform : {Platform::opnsense, Platform::pfsense})
    CHECK(router_text(platform, facts) == router_text(platform, router_facts()));
}

TEST_CASE("EdgeOS has numbers for its rules, and not more than that") {
  RouterFacts facts = router_facts();
  for (std::uint16_t port = 20'000; port < 22'000; ++port)
    facts.port_map.push_back({port, IpAddress::v4(8, 8, static_cast<std::uint8_t>(port >> 8), port & 0xff)});
  CHECK(is_told(Platform::edgeos, facts, "numbers"));
  CHECK(find_problems(Platform::nftables, facts).empty());
  facts.port_map.resize(1'999);
  CHECK(find_problems(Platform::edgeos, facts).empty());
}

TEST_CASE(
    "This machine is the box: the address that lasts, the interface of the redirect, and the usual name of the LAN") {
  HostFacts machine = doline::tests::home_facts();
  machine.router = IpAddress::parse("192.168.50.1");
  InterfaceFacts& home = machine.interfaces[0];
  home.mac = *device::MacAddress::parse("b8:27:eb:00:50:53");
  home.addresses = {*IpAddress::parse("192.168.50.53"), *IpAddress::parse("2001:db8:50::53"),
                    *IpAddress::parse("fd00:50::53")};
  const RouterFacts facts = gather_router_facts(Platform::openwrt, home_options(Mode::remote), machine);
  CHECK(facts.box_v4 == IpAddress::parse("192.168.50.53"));
  CHECK(facts.box_v6 == IpAddress::parse("fd00:50::53"));
  CHECK(facts.box_mac == home.mac);
  CHECK(facts.interfaces == std::vector<std::string>{"br-lan"});
  CHECK(facts.networks == home.networks);
  CHECK(facts.router == machine.router);
  CHECK(find_problems(Platform::openwrt, facts).empty());
  CHECK(gather_router_facts(Platform::nftables, home_options(Mode::remote), machine).interfaces.empty());

  home.leads_out = true;
  CHECK(gather_router_facts(Platform::openwrt, Options{}, machine).box_v4 == IpAddress::parse("192.168.50.53"));
  home.leads_out = false;
  CHECK_FALSE(gather_router_facts(Platform::openwrt, Options{}, machine).box_v4.has_value());
}

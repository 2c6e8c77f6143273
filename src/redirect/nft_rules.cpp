#include "redirect/nft_rules.h"

#include <string_view>

#include "redirect/plan.h"
#include "redirect/rule_text.h"

namespace doline::redirect {

namespace {

/// What every chain of ours passes over: what does not come from the LAN, is not DNS, is exempt, or is meant for this
/// machine or for another device of the LAN (the route decides that, so it follows changing IPv6 prefixes).
std::string pass_over(const Options& options) {
  std::string rules = "    iifname != " + interfaces_of(options) + " return\n";
  rules += "    meta pkttype != host return\n";
  rules += "    meta l4proto != { tcp, udp } return\n";
  rules += "    th dport != " + port_set_of(options) + " return\n";
  if (!options.exempt.macs.empty())
    rules += "    ether saddr " +
             braces(options.exempt.macs, [](const device::MacAddress& mac) { return mac.to_string(); }) + " return\n";
  rules += return_for("saddr", options.exempt.clients);
  rules += "    fib daddr type != unicast return\n";
  rules += "    fib daddr oifname " + interfaces_of(options) + " return\n";
  rules += return_for("daddr", options.exempt.destinations);
  return rules;
}

struct Way {
  std::string_view nfproto, l4proto, counter, tproxy;
};
constexpr Way ways[] = {{"ipv4", "udp", "udp4", "ip to 127.0.0.153"},
                        {"ipv4", "tcp", "tcp4", "ip to 127.0.0.153"},
                        {"ipv6", "udp", "udp6", "ip6 to [::1]"},
                        {"ipv6", "tcp", "tcp6", "ip6 to [::1]"}};

std::string match(const Way& way) {
  return "    meta nfproto " + std::string(way.nfproto) + " meta l4proto " + std::string(way.l4proto);
}

/// Conntrack entries of the UDP that is brought home end after a second without a packet, so that a device which
/// retries from one port is not stuck to its old flow when the rules go. Answers slower than that still arrive. They
/// stand in the table that outlives the rules: with a timeout's end its flows would fall back to half a minute.
constexpr std::string_view short_timeouts = R"(  ct timeout dns4 {
    protocol udp
    l3proto ip
    policy = { unreplied : 1, replied : 1 }
  }
  ct timeout dns6 {
    protocol udp
    l3proto ip6
    policy = { unreplied : 1, replied : 1 }
  }
)";

std::string tproxy_chains(const Options& options) {
  const std::string mark = hexadecimal(options.kernel.mark);
  std::string rules = "  chain intercept {\n    type filter hook prerouting priority mangle\n    policy accept\n";
  rules += pass_over(options);
  for (const Way& way : ways)
    rules += match(way) + " tproxy " + std::string(way.tproxy) + " meta mark set meta mark & 0xffff0000 | " + mark +
             " counter name \"" + std::string(way.counter) + "\" accept\n";
  // Reached only where nobody listens on that port.
  rules += "    counter name \"unserved\"\n";
  if (options.on_failure == OnFailure::closed)
    rules += "    meta l4proto tcp reject with tcp reset\n    reject with icmpx type port-unreachable\n";
  rules += "  }\n";
  // A DNAT to the address it has anyway: whoever else redirects port 53 finds the mapping made.
  rules += "  chain guard {\n    type nat hook prerouting priority dstnat - 5\n    policy accept\n";
  for (const std::string_view family : {"ip", "ip6"})
    rules += "    meta mark & 0x0000ffff == " + mark + " meta nfproto " + (family == "ip" ? "ipv4" : "ipv6") +
             " dnat " + std::string(family) + " to " + std::string(family) + " daddr\n";
  return rules + "  }\n";
}

std::string nat_chains(const Options& options) {
  std::string rules = "  chain intercept {\n    type nat hook prerouting priority dstnat - 5\n    policy accept\n";
  rules += pass_over(options);
  for (const Way& way : ways)
    rules += match(way) + " counter name \"" + std::string(way.counter) +
             "\" redirect to :" + std::to_string(options.nat_port) + "\n";
  return rules + "  }\n";
}

/// DoT and DoQ by port, DoH by known address. A refusal at once makes clients fall back to plain DNS; TCP takes a reset
/// as such in IPv6 too, where a port-unreachable costs them a second.
std::string egress_chain(const Options& options) {
  std::string rules = "  chain egress {\n    type filter hook forward priority filter - 5\n    policy accept\n";
  rules += "    iifname != " + interfaces_of(options) + " return\n";
  rules += "    oifname " + interfaces_of(options) + " return\n";
  rules += "    ct state established,related return\n";
  rules += return_for_exempt(options);
  rules += "    tcp dport 853 counter name \"encrypted\" reject with tcp reset\n";
  rules += "    udp dport { 853, 8853 } counter name \"encrypted\" reject with icmpx type port-unreachable\n";
  for (const Family family : {Family::v4, Family::v6}) {
    if (of_family(options.doh_addresses, family).empty()) continue;
    const std::string known = family == Family::v4 ? "    ip daddr @doh4" : "    ip6 daddr @doh6";
    rules += known + " tcp dport 443 counter name \"encrypted\" reject with tcp reset\n";
    rules += known + " udp dport 443 counter name \"encrypted\" reject with icmpx type port-unreachable\n";
  }
  return rules + "  }\n";
}

}  // namespace

std::string nft_rules(const Options& options, TableLife life) {
  std::string script = "table inet doline {\n";
  if (life == TableLife::as_long_as_its_maker) script += "  flags owner\n";
  for (const Way& way : ways) script += "  counter " + std::string(way.counter) + " { }\n";
  if (options.mode == Mode::tproxy) script += "  counter unserved { }\n";
  if (options.encrypted == Encrypted::reject) script += "  counter encrypted { }\n" + doh_sets(options);
  script += options.mode == Mode::tproxy ? tproxy_chains(options) : nat_chains(options);
  if (options.encrypted == Encrypted::reject) script += egress_chain(options);
  return script + "}\n";
}

std::string nft_seen(const Options& options) {
  std::string script = "table inet doline_seen {\n";
  for (const std::string_view family : {"4", "6"})
    script += "  set seen" + std::string(family) + " {\n    type ether_addr . ipv" + std::string(family) +
              "_addr . inet_service\n    size 65536\n    flags dynamic,timeout\n    timeout 7d\n  }\n";
  script += short_timeouts;
  script += "  chain watch {\n    type filter hook prerouting priority mangle - 1\n    policy accept\n  }\n";
  script += "  chain shorten {\n    type filter hook prerouting priority mangle + 1\n    policy accept\n  }\n}\n";
  script += "flush chain inet doline_seen watch\nflush chain inet doline_seen shorten\n";
  script += "table inet doline_seen {\n  chain watch {\n" + pass_over(options);
  script += "    meta nfproto ipv4 update @seen4 { ether saddr . ip daddr . th dport counter }\n";
  script += "    meta nfproto ipv6 update @seen6 { ether saddr . ip6 daddr . th dport counter }\n  }\n";
  if (options.mode == Mode::tproxy) {
    script += "  chain shorten {\n";
    for (const std::string_view family : {"4", "6"})
      script += "    meta mark & 0x0000ffff == " + hexadecimal(options.kernel.mark) + " meta nfproto ipv" +
                std::string(family) + " meta l4proto udp ct state new ct timeout set \"dns" + std::string(family) +
                "\"\n";
    script += "  }\n";
  }
  return script + "}\n";
}

std::string on_one_line(const std::string& script) {
  std::string line;
  for (std::size_t begin = 0; begin < script.size();) {
    const std::size_t end = std::min(script.find('\n', begin), script.size());
    std::string_view statement(script.data() + begin, end - begin);
    statement.remove_prefix(std::min(statement.find_first_not_of(' '), statement.size()));
    if (!statement.empty() && statement.front() != '#') {
      line += statement;
      line += " ; ";
    }
    begin = end + 1;
  }
  return line;
}

}  // namespace doline::redirect

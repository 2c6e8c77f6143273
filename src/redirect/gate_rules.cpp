#include "redirect/gate_rules.h"

#include <string_view>

#include "redirect/rule_text.h"

namespace doline::redirect {

namespace {

using device::MacAddress;

/// Enough for a house of such devices; a set that is full admits nobody new, and that is counted.
constexpr std::string_view allowed_max = "65536", answered_doh_max = "4096";

std::string set_of(std::string_view name, std::string_view type, std::string_view more = "") {
  return "  set " + std::string(name) + " {\n    type " + std::string(type) + "\n" + std::string(more) + "  }\n";
}

std::string with_timeout(std::string_view size) {
  return "    size " + std::string(size) + "\n    flags timeout\n";
}

std::string sets() {
  std::string text;
  for (const std::string_view name : {"only_resolved", "observed", "may_encrypt", "must_not_encrypt"})
    text += set_of(name, "ether_addr");
  for (const std::string family : {"4", "6"}) {
    const std::string address = "ipv" + family + "_addr";
    text += set_of("allowed" + family, "ether_addr . " + address, with_timeout(allowed_max));
    text += set_of("doh" + family, address);
    text += set_of("answered_doh" + family, address, with_timeout(answered_doh_max));
  }
  return text + set_of("alive", "nf_proto", "    flags timeout\n");
}

template <class Values>
std::string refill(std::string_view set, const Values& values) {
  const std::string where = "inet doline_gate " + std::string(set);
  std::string text = "flush set " + where + "\n";
  if (!values.empty())
    text += "add element " + where + " " + braces(values, [](const auto& value) { return value.to_string(); }) + "\n";
  return text;
}

/// A refusal at once: clients of encrypted DNS fall back to plain DNS by it. TCP takes a reset as such in IPv6 too,
/// where a port-unreachable costs it a second.
std::string refuse(std::string_view match, std::string_view counter, std::string_view protocol) {
  return "    " + std::string(match) + " counter name \"" + std::string(counter) + "\" reject with " +
         (protocol == "tcp" ? "tcp reset" : "icmpx type port-unreachable") + "\n";
}

/// DoT and DoQ by port, DoH by known address.
std::string encrypted_chain(Encrypted otherwise) {
  std::string rules = "  chain encrypted {\n";
  if (otherwise == Encrypted::reject) rules += "    ether saddr @may_encrypt return\n";
  rules += refuse("tcp dport 853", "encrypted", "tcp") + refuse("udp dport { 853, 8853 }", "encrypted", "udp");
  for (const std::string_view set :
       {"ip daddr @doh4", "ip daddr @answered_doh4", "ip6 daddr @doh6", "ip6 daddr @answered_doh6"})
    for (const std::string_view protocol : {"tcp", "udp"})
      rules += refuse(std::string(set) + " " + std::string(protocol) + " dport 443", "encrypted", protocol);
  return rules + "  }\n";
}

constexpr std::string_view allowed =
    "    ether saddr . ip daddr @allowed4 return\n"
    "    ether saddr . ip6 daddr @allowed6 return\n";

std::string flow_chains() {
  return "  chain only_resolved {\n" + std::string(allowed) + refuse("meta l4proto tcp", "refused", "tcp") +
         refuse("meta l4proto != tcp", "refused", "udp") + "  }\n  chain observed {\n" + std::string(allowed) +
         "    counter name \"would_refuse\"\n  }\n";
}

/// Whom and what the gate concerns: what a device begins from the LAN to elsewhere. The route says what is elsewhere,
/// so the house's other networks and changing IPv6 prefixes are none; this machine itself is not passed through here.
std::string egress_chain(const Options& options, const Restrictions& restrictions, const std::vector<IpPrefix>& lan) {
  std::string rules = "  chain egress {\n    type filter hook forward priority filter - 5\n    policy accept\n";
  if (options.on_failure == OnFailure::open) rules += "    meta nfproto != @alive return\n";
  rules += "    iifname != " + interfaces_of(options) + " return\n";
  rules += return_for_lan(options, "oifname", lan);
  rules += "    ct state established,related return\n";
  rules += "    meta pkttype != host return\n";
  rules += return_for_exempt(options);
  // A frame without a MAC address (a tunnel's) is of none that is named.
  if (restrictions.hold_encrypted(options.encrypted))
    rules += options.encrypted == Encrypted::reject ? "    jump encrypted\n"
                                                    : "    ether saddr @must_not_encrypt jump encrypted\n";
  if (restrictions.hold_flows())
    rules += "    ether saddr @only_resolved goto only_resolved\n    ether saddr @observed goto observed\n";
  return rules + "  }\n";
}

}  // namespace

std::string nft_gate(const Options& options, const Restrictions& restrictions, const std::vector<IpPrefix>& lan) {
  const bool holds_encrypted = restrictions.hold_encrypted(options.encrypted);
  if (!holds_encrypted && !restrictions.hold_flows()) return {};
  std::string script = "table inet doline_gate {\n  counter encrypted { }\n  counter refused { }\n";
  script += "  counter would_refuse { }\n" + sets();
  for (const std::string_view chain : {"encrypted", "only_resolved", "observed"})
    script += "  chain " + std::string(chain) + " {\n  }\n";
  script += "  chain egress {\n    type filter hook forward priority filter - 5\n    policy accept\n  }\n}\n";
  script += nft_open_gate();
  script += refill("only_resolved", restrictions.only_resolved) + refill("observed", restrictions.observed);
  script += refill("may_encrypt", restrictions.may_encrypt) + refill("must_not_encrypt", restrictions.must_not_encrypt);
  script += refill("doh4", of_family(restrictions.doh_addresses, Family::v4));
  script += refill("doh6", of_family(restrictions.doh_addresses, Family::v6));
  script += "table inet doline_gate {\n";
  if (holds_encrypted) script += encrypted_chain(options.encrypted);
  if (restrictions.hold_flows()) script += flow_chains();
  return script + egress_chain(options, restrictions, lan) + "}\n";
}

std::string nft_open_gate() {
  std::string script;
  for (const std::string_view chain : {"egress", "encrypted", "only_resolved", "observed"})
    script += "flush chain inet doline_gate " + std::string(chain) + "\n";
  return script;
}

}  // namespace doline::redirect

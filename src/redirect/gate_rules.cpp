#include "redirect/gate_rules.h"

#include <string_view>
#include <utility>

#include "redirect/rule_text.h"
#include "redirect/watch_rules.h"

namespace doline::redirect {

namespace {

using device::MacAddress;

constexpr std::string_view refused_by_max = "4096", unexplained_max = "8192";

constexpr std::string_view gate_chains[] = {"log_encrypted", "encrypted", "refuse_encrypted", "only_resolved",
                                            "refuse_flow",   "observed",  "allowed",          "unexplained"};

std::string set_of(std::string_view name, std::string_view type, std::string_view more = "") {
  return "  set " + std::string(name) + " {\n    type " + std::string(type) + "\n" + std::string(more) + "  }\n";
}

std::string with_timeout(std::string_view size) {
  return "    size " + std::string(size) + "\n    flags timeout\n";
}

/// Of elements that rules add, each with a counter.
std::string counting(std::string_view size, std::string_view timeout) {
  return "    size " + std::string(size) + "\n    flags dynamic,timeout\n    timeout " + std::string(timeout) + "\n";
}

std::string sets() {
  std::string text;
  for (const std::string_view name : {"only_resolved", "observed", "may_encrypt", "must_not_encrypt", "log_encrypted"})
    text += set_of(name, "ether_addr");
  for (const std::string_view name : {"refused_by", "would_refuse_by", "encrypted_by"})
    text += set_of(name, "ether_addr", counting(refused_by_max, "7d"));
  for (const std::string family : {"4", "6"}) {
    const std::string address = "ipv" + family + "_addr";
    text += set_of("allowed" + family, "ether_addr . " + address, with_timeout(std::to_string(gate_allowed_max)));
    text += set_of("unexplained" + family, "ether_addr . " + address + " . inet_proto . inet_service",
                   counting(unexplained_max, "1h"));
    text += set_of("doh_servers" + family, address, "    flags interval\n");
    text += set_of("answered_doh" + family, address, with_timeout(std::to_string(gate_answered_doh_max)));
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

std::string chain_of(std::string_view name, const std::string& rules) {
  return "  chain " + std::string(name) + " {\n" + rules + "  }\n";
}

/// A refusal at once: clients of encrypted DNS fall back to plain DNS by it. TCP takes a reset as such in IPv6 too,
/// where a port-unreachable costs it a second. Told where connections are watched.
std::string refuse(std::string_view counter, std::string_view by_mac, const Options& options) {
  const std::string told = logs_encrypted(options)
                               ? "    " + log_statement(LoggedBy::refused, connection_octets_logged, options) + "\n"
                               : "";
  return "    update @" + std::string(by_mac) + " { ether saddr counter }\n    counter name \"" + std::string(counter) +
         "\"\n" + told + "    meta l4proto tcp reject with tcp reset\n    reject with icmpx type port-unreachable\n";
}

/// DoT and DoQ by port, DoH by known address or network.
std::string for_encrypted(const std::string& statement) {
  std::string rules;
  for (const char* match : {"tcp dport 853", "udp dport { 853, 8853 }"})
    rules += "    " + std::string(match) + " " + statement + "\n";
  for (const char* set :
       {"ip daddr @doh_servers4", "ip daddr @answered_doh4", "ip6 daddr @doh_servers6", "ip6 daddr @answered_doh6"})
    rules += "    " + std::string(set) + " meta l4proto { tcp, udp } th dport 443 " + statement + "\n";
  return rules;
}

std::string encrypted_chains(const Options& options) {
  const std::string spared = options.encrypted == Encrypted::reject ? "    ether saddr @may_encrypt return\n" : "";
  return chain_of("encrypted", spared + for_encrypted("goto refuse_encrypted")) +
         chain_of("refuse_encrypted", refuse("encrypted", "encrypted_by", options));
}

/// Of a connection its first packet, as in watch_rules.h.
std::string log_chain(const Options& options) {
  return chain_of(
      "log_encrypted",
      "    ct original packets > 1 return\n" +
          for_encrypted(log_statement(LoggedBy::encrypted_dns, connection_octets_logged, options) + " return"));
}

/// What locks allow; no other rule is asked then.
std::string allowed_chain(const std::vector<Allowance>& allowances) {
  std::string rules;
  for (const Allowance& allowance : allowances) {
    const std::string macs = braces(allowance.macs, [](const MacAddress& mac) { return mac.to_string(); });
    for (const AllowedFlow& flow : allowance.flows) {
      rules += "    ether saddr " + macs + (flow.network.address().is_v4() ? " ip" : " ip6") + " daddr " +
               flow.network.to_string();
      if (flow.protocol != 0) rules += " meta l4proto " + std::to_string(flow.protocol);
      if (flow.port != 0) rules += " th dport " + std::to_string(flow.port);
      rules += " accept\n";
    }
  }
  return chain_of("allowed", rules);
}

std::string flow_chains(const Options& options, const std::vector<Allowance>& allowances) {
  const std::string explained =
      "    ether saddr . ip daddr @allowed4 return\n"
      "    ether saddr . ip6 daddr @allowed6 return\n"
      "    jump allowed\n"
      "    jump unexplained\n";
  std::string noted;
  for (const auto& [family, field] : {std::pair("4", "ip"), std::pair("6", "ip6")})
    noted += std::string("    meta nfproto ipv") + family + " meta l4proto { tcp, udp, sctp } update @unexplained" +
             family + " { ether saddr . " + field + " daddr . meta l4proto . th dport counter }\n";
  return allowed_chain(allowances) + chain_of("unexplained", noted) +
         chain_of("only_resolved", explained + "    goto refuse_flow\n") +
         chain_of("refuse_flow", refuse("refused", "refused_by", options)) +
         chain_of("observed", explained +
                                  "    update @would_refuse_by { ether saddr counter }\n"
                                  "    counter name \"would_refuse\"\n");
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
  if (gate_logs(options, restrictions)) rules += "    ether saddr @log_encrypted jump log_encrypted\n";
  if (restrictions.hold_encrypted(options.encrypted))
    rules += options.encrypted == Encrypted::reject ? "    jump encrypted\n"
                                                    : "    ether saddr @must_not_encrypt jump encrypted\n";
  if (restrictions.hold_flows())
    rules += "    ether saddr @only_resolved goto only_resolved\n    ether saddr @observed goto observed\n";
  return rules + "  }\n";
}

}  // namespace

bool gate_logs(const Options& options, const Restrictions& restrictions) {
  return !restrictions.log_encrypted.empty() && !logs_encrypted(options);
}

std::string nft_gate(const Options& options, const Restrictions& restrictions, const std::vector<IpPrefix>& lan) {
  const bool holds_encrypted = restrictions.hold_encrypted(options.encrypted);
  const bool logs = gate_logs(options, restrictions);
  if (!holds_encrypted && !logs && !restrictions.hold_flows()) return {};
  std::string script = "table inet doline_gate {\n  counter encrypted { }\n  counter refused { }\n";
  script += "  counter would_refuse { }\n" + sets();
  for (const std::string_view chain : gate_chains) script += chain_of(chain, "");
  script += "  chain egress {\n    type filter hook forward priority filter - 5\n    policy accept\n  }\n}\n";
  script += nft_open_gate();
  script += refill("only_resolved", restrictions.only_resolved) + refill("observed", restrictions.observed);
  script += refill("may_encrypt", restrictions.may_encrypt) + refill("must_not_encrypt", restrictions.must_not_encrypt);
  script += refill("log_encrypted", restrictions.log_encrypted);
  script += refill("doh_servers4", of_family(restrictions.doh_networks, Family::v4));
  script += refill("doh_servers6", of_family(restrictions.doh_networks, Family::v6));
  script += "flush set inet doline_gate unexplained4\nflush set inet doline_gate unexplained6\n";
  script += "table inet doline_gate {\n";
  if (logs) script += log_chain(options);
  if (holds_encrypted) script += encrypted_chains(options);
  if (restrictions.hold_flows()) script += flow_chains(options, restrictions.allowances);
  return script + egress_chain(options, restrictions, lan) + "}\n";
}

std::string nft_open_gate() {
  std::string script = "flush chain inet doline_gate egress\n";
  for (const std::string_view chain : gate_chains) {
    const std::string where = "chain inet doline_gate " + std::string(chain) + "\n";
    script += "add " + where + "flush " + where;  // a table that an earlier Doline left may lack it
  }
  return script;
}

}  // namespace doline::redirect

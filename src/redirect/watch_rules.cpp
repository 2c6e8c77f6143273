#include "redirect/watch_rules.h"

#include <array>
#include <utility>

#include "redirect/rule_text.h"

namespace doline::redirect {

namespace {

constexpr std::array<std::pair<LoggedBy, std::string_view>, 6> prefixes{{
    {LoggedBy::connection, "doline connection"},
    {LoggedBy::plain_dns, "doline plain-dns"},
    {LoggedBy::encrypted_dns, "doline encrypted-dns"},
    {LoggedBy::query, "doline query"},
    {LoggedBy::https, "doline https"},
    {LoggedBy::refused, "doline refused"},
}};

/// The kernel hands packets over in lots of so many, or after a hundredth of a second.
constexpr std::string_view lot = "64";

std::string chain(std::string_view name, const Options& options, const std::vector<IpPrefix>& lan) {
  return "  chain " + std::string(name) +
         " {\n    type filter hook forward priority filter - 20\n    policy accept\n"
         "    iifname != " +
         interfaces_of(options) + " return\n" + return_for_lan(options, "oifname", lan);
}

/// UDP: each packet is a query. TCP: the packets that push what they carry, which queries do.
std::string query_chain(const Options& options) {
  std::string rules = chain("queries", options, {});
  rules += "    meta l4proto != { tcp, udp } return\n    th dport != " + port_set_of(options) + " return\n";
  rules += return_for_exempt(options);
  const std::string logs = log_statement(LoggedBy::query, query_octets_logged, options);
  rules += "    meta l4proto udp " + logs + "\n";
  return rules + "    tcp flags & psh == psh " + logs + "\n  }\n";
}

std::string connection_chain(const Options& options, const std::vector<IpPrefix>& doh_networks,
                             const std::vector<IpPrefix>& lan) {
  std::string rules = chain("connections", options, lan);
  // Until somebody answers, every packet of a connection is new: the first is the one that conntrack counts first.
  rules += "    ct state != new return\n    ct original packets > 1 return\n";
  const auto add = [&](const std::string& match, LoggedBy rule) {
    rules += "    " + match + log_statement(rule, connection_octets_logged, options) + " return\n";
  };
  add("tcp dport 853 ", LoggedBy::encrypted_dns);
  add("udp dport { 853, 8853 } ", LoggedBy::encrypted_dns);
  for (const Family family : {Family::v4, Family::v6}) {
    if (of_family(doh_networks, family).empty()) continue;
    const std::string known = family == Family::v4 ? "ip daddr @doh_servers4 " : "ip6 daddr @doh_servers6 ";
    for (const std::string_view protocol : {"tcp", "udp"})
      add(known + std::string(protocol) + " dport 443 ", LoggedBy::encrypted_dns);
  }
  if (!options.watch) {
    for (const std::string_view protocol : {"tcp", "udp"}) add(std::string(protocol) + " dport 443 ", LoggedBy::https);
    return rules + "  }\n";
  }
  for (const std::string_view protocol : {"tcp", "udp"})
    add(std::string(protocol) + " dport " + port_set_of(options) + ' ', LoggedBy::plain_dns);
  add("", LoggedBy::connection);
  return rules + "  }\n";
}

}  // namespace

std::string log_statement(LoggedBy rule, std::size_t octets, const Options& options) {
  return "log prefix \"" + std::string(prefix_of(rule)) + "\" group " + std::to_string(options.kernel.nflog_group) +
         " snaplen " + std::to_string(octets) + " queue-threshold " + std::string(lot);
}

bool logs_encrypted(const Options& options) {
  return options.watch || options.encrypted == Encrypted::log;
}

std::string_view prefix_of(LoggedBy rule) {
  for (const auto& [known, prefix] : prefixes)
    if (known == rule) return prefix;
  return {};
}

std::optional<LoggedBy> parse_prefix(std::string_view prefix) {
  for (const auto& [rule, known] : prefixes)
    if (known == prefix) return rule;
  return std::nullopt;
}

bool asks_to_watch(const Options& options) {
  return logs_encrypted(options) || options.mode == Mode::audit;
}

std::string nft_watch(const Options& options, TableLife life, const std::vector<IpPrefix>& doh_networks,
                      const std::vector<IpPrefix>& lan) {
  if (!asks_to_watch(options)) return {};
  std::string script = "table inet doline_watch {\n";
  if (life == TableLife::as_long_as_its_maker) script += "  flags owner\n";
  const bool logs_connections = logs_encrypted(options);
  if (logs_connections) script += doh_sets(doh_networks);
  if (options.mode == Mode::audit) script += query_chain(options);
  if (logs_connections) script += connection_chain(options, doh_networks, lan);
  return script + "}\n";
}

}  // namespace doline::redirect

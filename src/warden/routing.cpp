#include "warden/routing.h"

#include <linux/fib_rules.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <set>
#include <utility>

namespace doline::warden {

namespace {

using redirect::Family;
using redirect::RouteStep;
using redirect::RuleStep;

constexpr std::uint32_t mark_mask = 0xffff;

std::uint8_t number_of(Family family) {
  return family == Family::v4 ? AF_INET : AF_INET6;
}

/// A header has room for tables up to 255; the attribute says the truth.
std::uint8_t table_in_header(std::uint32_t table) {
  return static_cast<std::uint8_t>(table < 256 ? table : std::uint32_t{RT_TABLE_UNSPEC});
}

NetlinkMessage message_for(const RuleStep& step, std::uint16_t type, std::uint16_t flags) {
  NetlinkMessage message(type, static_cast<std::uint16_t>(NLM_F_ACK | flags));
  auto& header = message.header<fib_rule_hdr>();
  header.family = number_of(step.family);
  header.action = FR_ACT_TO_TBL;
  header.table = table_in_header(step.table);
  message.integer(FRA_TABLE, step.table);
  message.integer(FRA_PRIORITY, step.table);
  if (!step.interface.empty()) message.text(FRA_IIFNAME, step.interface.c_str());
  message.integer(FRA_FWMARK, std::uint32_t{step.mark});
  message.integer(FRA_FWMASK, mark_mask);
  return message;
}

NetlinkMessage message_for(const RouteStep& step, std::uint16_t type, std::uint16_t flags) {
  NetlinkMessage message(type, static_cast<std::uint16_t>(NLM_F_ACK | flags));
  auto& header = message.header<rtmsg>();
  header.rtm_family = number_of(step.family);
  header.rtm_table = table_in_header(step.table);
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_HOST;
  header.rtm_type = RTN_LOCAL;
  message.integer(RTA_TABLE, step.table);
  message.integer(RTA_OIF, if_nametoindex("lo"));
  return message;
}

/// `asked`, where the kernel saying one of `harmless` is as good as done.
Result<void, NetlinkFault> unless(Result<void, NetlinkFault> asked, std::initializer_list<int> harmless) {
  if (!asked && std::find(harmless.begin(), harmless.end(), asked.error().error) != harmless.end()) return {};
  return asked;
}

std::uint32_t native_32(const nlattr& attribute) {
  std::uint32_t value = 0;
  const auto octets = octets_of(attribute);
  if (octets.size() == sizeof value) std::memcpy(&value, octets.data(), sizeof value);
  return value;
}

}  // namespace

Result<void, NetlinkFault> Routing::add(const RuleStep& step) {
  auto message = message_for(step, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  return unless(netlink_.ask(message), {EEXIST});
}

Result<void, NetlinkFault> Routing::add(const RouteStep& step) {
  auto message = message_for(step, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  return unless(netlink_.ask(message), {EEXIST});
}

Result<void, NetlinkFault> Routing::remove(const RuleStep& step) {
  auto message = message_for(step, RTM_DELRULE, 0);
  return unless(netlink_.ask(message), {ENOENT});
}

Result<void, NetlinkFault> Routing::remove(const RouteStep& step) {
  auto message = message_for(step, RTM_DELROUTE, 0);
  return unless(netlink_.ask(message), {ESRCH, ENOENT});
}

std::vector<RuleStep> Routing::missing_of(std::vector<RuleStep> steps) {
  if (steps.empty()) return {};
  const auto there = rules_of({.mark = steps.front().mark, .table = steps.front().table});
  return without(std::move(steps), there);
}

std::vector<RouteStep> Routing::missing_of(std::vector<RouteStep> steps) {
  if (steps.empty()) return {};
  const auto there = routes_of({.table = steps.front().table});
  return without(std::move(steps), there);
}

bool Routing::is_ours(const Rule& rule, const redirect::Kernel& kernel) {
  return rule.table == kernel.table && rule.mark == kernel.mark && rule.mask == mark_mask && !rule.is_for_some;
}

std::vector<RuleStep> Routing::rules_of(const redirect::Kernel& kernel) {
  std::vector<RuleStep> found;
  for (const Rule& rule : all_rules())
    if (is_ours(rule, kernel))
      found.push_back({.family = rule.family, .interface = rule.interface, .mark = kernel.mark, .table = kernel.table});
  return found;
}

std::vector<RouteStep> Routing::routes_of(const redirect::Kernel& kernel) {
  std::vector<RouteStep> found;
  each_route([&](Family family, std::uint32_t table, const rtmsg& header) {
    if (table == kernel.table && header.rtm_type == RTN_LOCAL && header.rtm_dst_len == 0)
      found.push_back({.family = family, .table = table});
  });
  return found;
}

std::vector<std::string> Routing::find_clashes(const redirect::Kernel& kernel) {
  std::vector<std::string> found;
  const std::string our_table = std::to_string(kernel.table);
  std::set<std::pair<Family, std::uint32_t>> with_default;
  bool has_strangers = false;
  each_route([&](Family family, std::uint32_t table, const rtmsg& header) {
    if (header.rtm_dst_len == 0) with_default.emplace(family, table);
    // Older Dolines made routes of the type `throw` there, which harm nobody.
    has_strangers |= table == kernel.table && header.rtm_type != RTN_LOCAL && header.rtm_type != RTN_THROW;
  });
  if (has_strangers)
    found.push_back("Table " + our_table +
                    " has routes of somebody else. Cure: another `redirect: {kernel: {table: ...}}`.");
  for (const Rule& rule : all_rules()) {
    if (is_ours(rule, kernel)) continue;
    const std::string what = "The policy rule with preference " + std::to_string(rule.preference) + " (" +
                             (rule.family == Family::v4 ? "IPv4" : "IPv6") + ", to table " +
                             std::to_string(rule.table) + ")";
    if (rule.table == kernel.table)
      found.push_back(what +
                      " leads others to Doline's table, and so to this machine. Cure: another `redirect: "
                      "{kernel: {table: ...}}`.");
    // The kernel's own table of local addresses is asked first, and has no default route.
    else if (rule.preference < kernel.table && !rule.is_for_some && rule.interface.empty() &&
             (kernel.mark & rule.mask) == rule.mark && with_default.contains({rule.family, rule.table}))
      found.push_back(what +
                      " is asked before Doline's and has a way for everything: what is caught leaves by it. "
                      "Cure: `redirect: {kernel: {table: ...}}` below " +
                      std::to_string(rule.preference) + (rule.mask != 0 ? ", or another mark." : "."));
  }
  return found;
}

std::vector<Routing::Rule> Routing::all_rules() {
  std::vector<Rule> found;
  for (const Family family : {Family::v4, Family::v6}) {
    NetlinkMessage dump(RTM_GETRULE, NLM_F_DUMP);
    dump.header<fib_rule_hdr>().family = number_of(family);
    static_cast<void>(netlink_.ask(dump, [&](const nlmsghdr& reply) {
      const auto& header = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(&reply));
      Rule rule;
      rule.family = family;
      rule.table = header.table;
      rule.is_for_some = header.src_len > 0 || header.dst_len > 0 || (header.flags & FIB_RULE_INVERT) != 0;
      each_attribute(reply, sizeof(fib_rule_hdr), [&](const nlattr& attribute) {
        switch (mnl_attr_get_type(&attribute)) {
          case FRA_TABLE:
            rule.table = native_32(attribute);
            break;
          case FRA_PRIORITY:
            rule.preference = native_32(attribute);
            break;
          case FRA_FWMARK:
            rule.mark = native_32(attribute);
            break;
          case FRA_FWMASK:
            rule.mask = native_32(attribute);
            break;
          case FRA_IIFNAME:
            rule.interface = mnl_attr_get_str(&attribute);
            break;
          case FRA_OIFNAME:
          case FRA_UID_RANGE:
          case FRA_IP_PROTO:
          case FRA_SPORT_RANGE:
          case FRA_DPORT_RANGE:
            rule.is_for_some = true;
            break;
          default:
            break;
        }
      });
      if (header.action == FR_ACT_TO_TBL) found.push_back(rule);
    }));
  }
  return found;
}

void Routing::each_route(const std::function<void(Family, std::uint32_t table, const rtmsg&)>& see) {
  for (const Family family : {Family::v4, Family::v6}) {
    NetlinkMessage dump(RTM_GETROUTE, NLM_F_DUMP);
    dump.header<rtmsg>().rtm_family = number_of(family);
    static_cast<void>(netlink_.ask(dump, [&](const nlmsghdr& reply) {
      const auto& header = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&reply));
      std::uint32_t table = header.rtm_table;
      each_attribute(reply, sizeof(rtmsg), [&](const nlattr& attribute) {
        if (mnl_attr_get_type(&attribute) == RTA_TABLE) table = native_32(attribute);
      });
      see(family, table, header);
    }));
  }
}

}  // namespace doline::warden

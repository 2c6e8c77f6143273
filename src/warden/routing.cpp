#include "warden/routing.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>

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
  message.integer(FRA_FWMARK, std::uint32_t{step.mark});
  message.integer(FRA_FWMASK, mark_mask);
  return message;
}

NetlinkMessage message_for(const RouteStep& step, std::uint16_t type, std::uint16_t flags) {
  NetlinkMessage message(type, static_cast<std::uint16_t>(NLM_F_ACK | flags));
  const bool is_local = step.kind == RouteStep::Kind::local_default;
  auto& header = message.header<rtmsg>();
  header.rtm_family = number_of(step.family);
  header.rtm_dst_len = static_cast<std::uint8_t>(is_local ? 0 : step.prefix.length());
  header.rtm_table = table_in_header(step.table);
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = is_local ? std::uint8_t{RT_SCOPE_HOST} : std::uint8_t{RT_SCOPE_UNIVERSE};
  header.rtm_type = is_local ? RTN_LOCAL : RTN_THROW;
  message.integer(RTA_TABLE, step.table);
  if (is_local)
    message.integer(RTA_OIF, if_nametoindex("lo"));
  else
    message.attribute(RTA_DST, step.prefix.address().octets());
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

bool Routing::has(const RuleStep& step) {
  NetlinkMessage dump(RTM_GETRULE, NLM_F_DUMP);
  dump.header<fib_rule_hdr>().family = number_of(step.family);
  bool found = false;
  const auto asked = netlink_.ask(dump, [&](const nlmsghdr& reply) {
    std::uint32_t table = 0, mark = 0, mask = 0;
    each_attribute(reply, sizeof(fib_rule_hdr), [&](const nlattr& attribute) {
      switch (mnl_attr_get_type(&attribute)) {
        case FRA_TABLE:
          table = native_32(attribute);
          break;
        case FRA_FWMARK:
          mark = native_32(attribute);
          break;
        case FRA_FWMASK:
          mask = native_32(attribute);
          break;
        default:
          break;
      }
    });
    found |= table == step.table && mark == step.mark && mask == mark_mask;
  });
  return asked && found;
}

bool Routing::has(const RouteStep& step) {
  NetlinkMessage dump(RTM_GETROUTE, NLM_F_DUMP);
  dump.header<rtmsg>().rtm_family = number_of(step.family);
  const bool is_local = step.kind == RouteStep::Kind::local_default;
  bool found = false;
  const auto asked = netlink_.ask(dump, [&](const nlmsghdr& reply) {
    const auto& header = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&reply));
    std::uint32_t table = header.rtm_table;
    IpPrefix prefix;
    each_attribute(reply, sizeof(rtmsg), [&](const nlattr& attribute) {
      const auto octets = octets_of(attribute);
      if (mnl_attr_get_type(&attribute) == RTA_TABLE) table = native_32(attribute);
      if (mnl_attr_get_type(&attribute) == RTA_DST && (octets.size() == 4 || octets.size() == 16)) {
        const IpAddress address = IpAddress::from_octets(octets);
        prefix = IpPrefix(address, std::min<int>(header.rtm_dst_len, address.is_v4() ? 32 : 128));
      }
    });
    if (table != step.table) return;
    found |= is_local ? header.rtm_type == RTN_LOCAL && header.rtm_dst_len == 0
                      : header.rtm_type == RTN_THROW && prefix == step.prefix;
  });
  return asked && found;
}

}  // namespace doline::warden

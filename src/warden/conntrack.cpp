#include "warden/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <vector>

#include "redirect/host_facts.h"
#include "warden/tuple.h"

namespace doline::warden {

namespace {

constexpr std::uint16_t conntrack_type(int message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message);
}

std::uint8_t family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

void write_tuple(NetlinkMessage& message, std::uint16_t which, const Tuple& tuple) {
  const bool is_v4 = tuple.source.address.is_v4();
  message.nest(which, [&] {
    message.nest(CTA_TUPLE_IP, [&] {
      message.attribute(is_v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source.address.octets());
      message.attribute(is_v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination.address.octets());
    });
    message.nest(CTA_TUPLE_PROTO, [&] {
      message.integer(CTA_PROTO_NUM, tuple.protocol);
      message.integer(CTA_PROTO_SRC_PORT, htons(tuple.source.port));
      message.integer(CTA_PROTO_DST_PORT, htons(tuple.destination.port));
    });
  });
}

struct Flow {
  Tuple original, reply;
  std::uint32_t id = 0;               // as the kernel wrote it
  std::optional<std::uint16_t> zone;  // likewise
};

}  // namespace

std::optional<Endpoint> Conntrack::origin_of(const redirect::OriginQuestion& question) {
  if (question.client.address.is_v4() != question.local.address.is_v4()) return std::nullopt;
  NetlinkMessage message(conntrack_type(IPCTNL_MSG_CT_GET), 0);
  message.header<nfgenmsg>().nfgen_family = family_of(question.client.address);
  const std::uint8_t protocol = question.protocol == redirect::Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
  write_tuple(message, CTA_TUPLE_REPLY,
              {.protocol = protocol, .source = question.local, .destination = question.client});
  std::optional<Endpoint> origin;
  const auto asked = netlink_.ask(message, [&](const nlmsghdr& reply) {
    each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == CTA_TUPLE_ORIG) origin = read_tuple(attribute).destination;
    });
  });
  return asked ? origin : std::nullopt;
}

Result<std::size_t, NetlinkFault> Conntrack::forget(std::span<const std::uint16_t> ports, Which which,
                                                    std::uint16_t nat_port) {
  const std::vector<IpAddress> ours = redirect::local_addresses();
  auto is_ours = [&](const IpAddress& address) { return std::binary_search(ours.begin(), ours.end(), address); };
  auto is_redirected = [&](const Flow& flow) {
    return flow.reply.source.port == nat_port && is_ours(flow.reply.source.address);
  };
  auto is_of_ports = [&](const Endpoint& endpoint) {
    return std::find(ports.begin(), ports.end(), endpoint.port) != ports.end();
  };
  std::size_t forgotten = 0;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    std::vector<Flow> flows;
    NetlinkMessage dump(conntrack_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP);
    dump.header<nfgenmsg>().nfgen_family = family;
    const auto dumped = netlink_.ask(dump, [&](const nlmsghdr& reply) {
      Flow flow;
      each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
        const auto octets = octets_of(attribute);
        switch (mnl_attr_get_type(&attribute)) {
          case CTA_TUPLE_ORIG:
            flow.original = read_tuple(attribute);
            break;
          case CTA_TUPLE_REPLY:
            flow.reply = read_tuple(attribute);
            break;
          case CTA_ID:
            if (octets.size() == sizeof flow.id) std::memcpy(&flow.id, octets.data(), sizeof flow.id);
            break;
          case CTA_ZONE:
            if (octets.size() == sizeof(std::uint16_t)) std::memcpy(&flow.zone.emplace(), octets.data(), 2);
            break;
          default:
            break;
        }
      });
      const Tuple& original = flow.original;
      if ((original.protocol != IPPROTO_UDP && original.protocol != IPPROTO_TCP) || is_ours(original.source.address) ||
          is_ours(original.destination.address))
        return;
      const bool is_wanted = which == Which::all || is_redirected(flow) == (which == Which::redirected);
      if (is_of_ports(original.source) || (is_of_ports(original.destination) && is_wanted)) flows.push_back(flow);
    });
    if (!dumped) return fail(dumped.error());
    for (const Flow& flow : flows) {
      NetlinkMessage removal(conntrack_type(IPCTNL_MSG_CT_DELETE), NLM_F_ACK);
      removal.header<nfgenmsg>().nfgen_family = family;
      write_tuple(removal, CTA_TUPLE_ORIG, flow.original);
      removal.integer(CTA_ID, flow.id);
      if (flow.zone) removal.integer(CTA_ZONE, *flow.zone);
      // One that ended meanwhile is as good.
      if (netlink_.ask(removal)) ++forgotten;
    }
  }
  return forgotten;
}

}  // namespace doline::warden

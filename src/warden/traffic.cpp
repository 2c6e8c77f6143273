#include "warden/traffic.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "redirect/host_facts.h"
#include "warden/tuple.h"

namespace doline::warden {

namespace {

constexpr std::size_t read_octets_max = 64 * 1024;
constexpr int reads_at_once = 256;
constexpr int events_buffer_octets = 4 << 20;

void count(const nlattr& nest, std::uint64_t& packets, std::uint64_t& octets) {
  each_attribute(nest, [&](const nlattr& field) {
    if (mnl_attr_get_type(&field) == CTA_COUNTERS_PACKETS) packets = big_endian(field);
    if (mnl_attr_get_type(&field) == CTA_COUNTERS_BYTES) octets = big_endian(field);
  });
}

}  // namespace

TrafficMeter::TrafficMeter(mnl_socket* socket)
    : socket_(socket), netlink_(NETLINK_NETFILTER), ours_(redirect::local_addresses()), buffer_(read_octets_max) {}

TrafficMeter::~TrafficMeter() {
  mnl_socket_close(socket_);
}

Result<std::unique_ptr<TrafficMeter>, NetlinkFault> TrafficMeter::open() {
  mnl_socket* const socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket == nullptr) return fail(NetlinkFault{errno});
  std::unique_ptr<TrafficMeter> meter(new TrafficMeter(socket));
  if (mnl_socket_bind(socket, NF_NETLINK_CONNTRACK_DESTROY, MNL_SOCKET_AUTOPID) < 0) return fail(NetlinkFault{errno});
  setsockopt(meter->descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &events_buffer_octets, sizeof events_buffer_octets);
  return meter;
}

void TrafficMeter::read(const See& see) {
  for (int reads = 0; reads < reads_at_once; ++reads) {
    const ssize_t size = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    // What was dropped is a flow of whose end we do not know: it keeps what the last asking told.
    if (size < 0 && errno == ENOBUFS) continue;
    if (size <= 0) return;
    int left = static_cast<int>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left))
      if (message->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)) take(*message, true, see);
  }
}

Result<void, NetlinkFault> TrafficMeter::ask(const See& see) {
  ours_ = redirect::local_addresses();
  NetlinkMessage dump(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET), NLM_F_DUMP);
  dump.header<nfgenmsg>().nfgen_family = AF_UNSPEC;
  return netlink_.ask(dump, [&](const nlmsghdr& reply) { take(reply, false, see); });
}

void TrafficMeter::take(const nlmsghdr& message, bool has_ended, const See& see) const {
  Tuple original;
  flows::Traffic traffic;
  each_attribute(message, sizeof(nfgenmsg), [&](const nlattr& attribute) {
    switch (mnl_attr_get_type(&attribute)) {
      case CTA_TUPLE_ORIG:
        original = read_tuple(attribute);
        break;
      case CTA_COUNTERS_ORIG:
        count(attribute, traffic.packets_out, traffic.octets_out);
        break;
      case CTA_COUNTERS_REPLY:
        count(attribute, traffic.packets_in, traffic.octets_in);
        break;
      default:
        break;
    }
  });
  if (traffic.packets_out == 0 || std::binary_search(ours_.begin(), ours_.end(), original.source.address)) return;
  see({{original.protocol, original.source, original.destination}, traffic, has_ended});
}

}  // namespace doline::warden

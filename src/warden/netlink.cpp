#include "warden/netlink.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace doline::warden {

namespace {

/// The kernel fills at most 32 KiB of a dump at once (NLMSG_GOODSIZE and skb limits).
constexpr std::size_t reply_octets_max = 64 * 1024;
constexpr timeval patience{2, 0};

}  // namespace

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags, std::size_t octets_max) : octets_(octets_max) {
  nlmsghdr* const header = mnl_nlmsg_put_header(octets_.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

void NetlinkMessage::attribute(std::uint16_t type, std::span<const std::uint8_t> octets) {
  mnl_attr_put(get(), type, octets.size(), octets.data());
}

void NetlinkMessage::text(std::uint16_t type, const char* text) {
  mnl_attr_put_strz(get(), type, text);
}

void NetlinkMessage::nest(std::uint16_t type, const std::function<void()>& fill) {
  nlattr* const begin = mnl_attr_nest_start(get(), type);
  fill();
  mnl_attr_nest_end(get(), begin);
}

Netlink::Netlink(int bus) : buffer_(reply_octets_max) {
  socket_ = mnl_socket_open2(bus, SOCK_CLOEXEC);
  if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
    error_ = errno;
    return;
  }
  setsockopt(mnl_socket_get_fd(socket_), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

Netlink::~Netlink() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

Result<void, NetlinkFault> Netlink::ask(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& see) {
  if (error_ != 0) return fail(NetlinkFault{error_});
  nlmsghdr* const request = message.get();
  request->nlmsg_seq = ++sequence_;
  const bool is_open_ended = (request->nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)) != 0;
  if (mnl_socket_sendto(socket_, request, request->nlmsg_len) < 0) return fail(NetlinkFault{errno});

  auto call = [](const nlmsghdr* reply, void* closure) {
    const auto& seen = *static_cast<const std::function<void(const nlmsghdr&)>*>(closure);
    if (seen) seen(*reply);
    return MNL_CB_OK;
  };
  for (;;) {
    const ssize_t size = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    if (size < 0) return fail(NetlinkFault{errno});
    // A reply that came too late for its question is not this one's.
    if (static_cast<std::size_t>(size) >= sizeof(nlmsghdr) &&
        reinterpret_cast<const nlmsghdr*>(buffer_.data())->nlmsg_seq != sequence_)
      continue;
    const int more =
        mnl_cb_run(buffer_.data(), static_cast<std::size_t>(size), sequence_, mnl_socket_get_portid(socket_), call,
                   const_cast<void*>(static_cast<const void*>(&see)));
    if (more == MNL_CB_ERROR) return fail(NetlinkFault{errno});
    if (more == MNL_CB_STOP || !is_open_ended) return {};
  }
}

namespace {

NetlinkMessage batch_mark(int type) {
  NetlinkMessage mark(static_cast<std::uint16_t>(type), 0);
  mark.header<nfgenmsg>().res_id = htons(NFNL_SUBSYS_NFTABLES);
  return mark;
}

/// What the kernel says of the message with this number, or of any from `first` to it that it refuses: an errno, 0 for
/// the acknowledgement. Nothing: it speaks of others.
std::optional<int> verdict_on(const nlmsghdr& reply, std::uint32_t first, std::uint32_t last) {
  if (reply.nlmsg_type != NLMSG_ERROR || reply.nlmsg_seq < first || reply.nlmsg_seq > last) return std::nullopt;
  const int error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&reply))->error;
  if (error == 0 && reply.nlmsg_seq != last) return std::nullopt;
  return error;
}

}  // namespace

Result<void, NetlinkFault> Netlink::commit(std::span<NetlinkMessage> batch) {
  if (error_ != 0) return fail(NetlinkFault{error_});
  NetlinkMessage begin = batch_mark(NFNL_MSG_BATCH_BEGIN), end = batch_mark(NFNL_MSG_BATCH_END);
  batch.back().get()->nlmsg_flags |= NLM_F_ACK;
  std::vector<iovec> parts;
  const auto put = [&](NetlinkMessage& message) {
    message.get()->nlmsg_seq = ++sequence_;
    parts.push_back({message.get(), message.get()->nlmsg_len});
  };
  put(begin);
  for (NetlinkMessage& message : batch) put(message);
  const std::uint32_t last = sequence_;
  put(end);
  msghdr packet{};
  packet.msg_iov = parts.data();
  packet.msg_iovlen = parts.size();
  if (sendmsg(mnl_socket_get_fd(socket_), &packet, 0) < 0) return fail(NetlinkFault{errno});
  for (;;) {
    const ssize_t size = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    if (size < 0) return fail(NetlinkFault{errno});
    int left = static_cast<int>(size);
    for (const auto* reply = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(reply, left);
         reply = mnl_nlmsg_next(reply, &left))
      if (const auto error = verdict_on(*reply, last - static_cast<std::uint32_t>(batch.size()), last)) {
        if (*error != 0) return fail(NetlinkFault{*error});
        return {};
      }
  }
}

namespace {

int call_seer(const nlattr* attribute, void* closure) {
  (*static_cast<const std::function<void(const nlattr&)>*>(closure))(*attribute);
  return MNL_CB_OK;
}

void* closure_of(const std::function<void(const nlattr&)>& see) {
  return const_cast<void*>(static_cast<const void*>(&see));
}

}  // namespace

void each_attribute(const nlmsghdr& message, std::size_t header_octets, const std::function<void(const nlattr&)>& see) {
  mnl_attr_parse(&message, static_cast<unsigned>(header_octets), call_seer, closure_of(see));
}

void each_attribute(const nlattr& nest, const std::function<void(const nlattr&)>& see) {
  mnl_attr_parse_nested(&nest, call_seer, closure_of(see));
}

std::span<const std::uint8_t> octets_of(const nlattr& attribute) {
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(&attribute)), mnl_attr_get_payload_len(&attribute)};
}

std::uint64_t big_endian(const nlattr& attribute) {
  const auto octets = octets_of(attribute);
  if (octets.size() > 8) return 0;
  std::uint64_t value = 0;
  for (const std::uint8_t octet : octets) value = value << 8 | octet;
  return value;
}

}  // namespace doline::warden

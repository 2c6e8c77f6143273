#include "warden/routing_watch.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "warden/uv_handle.h"

namespace doline::warden {

namespace {

constexpr std::size_t packet_octets_max = 64 * 1024;
/// A router that talks to others has its main table changed all the time; the rest waits for the loop's next turn.
constexpr int reads_at_once = 64;

bool says_removed(const nlmsghdr& message) {
  if (message.nlmsg_type == RTM_DELRULE) return true;
  if (message.nlmsg_type != RTM_DELROUTE || mnl_nlmsg_get_payload_len(&message) < sizeof(rtmsg)) return false;
  const auto& route = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
  return route.rtm_table != RT_TABLE_MAIN && route.rtm_table != RT_TABLE_LOCAL;
}

bool says_readdressed(const nlmsghdr& message) {
  return message.nlmsg_type == RTM_NEWADDR || message.nlmsg_type == RTM_DELADDR;
}

mnl_socket* open_socket() {
  mnl_socket* const socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
  constexpr unsigned groups = RTMGRP_IPV4_RULE | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
                              RTMGRP_IPV6_IFADDR | 1u << (RTNLGRP_IPV6_RULE - 1);
  if (socket == nullptr || mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) == 0) return socket;
  mnl_socket_close(socket);
  return nullptr;
}

}  // namespace

RoutingWatch::RoutingWatch(uv_loop_t* loop, std::function<void()> removed, std::function<void()> readdressed)
    : removed_(std::move(removed)),
      readdressed_(std::move(readdressed)),
      socket_(open_socket()),
      buffer_(packet_octets_max) {
  if (socket_ == nullptr) return;
  uv_poll_init(loop, &poll_, mnl_socket_get_fd(socket_));
  poll_.data = this;
  listen();
}

/// libuv ends a poll whose socket has an error, as one that overflowed has until it is read.
void RoutingWatch::listen() {
  uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int status, int) {
    auto& watch = *static_cast<RoutingWatch*>(poll->data);
    watch.read();
    if (status < 0 && uv_is_closing(as_handle(*poll)) == 0) watch.listen();
  });
}

RoutingWatch::~RoutingWatch() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

void RoutingWatch::close() {
  if (socket_ != nullptr && uv_is_closing(as_handle(poll_)) == 0) uv_close(as_handle(poll_), nullptr);
}

void RoutingWatch::read() {
  bool removed = false, readdressed = false;
  for (int reads = 0; reads < reads_at_once; ++reads) {
    const ssize_t size = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    if (size < 0) {
      if (errno == ENOBUFS) removed = readdressed = true;
      if (errno == ENOBUFS || errno == EINTR) continue;
      break;
    }
    int left = static_cast<int>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      removed |= says_removed(*message);
      readdressed |= says_readdressed(*message);
    }
  }
  if (removed) removed_();
  if (readdressed) readdressed_();
}

}  // namespace doline::warden

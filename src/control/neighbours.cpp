#include "control/neighbours.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace doline::control {

Result<std::unique_ptr<Neighbours>, std::string> Neighbours::follow(
    Loop& loop, std::function<void(const listener::Neighbour&)> seen) {
  const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (descriptor < 0) return fail("the neighbour table cannot be read: " + std::string(std::strerror(errno)));
  std::unique_ptr<Neighbours> neighbours(new Neighbours(descriptor, std::move(seen)));
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_groups = RTMGRP_NEIGH;
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 || !neighbours->ask_for_all())
    return fail("the neighbour table cannot be followed: " + std::string(std::strerror(errno)));
  neighbours->watch(loop);
  return neighbours;
}

/// Notifications that were lost are an error of the socket, and a watch ends with those.
void Neighbours::watch(Loop& loop) {
  watch_ = Watch();
  watch_ = loop.on_events(descriptor_, UV_READABLE, [this, &loop](int events) {
    read();
    if ((events & UV_DISCONNECT) != 0) watch(loop);
  });
}

Neighbours::~Neighbours() {
  watch_ = Watch();
  close(descriptor_);
}

bool Neighbours::ask_for_all() {
  return listener::request_neighbours(descriptor_, AF_UNSPEC);
}

void Neighbours::read() {
  alignas(8) std::array<std::uint8_t, 32'768> buffer;
  for (int turn = 0; turn < 64; ++turn) {
    const ssize_t size = recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == ENOBUFS) {
      were_lost_ = true;
      continue;
    }
    if (size <= 0) {
      // The kernel takes no second request while it still answers one.
      if (std::exchange(were_lost_, false)) ask_for_all();
      return;
    }
    for (const auto& neighbour : listener::parse_neighbours({buffer.data(), static_cast<std::size_t>(size)}))
      seen_(neighbour);
  }
}

}  // namespace doline::control

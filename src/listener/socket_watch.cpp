#include "listener/socket_watch.h"

#include <unistd.h>

#include "base/check.h"

namespace doline::listener {

namespace {

epoll_event event_of(std::uint64_t number, SocketWatch::Wish wish) {
  epoll_event event{};
  event.events = (wish.to_read ? EPOLLIN : 0u) | (wish.to_write ? EPOLLOUT : 0u);
  event.data.u64 = number;
  return event;
}

}  // namespace

SocketWatch::SocketWatch() : descriptor_(epoll_create1(EPOLL_CLOEXEC)) {
  check(descriptor_ >= 0);
}

SocketWatch::~SocketWatch() {
  close(descriptor_);
}

bool SocketWatch::add(int socket, std::uint64_t number, Wish wish) {
  epoll_event event = event_of(number, wish);
  return epoll_ctl(descriptor_, EPOLL_CTL_ADD, socket, &event) == 0;
}

void SocketWatch::change(int socket, std::uint64_t number, Wish wish) {
  epoll_event event = event_of(number, wish);
  check(epoll_ctl(descriptor_, EPOLL_CTL_MOD, socket, &event) == 0);  // it was added and is open
}

std::span<const epoll_event> SocketWatch::wait() {
  const int count = epoll_wait(descriptor_, news_.data(), news_max, 0);
  return {news_.data(), static_cast<std::size_t>(count > 0 ? count : 0)};  // an interrupted call: next time
}

}  // namespace doline::listener

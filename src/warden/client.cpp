#include "warden/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

namespace doline::warden {

Client::Client(const Spawned& spawned) : process_(spawned.process), descriptor_(spawned.control) {}

Client::~Client() {
  lose();
  reap();
}

bool Client::send(const redirect::Request& request, std::uint32_t number) {
  const auto octets = redirect::write_request({number, request});
  return ::send(descriptor_, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void Client::ask(redirect::Request request, Take take) {
  const std::uint32_t number = ++last_number_;
  if (!is_alive() || !send(request, number)) {
    // Anything else is about this request alone: too long, or the socket is full because it hangs.
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) lose();
    take(std::nullopt);
    return;
  }
  waiting_.emplace(number, std::move(take));
}

void Client::beat() {
  // A full socket is a warden that hangs; nothing is lost with one more beat.
  if (is_alive()) static_cast<void>(send(redirect::Heartbeat{}, 0));
}

void Client::read() {
  std::vector<std::uint8_t> room(redirect::message_octets_max);
  while (is_alive()) {
    const ssize_t size = recv(descriptor_, room.data(), room.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      lose();
      return;
    }
    auto reply = redirect::parse_reply({room.data(), static_cast<std::size_t>(size)});
    if (!reply) continue;
    const auto found = waiting_.find(reply->number);
    if (found == waiting_.end()) continue;
    const Take take = std::move(found->second);
    waiting_.erase(found);
    take(std::move(reply->body));
  }
}

std::optional<redirect::Reply> Client::ask_and_wait(redirect::Request request, milliseconds patience) {
  std::optional<redirect::Reply> reply;
  bool has_come = false;
  const std::uint32_t number = last_number_ + 1;
  ask(std::move(request), [&](std::optional<redirect::Reply> taken) {
    reply = std::move(taken);
    has_come = true;
  });
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!has_come) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    beat();
    pollfd ready{descriptor_, POLLIN, 0};
    poll(&ready, 1, static_cast<int>(std::min(left, redirect::heartbeat_period).count()));
    read();
  }
  waiting_.erase(number);
  return reply;
}

void Client::lose() {
  if (!is_alive()) return;
  close(std::exchange(descriptor_, -1));
  reap();
  for (auto& [number, take] : std::exchange(waiting_, {})) take(std::nullopt);
}

/// It ends by itself; where it has not yet, our parent reaps it after us.
void Client::reap() {
  if (process_ > 0 && waitpid(process_, nullptr, WNOHANG) == process_) process_ = -1;
}

}  // namespace doline::warden

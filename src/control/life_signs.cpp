#include "control/life_signs.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace doline::control {

namespace {

std::string take_from_environment(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value ? value : "";
  ::unsetenv(name);
  return text;
}

std::optional<std::int64_t> to_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number <= 0) return std::nullopt;
  return number;
}

/// One line: what follows a line's end would be another variable.
std::string one_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

LifeSigns LifeSigns::from_environment() {
  LifeSigns signs;
  signs.socket_ = take_from_environment("NOTIFY_SOCKET");
  const auto usec = to_number(take_from_environment("WATCHDOG_USEC"));
  const auto process = to_number(take_from_environment("WATCHDOG_PID"));
  if (usec && (!process || *process == ::getpid())) signs.alive_every_ = milliseconds(*usec / 2'000);
  return signs;
}

void LifeSigns::ready(std::string_view status) const {
  say("READY=1\nSTATUS=" + one_line(status));
}
void LifeSigns::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t usec = static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
  say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}
void LifeSigns::stopping() const {
  say("STOPPING=1");
}
void LifeSigns::status(std::string_view status) const {
  say("STATUS=" + one_line(status));
}
void LifeSigns::alive() const {
  say("WATCHDOG=1");
}

void LifeSigns::say(const std::string& words) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() < 2 || socket_.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_.front() == '@') address.sun_path[0] = '\0';  // of the abstract namespace
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  (void)::sendto(descriptor, words.data(), words.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                 length);
  ::close(descriptor);
}

}  // namespace doline::control

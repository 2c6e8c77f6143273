// A server of the test's own, on a loopback port and a thread, for the web where nothing else is said: it answers each
// request with the very octets that the test says, then closes; or never answers.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace doline::control::test {

class SmallServer {
 public:
  /// On the server's thread: the octets to send, or nothing: the connection stays open and silent. `request`: from
  /// `GET` to the empty line.
  using Serve = std::function<std::optional<std::string>(const std::string& request)>;

  /// Has all of a request come?
  using IsWhole = std::function<bool(const std::string& octets)>;

  explicit SmallServer(Serve serve, IsWhole is_whole = ends_in_empty_line)
      : serve_(std::move(serve)), is_whole_(std::move(is_whole)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener_, generic, length) == 0);
    REQUIRE(::listen(listener_, 64) == 0);
    REQUIRE(::getsockname(listener_, generic, &length) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~SmallServer() {
    is_ending_ = true;
    thread_.join();
    for (const int silent : silent_) ::close(silent);
    ::close(listener_);
  }
  SmallServer(const SmallServer&) = delete;
  SmallServer& operator=(const SmallServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  static bool ends_in_empty_line(const std::string& octets) { return octets.find("\r\n\r\n") != std::string::npos; }
  void run() {
    while (!is_ending_) {
      pollfd ready{listener_, POLLIN, 0};
      if (::poll(&ready, 1, 10) != 1) continue;
      if (const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); client >= 0) answer(client);
    }
  }
  void answer(int client) {
    std::string request;
    char octets[4096];
    while (!is_whole_(request)) {
      const ssize_t got = ::recv(client, octets, sizeof octets, 0);
      if (got <= 0) break;
      request.append(octets, static_cast<std::size_t>(got));
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const auto reply = serve_(request);
    if (!reply) {
      silent_.push_back(client);
      return;
    }
    for (std::string_view left = *reply; !left.empty();) {
      const ssize_t sent = ::send(client, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      left.remove_prefix(static_cast<std::size_t>(sent));
    }
    ::close(client);
  }

  Serve serve_;
  IsWhole is_whole_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> is_ending_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  std::vector<int> silent_;            // of the server's thread
  std::thread thread_;
};

/// A response with its length; `headers`: whole lines, each with its `\r\n`.
inline std::string ok(std::string_view body, std::string_view headers = {}) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(headers) + "\r\n" +
         std::string(body);
}
inline std::string only_status(std::string_view status, std::string_view headers = {}) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: 0\r\n" + std::string(headers) + "\r\n";
}
inline bool asks_for(const std::string& request, std::string_view path) {
  return request.starts_with("GET " + std::string(path) + " ");
}

}  // namespace doline::control::test

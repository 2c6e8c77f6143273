#include "control/command_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace doline::control {

namespace {

using nlohmann::json;

std::optional<sockaddr_un> to_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

int connect_to(const sockaddr_un& address, int flags) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (descriptor < 0) return -1;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return descriptor;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return -1;
}

std::string to_line(const json& value) {
  // What came from outside may not be UTF-8: shown as U+FFFD rather than thrown over.
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

json error(std::string text) {
  return {{"error", std::move(text)}};
}

}  // namespace

struct CommandSocket::Impl {
  /// Requests are served one after the other: the next is read when the answer before it is sent.
  struct Connection {
    int descriptor = -1;
    Watch readable, writable, deadline;
    std::string received, unsent;
    bool is_serving = false;
  };
  using Connections = std::list<std::shared_ptr<Connection>>;

  Impl(Loop& loop_in, std::filesystem::path path_in, Serve serve_in, Tell tell_in)
      : loop(loop_in), path(std::move(path_in)), serve(std::move(serve_in)), tell(std::move(tell_in)) {
    open(command_open_tried_for / command_open_again_after);
  }

  ~Impl() {
    while (!connections.empty()) end(connections.front());
    if (descriptor < 0) return;
    ::unlink(path.c_str());
    ::close(descriptor);
  }

  void open(std::int64_t times) {
    const std::string before = std::exchange(trouble, listen());
    watch = Watch();
    if (descriptor >= 0)
      wait_for_clients();
    else if (times > 0)
      watch = loop.after(command_open_again_after, [this, times] { open(times - 1); });
    if (trouble != before) tell(trouble);
  }

  /// The sentence why not, or "".
  std::string listen() {
    const auto fault = [&](const std::string& why) {
      return "The control socket " + path.native() + " cannot be opened: " + why;
    };
    const std::optional<sockaddr_un> address = to_address(path);
    if (!address) return fault("its path is longer than the 107 octets that a socket's may have.");
    std::error_code ignored;
    std::filesystem::create_directories(path.parent_path(), ignored);
    // Not waited for: one that hangs takes no connection.
    const int other = connect_to(*address, SOCK_NONBLOCK);
    if (other >= 0) ::close(other);
    if (other >= 0 || errno == EAGAIN) return fault("another Doline answers there.");
    if (errno == ECONNREFUSED) ::unlink(path.c_str());
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listening < 0) return fault(std::strerror(errno));
    // Never more, and then in spite of the umask, which is every thread's.
    constexpr mode_t own_and_group = 0660;
    ::fchmod(listening, own_and_group);
    if (::bind(listening, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
        ::chmod(path.c_str(), own_and_group) != 0 || ::listen(listening, command_connections_max) != 0) {
      const int error = errno;
      ::close(listening);
      return fault(std::strerror(error));
    }
    descriptor = listening;
    return {};
  }

  void wait_for_clients() {
    watch = loop.on_events(descriptor, UV_READABLE, [this](int) { accept(); });
  }

  void accept() {
    for (;;) {
      const int accepted = ::accept4(descriptor, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (accepted < 0) {
        // No descriptor is left for one, or no memory: it would be told of without end, since it goes on waiting.
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
          watch = loop.after(command_accept_again_after, [this] { wait_for_clients(); });
        return;
      }
      if (connections.size() >= command_connections_max) end(connections.front());
      auto connection = std::make_shared<Connection>();
      connection->descriptor = accepted;
      connections.push_back(connection);
      read_on(connection);
    }
  }

  void read_on(const std::shared_ptr<Connection>& connection) {
    touch(connection);
    connection->readable = loop.on_events(connection->descriptor, UV_READABLE,
                                          [this, weak = std::weak_ptr(connection)](int) { receive(weak.lock()); });
  }

  /// Each sign of life moves a connection behind the others.
  void touch(const std::shared_ptr<Connection>& connection) {
    connections.remove(connection);
    connections.push_back(connection);
    connection->deadline = loop.after(command_idle, [this, weak = std::weak_ptr(connection)] {
      if (const auto late = weak.lock()) end(late);
    });
  }

  void end(std::shared_ptr<Connection> connection) {
    connection->readable = Watch();
    connection->writable = Watch();
    connection->deadline = Watch();
    if (connection->descriptor >= 0) ::close(std::exchange(connection->descriptor, -1));
    connections.remove(connection);
  }

  void receive(const std::shared_ptr<Connection>& connection) {
    if (!connection || connection->descriptor < 0) return;
    std::array<char, 4'096> octets;
    const ssize_t count = ::read(connection->descriptor, octets.data(), octets.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return end(connection);
    connection->received.append(octets.data(), static_cast<std::size_t>(count));
    serve_next(connection);
  }

  void serve_next(const std::shared_ptr<Connection>& connection) {
    if (connection->is_serving || connection->descriptor < 0) return;
    const std::size_t length = connection->received.find('\n');
    if (length == std::string::npos) {
      if (connection->received.size() > command_octets_max) end(connection);
      return;
    }
    const json request =
        json::parse(connection->received.begin(), connection->received.begin() + static_cast<std::ptrdiff_t>(length),
                    nullptr, false);
    connection->received.erase(0, length + 1);
    connection->is_serving = true;
    connection->readable = Watch();
    connection->deadline = Watch();
    const Answer answer = [this, weak = std::weak_ptr(connection)](const json& value) {
      const auto waiting = weak.lock();
      if (!waiting || waiting->descriptor < 0) return;
      waiting->unsent = to_line(value);
      touch(waiting);
      send(waiting);
    };
    if (request.is_object())
      serve(request, answer);
    else
      answer(error("This is no request: one line with a JSON object is."));
  }

  void send(const std::shared_ptr<Connection>& connection) {
    if (!connection || connection->descriptor < 0) return;
    const ssize_t count =
        ::send(connection->descriptor, connection->unsent.data(), connection->unsent.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return end(connection);
    if (count > 0) connection->unsent.erase(0, static_cast<std::size_t>(count));
    if (!connection->unsent.empty()) {
      if (!connection->writable)
        connection->writable = loop.on_events(connection->descriptor, UV_WRITABLE,
                                              [this, weak = std::weak_ptr(connection)](int) { send(weak.lock()); });
      return;
    }
    connection->writable = Watch();
    connection->is_serving = false;
    read_on(connection);
    serve_next(connection);
  }

  Loop& loop;
  std::filesystem::path path;
  Serve serve;
  Tell tell;
  std::string trouble;
  int descriptor = -1;      // -1: it is not open
  Watch watch;              // of it, or until it is tried again
  Connections connections;  // idle longest first
};

CommandSocket::CommandSocket(Loop& loop, const std::filesystem::path& path, Serve serve, Tell tell)
    : impl_(std::make_unique<Impl>(loop, path, std::move(serve), std::move(tell))) {}
CommandSocket::~CommandSocket() = default;

const std::string& CommandSocket::trouble() const {
  return impl_->trouble;
}

Result<json, AskFault> ask(const std::filesystem::path& path, const json& request, milliseconds patience) {
  using Kind = AskFault::Kind;
  const auto fault = [](Kind kind, std::string text) { return fail(AskFault{kind, std::move(text)}); };
  const std::optional<sockaddr_un> address = to_address(path);
  const int descriptor = address ? connect_to(*address, 0) : -1;
  if (descriptor < 0 && address && (errno == EACCES || errno == EPERM))
    return fault(Kind::no_permission, "The running Doline's socket " + path.native() +
                                          " may not be opened by this user: ask as root, or as a member of its group.");
  if (descriptor < 0) return fault(Kind::not_running, "No Doline is running that answers at " + path.native() + '.');
  const auto until = std::chrono::steady_clock::now() + patience;
  std::string received;
  const std::string line = to_line(request);
  bool is_sent = ::send(descriptor, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  while (is_sent && (received.empty() || received.back() != '\n') && received.size() < command_answer_octets_max) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd readable{descriptor, POLLIN, 0};
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) == 0) break;
    std::array<char, 65'536> octets;
    const ssize_t count = ::read(descriptor, octets.data(), octets.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    received.append(octets.data(), static_cast<std::size_t>(count));
  }
  ::close(descriptor);
  json answer = json::parse(received, nullptr, false);
  if (received.empty() || received.back() != '\n' || !answer.is_object())
    return fault(Kind::no_answer, "The Doline at " + path.native() + " gave no answer in time.");
  if (answer.contains("error") && answer["error"].is_string()) return fault(Kind::refused, answer["error"]);
  return answer;
}

}  // namespace doline::control

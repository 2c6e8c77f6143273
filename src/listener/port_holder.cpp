#include "listener/port_holder.h"

#include <dirent.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace doline::listener {

namespace {

struct BoundSocket {
  IpAddress address;
  std::uint64_t inode = 0;
  uid_t user = 0;
};

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The fields of a line, blanks between them; at most as many as the array holds.
std::array<std::string_view, 10> fields_of(std::string_view line) {
  std::array<std::string_view, 10> fields;
  std::size_t at = 0;
  for (std::string_view& field : fields) {
    at = line.find_first_not_of(' ', at);
    if (at == std::string_view::npos) break;
    const std::size_t end = std::min(line.find(' ', at), line.size());
    field = line.substr(at, end - at);
    at = end;
  }
  return fields;
}

/// 8 or 32 hexadecimal digits: words of 32 bits in the machine's byte order.
std::optional<IpAddress> parse_address(std::string_view text) {
  if (text.size() != 8 && text.size() != 32) return std::nullopt;
  std::array<std::uint8_t, 16> octets{};
  for (std::size_t word = 0; word < text.size() / 8; ++word) {
    const auto value = parse_number<std::uint32_t>(text.substr(word * 8, 8), 16);
    if (!value) return std::nullopt;
    std::memcpy(octets.data() + word * 4, &*value, 4);
  }
  return IpAddress::from_octets({octets.data(), text.size() / 2});
}

/// One line of /proc/net/{udp,udp6,tcp,tcp6}: `sl local_address rem_address st tx_queue:rx_queue tr:when retrnsmt uid
/// timeout inode`.
std::optional<BoundSocket> parse_line(std::string_view line, std::uint16_t port, bool is_tcp) {
  constexpr std::string_view listening = "0A";
  const auto fields = fields_of(line);
  const std::string_view local = fields[1], state = fields[3];
  const std::size_t colon = local.find(':');
  if (colon == std::string_view::npos || (is_tcp && state != listening)) return std::nullopt;
  if (parse_number<std::uint16_t>(local.substr(colon + 1), 16) != port) return std::nullopt;
  const auto address = parse_address(local.substr(0, colon));
  const auto inode = parse_number<std::uint64_t>(fields[9], 10);
  const auto user = parse_number<uid_t>(fields[7], 10);
  if (!address || !inode || !user) return std::nullopt;
  return BoundSocket{*address, *inode, *user};
}

std::vector<BoundSocket> sockets_on(std::uint16_t port) {
  std::vector<BoundSocket> sockets;
  // A thread may stand in a network namespace of its own.
  for (const char* table : {"udp", "udp6", "tcp", "tcp6"}) {
    std::ifstream file(std::string("/proc/thread-self/net/") + table);
    for (std::string line; std::getline(file, line);)
      if (const auto found = parse_line(line, port, table[0] == 't')) sockets.push_back(*found);
  }
  return sockets;
}

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

template <class Visit>
void visit_folder(const std::string& path, const Visit& visit) {
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(path.c_str()));
  if (!folder) return;
  while (const dirent* entry = readdir(folder.get())) visit(std::string(entry->d_name));
}

std::string name_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::string name;
  std::getline(file, name);
  for (char& letter : name)
    if (letter < ' ' || letter > '~') letter = '?';
  return name;
}

std::string name_of_user(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return entry != nullptr ? entry->pw_name : "";
}

/// The process of each of these socket inodes, as far as we may look.
std::unordered_map<std::uint64_t, pid_t> owners_of(const std::vector<BoundSocket>& sockets) {
  std::unordered_map<std::uint64_t, pid_t> owners;
  for (const BoundSocket& socket : sockets) owners.emplace(socket.inode, 0);
  visit_folder("/proc", [&owners](const std::string& process_folder) {
    const auto process = parse_number<pid_t>(process_folder, 10);
    if (!process) return;
    const std::string descriptors = "/proc/" + process_folder + "/fd/";
    visit_folder(descriptors, [&](const std::string& descriptor) {
      char target[64];
      const ssize_t length = readlink((descriptors + descriptor).c_str(), target, sizeof target);
      std::string_view text(target, length > 0 ? static_cast<std::size_t>(length) : 0);
      constexpr std::string_view prefix = "socket:[";
      if (!text.starts_with(prefix) || !text.ends_with(']')) return;
      text = text.substr(prefix.size(), text.size() - prefix.size() - 1);
      const auto inode = parse_number<std::uint64_t>(text, 10);
      if (!inode) return;
      const auto wanted = owners.find(*inode);
      if (wanted != owners.end() && wanted->second == 0) wanted->second = *process;
    });
  });
  return owners;
}

}  // namespace

std::vector<PortHolder> holders_of_port(std::uint16_t port) {
  std::vector<PortHolder> holders;
  const std::vector<BoundSocket> sockets = sockets_on(port);
  if (sockets.empty()) return holders;
  const auto owners = owners_of(sockets);
  for (const BoundSocket& socket : sockets) {
    const pid_t process = owners.at(socket.inode);
    PortHolder& holder = holders.emplace_back();
    holder.address = socket.address;
    holder.process = process;
    (process == 0 ? holder.user : holder.name) = process == 0 ? name_of_user(socket.user) : name_of(process);
  }
  return holders;
}

bool is_resolved_stub(const PortHolder& holder) {
  constexpr std::string_view resolved = "systemd-resolve";  // as the kernel cuts its name
  return holder.name == resolved || holder.user == resolved ||
         (holder.process == 0 &&
          (holder.address == IpAddress::v4(127, 0, 0, 53) || holder.address == IpAddress::v4(127, 0, 0, 54)));
}

std::string holder_of_port(std::uint16_t port) {
  for (const PortHolder& holder : holders_of_port(port))
    if (holder.process != 0) return to_string(holder);
  return {};
}

std::string to_string(const PortHolder& holder) {
  if (holder.process == 0)
    return holder.user.empty() ? "another user's process" : "a process of the user " + holder.user;
  return "process " + std::to_string(holder.process) + " (" + holder.name + ")";
}

}  // namespace doline::listener

// A network of the test's own, in a process of its own.
#pragma once

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

namespace doline::control::test {

inline bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

/// What is wrong, as `claim` says it ("" is: all is well), in a network namespace with an interface `lan0` that has
/// 192.0.2.1/24 and 2001:db8::1/64. Where this machine does not let us make one it says so, and all is well.
inline std::string in_own_network(const std::function<std::string()>& claim) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto say = [](const char* path, const std::string& text) {
      return bool(std::ofstream(path) << text << std::flush);
    };
    const std::string user = std::to_string(::getuid()), group = std::to_string(::getgid());
    const bool has_left =
        ::unshare(CLONE_NEWNET) == 0 ||
        (::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && say("/proc/self/setgroups", "deny") &&
         say("/proc/self/uid_map", "0 " + user + " 1") && say("/proc/self/gid_map", "0 " + group + " 1"));
    const bool has_network = has_left && run("ip link set lo up") && run("ip link add lan0 type veth peer name lan1") &&
                             run("ip link set lan0 up") && run("ip link set lan1 up") &&
                             run("ip address add 192.0.2.1/24 dev lan0") &&
                             run("ip address add 2001:db8::1/64 dev lan0 nodad");
    const std::string said = has_network ? claim() : "no network";
    const bool is_told = ::write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size());
    ::_exit(is_told ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said;
  char piece[4096];
  for (ssize_t size; (size = ::read(ends[0], piece, sizeof piece)) > 0;)
    said.append(piece, static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) said += " (the process ended with " + std::to_string(status) + ")";
  if (said != "no network") return said;
  MESSAGE("skipped: this user cannot make a network namespace with `ip`");
  return "";
}

}  // namespace doline::control::test

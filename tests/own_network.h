// own_network(): a network namespace of this test's own, with every privilege over it, as root or as anybody where the
// machine allows user namespaces. What a test does to rules, routes and flows is gone when it ends.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace doline::tests {

inline bool write_file(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool is_written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  return is_written;
}

/// Moves this process, which must have one thread, into a new network namespace; again into another when called again.
/// False, and said why, where the machine allows none.
inline bool own_network() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWNET) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      MESSAGE("skipped: no network namespace for this test: " << std::strerror(errno));
      return false;
    }
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
    write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
  }
  return true;
}

struct ShellEnd {
  int status = -1;
  std::string output;  ///< of both streams
};

/// A line of /bin/sh in this process's namespaces.
inline ShellEnd shell(const std::string& line) {
  ShellEnd end;
  FILE* const pipe = popen(("{ " + line + "\n} 2>&1").c_str(), "re");
  if (pipe == nullptr) return end;
  char room[4'096];
  for (std::size_t size = 0; (size = fread(room, 1, sizeof room, pipe)) > 0;) end.output.append(room, size);
  const int status = pclose(pipe);
  end.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return end;
}

inline bool is_installed(const char* program) {
  return shell(std::string("PATH=$PATH:/usr/sbin:/sbin command -v ") + program).status == 0;
}

}  // namespace doline::tests

// in_process(): a claim that is made from a process of its own, because making it changes the process: its limits, its
// privileges, its network.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace doline::tests {

/// What `claim` says from a process of its own ("" is: all is well); `claim` returns what is wrong.
inline std::string in_process(const std::function<std::string()>& claim) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(ends[0]);
    const std::string said = claim();
    const ssize_t written = write(ends[1], said.data(), said.size());
    _exit(written == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string said;
  char piece[4096];
  ssize_t size;
  while ((size = read(ends[0], piece, sizeof piece)) > 0) said.append(piece, static_cast<std::size_t>(size));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    said += " (the process ended with " + std::to_string(status) + ")";
  return said;
}

}  // namespace doline::tests

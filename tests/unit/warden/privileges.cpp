#include "warden/privileges.h"

#include <doctest/doctest.h>

#include <string>

#include "own_network.h"

using namespace doline;
using namespace doline::tests;

namespace {

/// `line` of a shell that a process which kept only these has started; the process is another, so that this one keeps
/// what it has.
std::string as_one_who_kept(warden::Kept kept, const std::string& line) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool has_privilege = warden::keep_only(kept);
    const std::string text = (has_privilege ? "privileged\n" : "unprivileged\n") + shell(line).output;
    static_cast<void>(!write(ends[1], text.data(), text.size()));
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char room[4'096];
  for (ssize_t size = 0; (size = read(ends[0], room, sizeof room)) > 0;)
    text.append(room, static_cast<std::size_t>(size));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

}  // namespace

TEST_CASE("Children have CAP_NET_ADMIN and nothing else, and no way to more") {
  if (!own_network()) return;
  const char* const capabilities = "grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status";
  CHECK(as_one_who_kept(warden::Kept::rules, capabilities) ==
        "privileged\n"
        "CapPrm:\t0000000000001000\n"
        "CapEff:\t0000000000001000\n"
        "CapBnd:\t0000000000001000\n"
        "CapAmb:\t0000000000001000\n"
        "NoNewPrivs:\t1\n");
  CHECK(as_one_who_kept(warden::Kept::rules_and_raw_sockets, capabilities).find("CapEff:\t0000000000003000\n") !=
        std::string::npos);
}

TEST_CASE("What is kept suffices for nft, and not for the files of others") {
  if (!own_network()) return;
  CHECK(as_one_who_kept(warden::Kept::rules, "PATH=$PATH:/usr/sbin nft add table inet doline; echo $?") ==
        "privileged\n0\n");
  CHECK(as_one_who_kept(warden::Kept::rules, "chown 1 /proc/self/fd/0 2>/dev/null; echo $?") == "privileged\n1\n");
}

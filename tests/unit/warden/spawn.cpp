#include "warden/spawn.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

using namespace doline;
using warden::spawn;
using warden::Spawned;

namespace {

/// One packet, waited for.
std::string receive(int descriptor) {
  pollfd ready{descriptor, POLLIN, 0};
  REQUIRE(poll(&ready, 1, 20'000) == 1);
  char room[4'096];
  const ssize_t size = recv(descriptor, room, sizeof room, 0);
  return size > 0 ? std::string(room, static_cast<std::size_t>(size)) : std::string();
}

void end(const Spawned& spawned) {
  close(spawned.control);
  for (const int origin : spawned.origins) close(origin);
  close(spawned.flows);
  waitpid(spawned.process, nullptr, 0);
}

}  // namespace

TEST_CASE("The program finds its channels at 3, 4 and so on, and their names among its words") {
  const auto spawned = spawn(
      {"/bin/sh", "-c",
       "printf control >&3; printf first >&4; printf second >&5; printf flows >&6; printf %s \"$*\" >&3", "warden"},
      2);
  REQUIRE(spawned);
  REQUIRE(spawned->origins.size() == 2);
  CHECK(receive(spawned->control) == "control");
  CHECK(receive(spawned->origins[0]) == "first");
  CHECK(receive(spawned->origins[1]) == "second");
  CHECK(receive(spawned->flows) == "flows");
  CHECK(receive(spawned->control) == "--fd 3 --fd 4 --fd 5 --flows 6");
  // Its end is the channels' end.
  CHECK(receive(spawned->control).empty());
  end(*spawned);
}

TEST_CASE("Our ends are close-on-exec and do not block") {
  const auto spawned = spawn({"/bin/sh", "-c", "read line <&3", "warden"}, 1);
  REQUIRE(spawned);
  for (const int descriptor : {spawned->control, spawned->origins[0], spawned->flows}) {
    CHECK((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(descriptor, F_GETFL) & O_NONBLOCK) != 0);
  }
  end(*spawned);
}

TEST_CASE("The program starts with no signal blocked or ignored") {
  signal(SIGTERM, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const auto spawned =
      spawn({"/bin/sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n' >&3", "warden"}, 0);
  signal(SIGTERM, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  REQUIRE(spawned);
  const std::string signals = receive(spawned->control);
  CHECK(signals.find("SigBlk:\t0000000000000000") == 0);
  // The C library keeps the two of its own, 32 and 33, as they were.
  const std::size_t ignored = signals.find("SigIgn:\t");
  REQUIRE(ignored != std::string::npos);
  CHECK((std::stoull(signals.substr(ignored + 8), nullptr, 16) & 0x7fffffff) == 0);
  end(*spawned);
}

TEST_CASE("A program that is not there is a sentence") {
  const auto spawned = spawn({"/no/such/doline", "warden"}, 1);
  REQUIRE_FALSE(spawned);
  CHECK(spawned.error() == "the warden cannot be started: No such file or directory");
}

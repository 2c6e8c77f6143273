#include "warden/claim.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own_network.h"

using namespace doline::tests;
using doline::warden::Claim;

TEST_CASE("One claim at a time, until it is given back or ends") {
  if (!own_network()) return;
  Claim next;
  {
    Claim first;
    CHECK(first.take());
    CHECK(first.take());
    CHECK_FALSE(next.take());
    first.give_back();
    CHECK(next.take());
    CHECK_FALSE(first.take());
    next.give_back();
    CHECK(first.take());
  }
  CHECK(next.take());
}

TEST_CASE("A claim lasts as long as any process that shares it") {
  if (!own_network()) return;
  Claim next;
  pid_t heir = -1;
  {
    Claim shared;
    heir = fork();
    REQUIRE(heir >= 0);
    if (heir == 0)
      for (;;) pause();
    CHECK(shared.take());
  }
  CHECK_FALSE(next.take());
  kill(heir, SIGKILL);
  waitpid(heir, nullptr, 0);
  CHECK(next.take());
}

TEST_CASE("Another network has its own claim") {
  if (!own_network()) return;
  Claim here;
  CHECK(here.take());
  if (!own_network()) return;
  Claim there;
  CHECK(there.take());
}

#include "warden/heir.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "small_home.h"
#include "warden/leftovers.h"

using namespace doline;
using namespace doline::tests;
using redirect::TableState;
using warden::Heir;

namespace {

/// A warden that is killed at the end of what it does.
void die_after(const std::function<void(Heir&)>& deeds) {
  const pid_t process = fork();
  REQUIRE(process >= 0);
  if (process == 0) {
    Heir heir;
    heir.begin({});
    deeds(heir);
    kill(getpid(), SIGKILL);
  }
  REQUIRE(waitpid(process, nullptr, 0) == process);
}

void put_a_plain_table() {
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft add table inet doline").status == 0);
}

bool is_there() {
  return warden::find_leftovers(small_home_options(redirect::Mode::tproxy)).intercept();
}

bool goes() {
  for (int tries = 0; tries < 400 && is_there(); ++tries) usleep(25'000);
  return !is_there();
}

}  // namespace

TEST_CASE("What a warden that is killed had put in place is taken away") {
  const auto home = SmallHome::build();
  if (!home) return;
  put_a_plain_table();
  die_after([](Heir& heir) { heir.know(small_home_options(redirect::Mode::tproxy)); });
  CHECK(goes());
}

TEST_CASE("What is to stay, what is gone already and what was never told of is left alone") {
  const auto home = SmallHome::build();
  if (!home) return;
  put_a_plain_table();
  redirect::Options closed = small_home_options(redirect::Mode::tproxy);
  closed.on_failure = redirect::OnFailure::closed;
  die_after([](Heir&) {});
  die_after([](Heir& heir) {
    heir.know(small_home_options(redirect::Mode::tproxy));
    heir.forget();
  });
  die_after([&](Heir& heir) {
    heir.know(small_home_options(redirect::Mode::tproxy));
    heir.know(closed);
  });
  sleep(1);
  CHECK(is_there());
  CHECK(warden::remove_leftovers(closed, warden::Memory::forget).empty());
}

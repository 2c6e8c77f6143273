#include "warden/leftovers.h"

#include <doctest/doctest.h>
#include <signal.h>

#include "running_warden.h"
#include "small_home.h"

using namespace doline;
using namespace doline::tests;
using redirect::Mode;
using redirect::TableState;
using warden::find_leftovers;
using warden::Memory;
using warden::remove_leftovers;

namespace {

redirect::Restrictions some_restrictions() {
  redirect::Restrictions restrictions;
  restrictions.only_resolved = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  return restrictions;
}

}  // namespace

TEST_CASE("A machine where nobody was killed has nothing left") {
  const auto home = SmallHome::build();
  if (!home) return;
  CHECK(warden::may_change_rules());
  CHECK(find_leftovers(small_home_options(Mode::tproxy)).is_nothing());
  CHECK(remove_leftovers(small_home_options(Mode::tproxy), Memory::forget).empty());
}

TEST_CASE("What both killed processes left is found, is harmless, and is removed") {
  const auto home = SmallHome::build();
  if (!home) return;
  const redirect::Options options = small_home_options(Mode::tproxy);
  {
    RunningWarden warden;
    REQUIRE(warden.is_done(redirect::Apply{options}));
    REQUIRE(warden.is_done(redirect::Restrict{some_restrictions()}));
    CHECK(find_leftovers(options).rules == TableState::owned);
    CHECK(remove_leftovers(options, Memory::forget).size() == 1);
    CHECK(warden.is_done(redirect::Verify{}));
    kill(warden.process(), SIGKILL);
    warden.wait_for_end();
  }
  warden::Leftovers left = find_leftovers(options);
  // The kernel drops the table once nft has read its end of file and ended.
  for (int tries = 0; tries < 400 && left.rules != TableState::absent; ++tries) {
    usleep(25'000);
    left = find_leftovers(options);
  }
  CHECK_FALSE(left.intercept());
  CHECK(left.gate == TableState::plain);
  CHECK(left.seen == TableState::plain);
  CHECK(left.rule_steps.size() == 2);
  CHECK(remove_leftovers(options, Memory::keep).empty());
  CHECK(find_leftovers(options).rule_steps.empty());
  CHECK(find_leftovers(options).gate == TableState::absent);
  CHECK(find_leftovers(options).seen == TableState::plain);
  CHECK(remove_leftovers(options, Memory::forget).empty());
  CHECK(find_leftovers(options).is_nothing());
}

TEST_CASE("A fail-closed table without its Doline is told and removed") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;
  {
    RunningWarden warden;
    REQUIRE(warden.is_done(redirect::Apply{options}));
    REQUIRE(warden.is_done(redirect::Restrict{some_restrictions()}));
    kill(warden.process(), SIGKILL);
    warden.wait_for_end();
  }
  const warden::Leftovers left = find_leftovers(options);
  CHECK(left.intercept());
  CHECK(left.rules == TableState::plain);
  CHECK(left.gate == TableState::plain);
  CHECK(left.seen == TableState::plain);
  CHECK(left.rule_steps.size() == 2);
  CHECK(left.route_steps.size() == 2);
  CHECK(left.gate == TableState::plain);
  CHECK(left.describe().size() == 7);
  // Whatever the configuration says by now.
  redirect::Options off;
  CHECK(find_leftovers(off).intercept());
  // The service manager clears up after a crash; what refuses is to go on.
  CHECK(remove_leftovers(options, Memory::keep).empty());
  CHECK(find_leftovers(options).gate == TableState::plain);
  CHECK(find_leftovers(options).rules == TableState::plain);
  CHECK(remove_leftovers(options, Memory::forget).empty());
  CHECK(find_leftovers(options).is_nothing());
}

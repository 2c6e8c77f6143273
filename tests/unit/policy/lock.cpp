#include "policy/lock.h"

#include <doctest/doctest.h>

#include "policy/decide.h"
#include "policy/explain.h"
#include "unit/policy/query.h"

using namespace doline::policy;
using doline::blocklist::ListSet;
using doline::dns::Name;

namespace {

RuleBookSettings locked(Mode mode = Mode::enforce) {
  RuleBookSettings settings;
  Lock lock;
  lock.device = "camera";
  lock.subtrees = {*Name::parse("maker.example")};
  lock.names = {*Name::parse("pool.ntp.example")};
  lock.mode = mode;
  settings.locks = {lock};
  Rule rule;
  rule.when.names = {{NamePattern::Kind::subtree, *Name::parse("ads.maker.example"), {}}};
  rule.then = NxDomain{};
  rule.file = "/etc/doline/doline.yml";
  rule.line = 7;
  settings.rules = {rule};
  return settings;
}

Verdict judge(const RuleBook& book, const Query& query) {
  return decide(book, *ListSet::none(), query.asking());
}

}  // namespace

TEST_CASE("A locked device is refused what its lock does not name, and the rules judge the rest") {
  const RuleBook book(locked());
  REQUIRE(book.has_locks());
  const Verdict stranger = judge(book, Query("evil.example"));
  CHECK(stranger.action == Action(Refuse{}));
  CHECK(book.is_of_lock(stranger.reason.rule));
  CHECK(short_place(book.rule(stranger.reason.rule)) == "lock of camera");
  CHECK(judge(book, Query("api.maker.example")).forwards());
  CHECK(judge(book, Query("pool.ntp.example")).forwards());
  CHECK(judge(book, Query("a.pool.ntp.example")).action == Action(Refuse{}));
  const Verdict blocked = judge(book, Query("x.ads.maker.example"));
  CHECK(blocked.action == Action(NxDomain{}));
  CHECK_FALSE(book.is_of_lock(blocked.reason.rule));
  CHECK(short_place(book.rule(blocked.reason.rule)) == "doline.yml:7");
}

TEST_CASE("Nobody else is locked, nor what an answer of a locked device leads on to") {
  const RuleBook book(locked());
  CHECK(judge(book, Query("evil.example").by("phone")).forwards());
  Query led("cdn.example");
  const Name maker = *Name::parse("maker.example");
  led.led_from = &maker;
  CHECK(judge(book, led).forwards());
}

TEST_CASE("A lock that observes refuses nothing and tells what it would") {
  const RuleBook book(locked(Mode::observe));
  const Verdict verdict = judge(book, Query("evil.example"));
  CHECK(verdict.forwards());
  REQUIRE(verdict.observed.has_value());
  CHECK(book.is_of_lock(verdict.observed->rule));
  CHECK(verdict.observed->action == Action(Refuse{}));
  CHECK_FALSE(judge(book, Query("maker.example")).observed.has_value());
}

TEST_CASE("What is allowed by hand passes a lock, and is kept as an observation") {
  RuleBookSettings settings = locked();
  settings.exemptions = {{"camera", "", *Name::parse("evil.example"), {}}};
  const RuleBook book(settings);
  const Verdict verdict = judge(book, Query("evil.example"));
  CHECK(verdict.forwards());
  CHECK(book.is_of_lock(verdict.observed->rule));
}

TEST_CASE("explain tells of the lock first") {
  const RuleBook book(locked());
  const Explanation refused = explain(book, *ListSet::none(), Query("evil.example").asking());
  REQUIRE(refused.steps.size() == 1);
  CHECK(refused.steps[0].outcome == Step::Outcome::decided);
  const Explanation passed = explain(book, *ListSet::none(), Query("maker.example").asking());
  CHECK(passed.steps[0].mismatch == Mismatch::unless);
  CHECK(to_string(passed.steps[0].mismatch) == "a name that it lets pass");
}

TEST_CASE("A book without locks has none") {
  RuleBookSettings settings = locked();
  settings.locks.clear();
  const RuleBook book(settings);
  CHECK_FALSE(book.has_locks());
  CHECK_FALSE(book.is_of_lock({0}));
  CHECK_FALSE(book.is_of_lock(no_rule));
}

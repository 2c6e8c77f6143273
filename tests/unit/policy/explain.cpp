#include "policy/explain.h"

#include <doctest/doctest.h>

#include "unit/policy/compiled_lists.h"
#include "unit/policy/query.h"

using namespace doline::policy;
using doline::blocklist::ListId;
using doline::blocklist::ListSet;
using Outcome = Step::Outcome;

TEST_CASE("every rule on the way is told: what did not match and why, what observed, what decided") {
  RuleBookSettings settings;
  settings.rules.resize(4);
  settings.rules[0].when.device_names = {"phone"};
  settings.rules[1].mode = Mode::observe;
  settings.rules[1].then = NoData{};
  settings.rules[2].when.lists = {{0}};
  settings.rules[2].then = NxDomain{};
  settings.rules[3].then = Refuse{};
  settings.lists = {{"ads", ListKind::block, Mode::enforce}};
  const RuleBook book(settings);
  const Query query("ads.example");
  const auto explanation = explain(book, *compile_lists({"ads.example"}), query.asking());
  CHECK(explanation.verdict.action == Action(NxDomain{}));
  REQUIRE(explanation.steps.size() == 3);
  CHECK(explanation.steps[0].outcome == Outcome::skipped);
  CHECK(explanation.steps[0].mismatch == Mismatch::device);
  CHECK(explanation.steps[1].outcome == Outcome::observed);
  CHECK(explanation.steps[1].action == Action(NoData{}));
  CHECK(explanation.steps[2].outcome == Outcome::decided);
  CHECK(explanation.steps[2].rule == RuleId{2});
  CHECK(explanation.steps[2].action == Action(NxDomain{}));
  CHECK(explanation.steps[2].list == ListId{0});
}

TEST_CASE("the rule of the lists is told only where there are such lists") {
  const Query query("www.example");
  const auto without = explain(RuleBook({}), *ListSet::none(), query.asking());
  REQUIRE(without.steps.size() == 1);
  CHECK(without.steps[0].rule == no_rule);
  CHECK(without.steps[0].outcome == Outcome::decided);
  RuleBookSettings settings;
  settings.lists = {{"ads", ListKind::block, Mode::enforce}};
  const auto with = explain(RuleBook(settings), *ListSet::none(), query.asking());
  REQUIRE(with.steps.size() == 2);
  CHECK(with.steps[0].rule == lists_rule);
  CHECK(with.steps[0].mismatch == Mismatch::listed);
}

TEST_CASE("one rule may decide and have observed: where an observing list would have said something else") {
  RuleBookSettings settings;
  settings.lists = {{"ads", ListKind::block, Mode::enforce}, {"trial", ListKind::allow, Mode::observe}};
  const Query query("ads.example");
  const auto explanation = explain(RuleBook(settings), *compile_lists({"ads.example", "ads.example"}), query.asking());
  REQUIRE(explanation.steps.size() == 2);
  CHECK(explanation.steps[0].outcome == Outcome::observed);
  CHECK(explanation.steps[0].action == Action(Forward{}));
  CHECK(explanation.steps[1].outcome == Outcome::decided);
  CHECK(explanation.steps[1].action == Action(Sinkhole{}));
}

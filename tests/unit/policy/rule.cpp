#include "policy/rule.h"

#include <doctest/doctest.h>

using namespace doline::policy;

TEST_CASE("every action has the name that the operator writes") {
  CHECK(to_string(Action(Forward{{3}})) == "forward");
  CHECK(to_string(Action(Sinkhole{})) == "block");
  CHECK(to_string(Action(Rewrite{1})) == "rewrite");
  CHECK(to_string(Action(NxDomain{})) == "nxdomain");
  CHECK(to_string(Action(NoData{})) == "nodata");
  CHECK(to_string(Action(Refuse{})) == "refuse");
  CHECK(to_string(Action(Drop{})) == "drop");
}

TEST_CASE("actions are equal when they do the same") {
  CHECK(Action(Forward{}) == Action(Forward{{0}}));
  CHECK(Action(Forward{{1}}) != Action(Forward{{2}}));
  CHECK(Action(Rewrite{1}) != Action(Rewrite{2}));
  CHECK(Action(NxDomain{}) != Action(NoData{}));
}

#include "policy/rule_book.h"

#include <doctest/doctest.h>

using namespace doline::policy;
using doline::IpAddress;

TEST_CASE("a book keeps what it was made of") {
  RuleBookSettings settings;
  settings.rewrites.push_back({{IpAddress::v4(192, 0, 2, 1)}, std::nullopt});
  settings.lists.push_back({"ads", ListKind::block, Mode::observe});
  Rule rule;
  rule.then = Rewrite{0};
  rule.file = "doline.yml";
  rule.line = 12;
  settings.rules = {rule, Rule{}};
  settings.otherwise = NxDomain{};
  const RuleBook book(settings);
  CHECK(book.rules().size() == 2);
  CHECK(book.rule({0}).line == 12);
  CHECK(book.rewrite(Rewrite{0}).addresses[0] == IpAddress::v4(192, 0, 2, 1));
  CHECK(book.lists()[0].name == "ads");
  CHECK(book.otherwise() == Action(NxDomain{}));
}

TEST_CASE("the ids of what has no line are past every book") {
  CHECK(no_rule.value > rules_max);
  CHECK(lists_rule.value > rules_max);
  CHECK(no_rule != lists_rule);
}

TEST_CASE("a copy of a book stands by itself") {
  RuleBookSettings settings;
  settings.rules.resize(3);
  auto first = std::make_unique<RuleBook>(settings);
  const RuleBook second = *first;
  first.reset();
  CHECK(second.rules().size() == 3);
}

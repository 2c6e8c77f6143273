#include <doctest/doctest.h>

#include <string>
#include <variant>

#include "policy/rule_book.h"
#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::policy;
using namespace doline::tests;
using doline::response::BlockResponse;

namespace {

const std::string home =
    "lists: {ads: {file: x}, trusted: {file: y, kind: allow}}\n"
    "devices: {tablet: {address: 192.168.1.5, groups: [kids]}, tv: {address: 192.168.1.6, groups: [things]}}\n";

/// The rules of `home`, made a book of as control does: an id that leads nowhere would end the test.
RuleBookSettings rules_of(const std::string& rules) {
  RuleBookSettings settings = settings_of(home + "rules:\n" + rules).live.policy;
  CHECK(RuleBook(settings).rules().size() == settings.rules.size());
  return settings;
}

/// Of one rule on line 5.
std::string rule_problem(const std::string& rule) {
  return problems_of(home + "rules:\n  - " + rule + "\n");
}

}  // namespace

TEST_CASE("A rule carries its conditions, its action and its line") {
  const auto settings = rules_of(
      "  - {when: {device: [tablet, unknown], group: things, network: 192.168.1.0/24}, then: drop}\n"
      "  - {when: {listed: [trusted, ads], type: [any, HTTPS, TYPE65280], intercepted: true}, then: block, mode: "
      "observe}\n");
  REQUIRE(settings.rules.size() == 2);
  const Rule& first = settings.rules[0];
  CHECK(first.when.device_names == std::vector<std::string>{"tablet", "unknown"});
  CHECK(first.when.groups == 2);  // kids is bit 0
  CHECK(first.when.networks.size() == 1);
  CHECK(std::holds_alternative<Drop>(first.then));
  CHECK(first.mode == Mode::enforce);
  CHECK(first.file == "doline.yml");
  CHECK(first.line == 5);
  CHECK(first.text == "- {when: {device: [tablet, unknown], group: things, network: 192.168.1.0/24}, then: drop}");
  const Rule& second = settings.rules[1];
  REQUIRE(second.when.lists.size() == 2);
  CHECK(second.when.lists[0].value == 1);
  CHECK(second.when.types.size() == 3);
  CHECK(second.when.intercepted == true);
  CHECK(second.mode == Mode::observe);
}

TEST_CASE("A name is itself and all below, itself alone, or all below") {
  const auto settings = rules_of("  - {when: {name: [Corp.Example, \"=a.example\", \"*.b.example\"]}, then: nodata}\n");
  const auto& names = settings.rules[0].when.names;
  REQUIRE(names.size() == 3);
  CHECK(names[0].kind == NamePattern::Kind::subtree);
  CHECK(names[0].name.to_string() == "corp.example");
  CHECK(names[1].kind == NamePattern::Kind::exact);
  CHECK(names[1].name.to_string() == "a.example");
  CHECK(names[2].kind == NamePattern::Kind::below);
  CHECK(names[2].name.to_string() == "b.example");
  CHECK(rule_problem("{when: {name: \"/^ad[0-9]+/\"}, then: block}").find("not in this build yet") !=
        std::string::npos);
  CHECK(rule_problem("{when: {name: \"ad*.example\"}, then: block}").find("whole labels") != std::string::npos);
  CHECK(rule_problem("{when: {name: 192.0.2.1}, then: block}").find("is not a domain name") != std::string::npos);
}

TEST_CASE("Times of day may cross midnight, and days have short and long names") {
  const auto settings =
      rules_of("  - {when: {between: [\"21:00-07:00\", \"9:30-24:00\"], days: [sun, monday]}, then: refuse}\n");
  const Condition& when = settings.rules[0].when;
  REQUIRE(when.between.size() == 2);
  CHECK(when.between[0].from_minute == 1260);
  CHECK(when.between[0].to_minute == 420);
  CHECK(when.between[1].from_minute == 570);
  CHECK(when.between[1].to_minute == 0);  // the next day begins
  CHECK(when.days == 0b1000001);
  CHECK(rules_of("  - {when: {between: \"00:00-24:00\"}, then: refuse}\n").rules[0].when.days == every_day);
  for (const char* period :
       {"21:00", "21-7", "24:00-07:00", "21:60-07:00", "21:00-7:0", "21:00-21:00", "aa:bb-cc:dd"}) {
    CAPTURE(period);
    CHECK_FALSE(rule_problem("{when: {between: \"" + std::string(period) + "\"}, then: refuse}").empty());
  }
  CHECK(rule_problem("{when: {days: [sunn]}, then: refuse}").find("did you mean 'sun'?") != std::string::npos);
}

TEST_CASE("What a rule names must be there") {
  CHECK(rule_problem("{when: {listed: add}, then: block}") ==
        "5:21: 'add' is not an entry of 'lists'; did you mean 'ads'?\n");
  CHECK(rule_problem("{when: {group: kid}, then: block}") == "5:20: 'kid' is not a group; did you mean 'kids'?\n");
  CHECK(rule_problem("{when: {device: tabelt}, then: block}") ==
        "5:21: 'tabelt' is not an entry of 'devices'; did you mean 'tablet'?\n");
  CHECK(rule_problem("{when: {type: AAA}, then: block}").find("did you mean") != std::string::npos);
  CHECK(rule_problem("{when: {name: a.example}, then: {forward: nowhere}}").find("is not an entry of 'upstreams'") !=
        std::string::npos);
}

TEST_CASE("A condition that names nothing is a mistake, for it would match everything") {
  CHECK(rule_problem("{when: {listed: []}, then: block}") ==
        "5:21: 'listed' names nothing; leave it out to match everything\n");
}

TEST_CASE("A rule says one thing to do") {
  CHECK(rule_problem("{when: {type: ANY}}") ==
        "5:5: the rule does not say what to do; then: block would be an example\n");
  CHECK(rule_problem("{when: {type: ANY}, then: blok}") == "5:31: 'blok' is not an action; did you mean 'block'?\n");
  CHECK(rule_problem("{then: {rewrite: 192.0.2.1, forward: default}}") == "5:12: one action, not two\n");
  CHECK(rule_problem("{then: {}}") == "5:12: this says nothing to do\n");
  CHECK(rule_problem("block").find("expected a rule") != std::string::npos);
}

TEST_CASE("A rewrite leads to addresses or to one name") {
  const auto settings = rules_of(
      "  - {when: {name: a.example}, then: {rewrite: [192.0.2.1, \"2001:db8::1\"]}}\n"
      "  - {when: {name: b.example}, then: {rewrite: Other.Example}}\n");
  REQUIRE(settings.rewrites.size() == 2);
  CHECK(settings.rewrites[std::get<Rewrite>(settings.rules[0].then).target].addresses.size() == 2);
  CHECK(settings.rewrites[std::get<Rewrite>(settings.rules[1].then).target].cname->to_string() == "other.example");
  CHECK_FALSE(rule_problem("{then: {rewrite: [192.0.2.1, other.example]}}").empty());
  CHECK_FALSE(rule_problem("{then: {rewrite: []}}").empty());
}

TEST_CASE("What nothing decides, and what blocking answers, is said") {
  const Settings settings =
      settings_of("otherwise: refuse\nblock_response: [192.0.2.1, \"2001:db8::1\"]\nblock_ttl: 1m\n");
  CHECK(std::holds_alternative<Refuse>(settings.live.policy.otherwise));
  CHECK(settings.live.block.response == BlockResponse::address);
  CHECK(settings.live.block.v4->to_string() == "192.0.2.1");
  CHECK(settings.live.block.v6->to_string() == "2001:db8::1");
  CHECK(settings.live.block.ttl_seconds == 60);
  CHECK(settings_of("block_response: nxdomain\n").live.block.response == BlockResponse::nxdomain);
  CHECK(std::holds_alternative<Forward>(settings_of("").live.policy.otherwise));
  CHECK(problems_of("block_response: [192.0.2.1, 192.0.2.2]\n").find("a second address") != std::string::npos);
  CHECK(problems_of("block_response: nxdomian\n").find("did you mean 'nxdomain'?") != std::string::npos);
}

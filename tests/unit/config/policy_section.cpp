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

TEST_CASE("Names may be expressions and wildcards") {
  const auto settings = rules_of("  - {when: {name: [\"/^ad[0-9]+/\", \"track*.b.example\"]}, then: block}\n");
  const auto& names = settings.rules[0].when.names;
  REQUIRE(names.size() == 2);
  CHECK(names[0].kind == NamePattern::Kind::expression);
  CHECK(names[1].name.to_string() == "b.example");
  CHECK(rule_problem("{when: {name: \"/(ab/\"}, then: block}") ==
        "5:19: '/(ab/' is not a regular expression: missing ): (ab\n");
  CHECK(rule_problem("{when: {name: \"a*..b\"}, then: block}").find("with or without '*'") != std::string::npos);
}

TEST_CASE("Services, interfaces, and whom a query was meant for are read into a rule") {
  const auto settings = rules_of(
      "  - {when: {service: [tiktok, netflix], interface: [br-guest, br-lan]}, then: block}\n"
      "  - {when: {interface: br-lan, meant_for: [8.8.8.8, \"operator:Google\", \"country:cn\"]}, then: refuse}\n");
  const Condition& first = settings.rules[0].when;
  CHECK(first.service_names.size() > 10);
  CHECK(settings.interfaces == std::vector<std::string>{"br-guest", "br-lan"});
  CHECK(first.interfaces == 0b11);
  const Condition& second = settings.rules[1].when;
  CHECK(second.interfaces == 0b10);
  CHECK(second.meant_for.networks.size() == 1);
  CHECK(second.meant_for.operators == std::vector<std::string>{"Google"});
  CHECK(second.meant_for.countries[0].to_string() == "CN");
  CHECK(rule_problem("{when: {service: tiktak}, then: block}") ==
        "5:22: 'tiktak' is not a service that Doline knows (`doline services` lists them); did you mean 'tiktok'?\n");
  CHECK(rule_problem("{when: {meant_for: google}, then: block}").find("operator:Google") != std::string::npos);
  CHECK(rule_problem("{when: {meant_for: \"country:C1\"}, then: block}").find("ISO 3166") != std::string::npos);
}

TEST_CASE("Rules about answers need their databases, and do what can be done with an answer") {
  const std::string places = "geo: {country: c.mmdb, asn: a.mmdb}\n";
  const auto settings =
      settings_of(places +
                  "rules:\n  - {when: {answer_country: [CN, ru], answer_asn: [4134, AS7], answer_address: "
                  "0.0.0.0/8}, then: {rewrite: 192.0.2.1}}\n");
  const AnswerCondition& answer = settings.live.policy.rules[0].when.answer;
  CHECK(answer.countries.size() == 2);
  CHECK(answer.asns == std::vector<std::uint32_t>{4134, 7});
  CHECK(answer.networks.size() == 1);
  CHECK(settings.live.country_file.filename() == "c.mmdb");
  CHECK(rule_problem("{when: {answer_asn: 7}, then: block}").find("'geo: {asn: FILE}'") != std::string::npos);
  for (const char* then : {"truncate", "{forward: default, delay: 1s}", "{rewrite: a.example}", "{safe_search: bing}"})
    CHECK(rule_problem("{when: {answer_address: 10.0.0.0/8}, then: " + std::string(then) + "}")
              .find("an answer that is there already") != std::string::npos);
  CHECK(problems_of(places + "rules: [{when: {answer_asn: ASX}, then: block}]\n").find("4134 or AS4134") !=
        std::string::npos);
}

TEST_CASE("Actions may be late, truncated, or safe searches") {
  const auto settings = rules_of(
      "  - {then: {delay: 200ms}}\n"
      "  - {then: {delay: 1s, forward: default}}\n"
      "  - {then: truncate}\n"
      "  - {then: {safe_search: [bing, youtube]}}\n");
  CHECK(std::get<Forward>(settings.rules[0].then).delay_ms == 200);
  CHECK(std::get<Forward>(settings.rules[1].then).delay_ms == 1'000);
  CHECK(std::holds_alternative<Truncate>(settings.rules[2].then));
  CHECK(settings.rules[3].safe_search.size() == 8);
  CHECK(settings.rewrites.size() == 2);
  CHECK_FALSE(rule_problem("{then: {delay: 11s}}").empty());
  CHECK(rule_problem("{then: {delay: 1s, rewrite: 192.0.2.1}}").find("one action, not two") != std::string::npos);
  CHECK(rule_problem("{then: {safe_search: gogle}}").find("did you mean 'google'?") != std::string::npos);
}

TEST_CASE("Rebinding, rate limit and trusted routers are read") {
  const auto settings = settings_of(
      "rebinding: {protect: true, allow: [Plex.direct]}\nrate_limit: {per_device: 6000/m}\n"
      "redirect: {mode: \"off\", trusted_routers: 192.168.1.1}\n");
  CHECK(settings.live.rebinding.protect);
  CHECK(settings.live.rebinding.allow[0].to_string() == "plex.direct");
  CHECK(settings.live.rate_limit == doline::resolver::RateLimit{6'000, doline::seconds(60)});
  CHECK(settings.live.trusted_routers.size() == 1);
  CHECK(settings_of("rate_limit: unlimited\n").live.rate_limit.queries == 0);
  CHECK(problems_of("rate_limit: {per_device: 300}\n").find("300/s, 6000/m or unlimited") != std::string::npos);
}

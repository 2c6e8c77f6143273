#include "policy/decide.h"

#include <doctest/doctest.h>

#include <stdlib.h>
#include <time.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "unit/policy/compiled_lists.h"
#include "unit/policy/query.h"

using namespace doline::policy;
using doline::IpAddress;
using doline::IpPrefix;
using doline::blocklist::ListId;
using doline::blocklist::ListSet;
using doline::dns::Name;
using doline::dns::RecordType;
using Kind = NamePattern::Kind;

namespace {

Rule rule(Action then, Condition when = {}, Mode mode = Mode::enforce) {
  Rule made;
  made.when = std::move(when);
  made.then = then;
  made.mode = mode;
  return made;
}

Condition when_name(const char* name, Kind kind = Kind::subtree) {
  Condition when;
  when.names = {{kind, *Name::parse(name)}};
  return when;
}

Condition when_listed(std::vector<ListId> lists) {
  Condition when;
  when.lists = std::move(lists);
  return when;
}

RuleBook book_of(std::vector<Rule> rules, std::vector<ListPolicy> lists = {}, Action otherwise = Forward{}) {
  RuleBookSettings settings;
  settings.rules = std::move(rules);
  settings.lists = std::move(lists);
  settings.otherwise = otherwise;
  return RuleBook(std::move(settings));
}

Verdict decide(const RuleBook& book, const Query& query, const ListSet& lists = *ListSet::none()) {
  return doline::policy::decide(book, lists, query.asking());
}

/// Does a lone rule with this condition match?
bool matches(const Condition& when, const Query& query) {
  return decide(book_of({rule(Refuse{}, when)}), query).reason.rule == RuleId{0};
}

const ListPolicy block{"block", ListKind::block, Mode::enforce};
const ListPolicy allow{"allow", ListKind::allow, Mode::enforce};
const ListPolicy watched{"watched", ListKind::block, Mode::observe};
const ListPolicy watched_allow{"watched-allow", ListKind::allow, Mode::observe};

}  // namespace

TEST_CASE("without rules and lists `otherwise` decides") {
  const Verdict verdict = decide(book_of({}), Query("www.example"));
  CHECK(verdict.forwards());
  CHECK(verdict.reason.rule == no_rule);
  CHECK(verdict.reason.listing.is_empty());
  CHECK_FALSE(verdict.reason.list);
  CHECK_FALSE(verdict.observed);
  CHECK(decide(book_of({}, {}, NxDomain{}), Query("www.example")).action == Action(NxDomain{}));
}

TEST_CASE("the first rule that matches decides") {
  const auto book = book_of({rule(Drop{}, when_name("other.example")), rule(Refuse{}), rule(NxDomain{})});
  const Verdict verdict = decide(book, Query("www.example"));
  CHECK(verdict.action == Action(Refuse{}));
  CHECK(verdict.reason.rule == RuleId{1});
}

TEST_CASE("a name stands for itself and all below, =name for itself, *.name for all below") {
  CHECK(matches(when_name("example.com"), Query("example.com")));
  CHECK(matches(when_name("example.com"), Query("a.b.EXAMPLE.com")));
  CHECK_FALSE(matches(when_name("example.com"), Query("notexample.com")));
  CHECK_FALSE(matches(when_name("example.com"), Query("com")));
  CHECK(matches(when_name("example.com", Kind::exact), Query("Example.COM")));
  CHECK_FALSE(matches(when_name("example.com", Kind::exact), Query("a.example.com")));
  CHECK(matches(when_name("example.com", Kind::below), Query("a.example.com")));
  CHECK(matches(when_name("example.com", Kind::below), Query("a.b.example.com")));
  CHECK_FALSE(matches(when_name("example.com", Kind::below), Query("example.com")));
  CHECK(matches(when_name("."), Query("www.example")));
  CHECK(matches(when_name("."), Query(".")));
  CHECK_FALSE(matches(when_name(".", Kind::below), Query(".")));
}

TEST_CASE("inside one condition any value matches") {
  Condition when = when_name("a.example");
  when.names.push_back({Kind::exact, *Name::parse("b.example")});
  CHECK(matches(when, Query("x.a.example")));
  CHECK(matches(when, Query("b.example")));
  CHECK_FALSE(matches(when, Query("x.b.example")));
}

TEST_CASE("all conditions of a rule must hold") {
  Condition when = when_name("a.example");
  when.device_names = {"camera", "phone"};
  when.types = {RecordType::any, RecordType::aaaa};
  CHECK(matches(when, Query("a.example", RecordType::aaaa)));
  CHECK(matches(when, Query("a.example", RecordType::any).by("phone")));
  CHECK_FALSE(matches(when, Query("a.example", RecordType::a)));
  CHECK_FALSE(matches(when, Query("a.example", RecordType::aaaa).by("tv")));
  CHECK_FALSE(matches(when, Query("b.example", RecordType::aaaa)));
}

TEST_CASE("groups, networks and interception are conditions") {
  Condition group;
  group.groups = 0b110;
  CHECK(matches(group, Query("a.example").in_groups(0b100)));
  CHECK(matches(group, Query("a.example").in_groups(0b011)));
  CHECK_FALSE(matches(group, Query("a.example").in_groups(0b001)));
  CHECK_FALSE(matches(group, Query("a.example")));
  Condition last_group;
  last_group.groups = std::uint64_t{1} << 63;
  CHECK(matches(last_group, Query("a.example").in_groups(~std::uint64_t{0})));

  Condition network;
  network.networks = {*IpPrefix::parse("192.168.60.0/24"), *IpPrefix::parse("fd60::/64")};
  CHECK(matches(network, Query("a.example").from("192.168.60.7")));
  CHECK(matches(network, Query("a.example").from("fd60::7")));
  CHECK_FALSE(matches(network, Query("a.example").from("192.168.61.7")));

  Condition intercepted, not_intercepted;
  intercepted.intercepted = true;
  not_intercepted.intercepted = false;
  CHECK(matches(intercepted, Query("a.example").meant_for("114.114.114.114")));
  CHECK_FALSE(matches(intercepted, Query("a.example")));
  CHECK(matches(not_intercepted, Query("a.example")));
  CHECK_FALSE(matches(not_intercepted, Query("a.example").meant_for("114.114.114.114")));
}

TEST_CASE("a period lies within a day, and its end is not in it") {
  Condition when;
  when.between = {{9 * 60, 17 * 60 + 30}};
  when.days = 0b0011111;  // Monday to Friday
  CHECK(matches(when, Query("a.example").at(0, 9)));
  CHECK(matches(when, Query("a.example").at(4, 17, 29)));
  CHECK_FALSE(matches(when, Query("a.example").at(4, 17, 30)));
  CHECK_FALSE(matches(when, Query("a.example").at(0, 8, 59)));
  CHECK_FALSE(matches(when, Query("a.example").at(5, 12)));
}

TEST_CASE("a period over midnight belongs to the day on which it begins") {
  Condition when;
  when.between = {{21 * 60, 7 * 60}};
  when.days = 1 << 6;  // Sunday
  CHECK(matches(when, Query("a.example").at(6, 21)));
  CHECK(matches(when, Query("a.example").at(6, 23, 59)));
  CHECK(matches(when, Query("a.example").at(0, 6, 59)));  // Monday morning
  CHECK_FALSE(matches(when, Query("a.example").at(0, 7)));
  CHECK_FALSE(matches(when, Query("a.example").at(6, 6, 59)));
  CHECK_FALSE(matches(when, Query("a.example").at(6, 20, 59)));
  CHECK_FALSE(matches(when, Query("a.example").at(0, 21)));
}

TEST_CASE("a period that ends when it begins is a whole day from then, and days count alone too") {
  Condition all_day;
  all_day.between = {{6 * 60, 6 * 60}};
  all_day.days = 1 << 2;  // Wednesday
  CHECK(matches(all_day, Query("a.example").at(2, 6)));
  CHECK(matches(all_day, Query("a.example").at(3, 5, 59)));
  CHECK_FALSE(matches(all_day, Query("a.example").at(3, 6)));
  Condition days;
  days.days = 1 << 2;
  CHECK(matches(days, Query("a.example").at(2, 0)));
  CHECK_FALSE(matches(days, Query("a.example").at(3, 0)));
}

TEST_CASE("an observing rule never stops the walk, and the first is kept") {
  const auto book = book_of({rule(NxDomain{}, when_name("other.example"), Mode::observe),
                             rule(NoData{}, when_name("example"), Mode::observe), rule(Drop{}, {}, Mode::observe),
                             rule(Refuse{}), rule(Sinkhole{}, {}, Mode::observe)});
  const Verdict verdict = decide(book, Query("www.example"));
  CHECK(verdict.action == Action(Refuse{}));
  CHECK(verdict.reason.rule == RuleId{3});
  REQUIRE(verdict.observed);
  CHECK(verdict.observed->rule == RuleId{1});
  CHECK(verdict.observed->action == Action(NoData{}));
}

TEST_CASE("an observing rule below the one that decides is not reached") {
  const auto book = book_of({rule(Refuse{}), rule(Sinkhole{}, {}, Mode::observe)});
  CHECK_FALSE(decide(book, Query("www.example")).observed);
}

TEST_CASE("a rule with lists matches what one of its lists names, and says which") {
  const auto lists = compile_lists({"a.example", "b.example", "c.example"});
  const auto book = book_of({rule(NxDomain{}, when_listed({{0}, {1}}))}, {block, block, watched});
  const Verdict verdict = decide(book, Query("x.b.example"), *lists);
  CHECK(verdict.action == Action(NxDomain{}));
  CHECK(verdict.reason.rule == RuleId{0});
  CHECK(verdict.reason.list == ListId{1});
  CHECK(verdict.reason.listing.count == 1);
  const Verdict other = decide(book, Query("d.example"), *lists);
  CHECK(other.forwards());
  CHECK(other.reason.rule == no_rule);
}

TEST_CASE(
    "lists named together are judged together: an allow list among them forwards, but only where it names the name") {
  const auto lists = compile_lists({"ads.example", "good.ads.example"});
  const auto book = book_of({rule(NxDomain{}, when_listed({{0}, {1}}))}, {block, allow});
  CHECK(decide(book, Query("bad.ads.example"), *lists).action == Action(NxDomain{}));
  const Verdict verdict = decide(book, Query("good.ads.example"), *lists);
  CHECK(verdict.forwards());
  CHECK(verdict.reason.rule == RuleId{0});
  CHECK(verdict.reason.list == ListId{1});
}

TEST_CASE("an allow list wins over a block list that names more of the name") {
  const auto lists = compile_lists({"bad.ads.example", "example"});
  const auto book = book_of({rule(NxDomain{}, when_listed({{0}, {1}}))}, {block, allow});
  const Verdict verdict = decide(book, Query("bad.ads.example"), *lists);
  CHECK(verdict.forwards());
  CHECK(verdict.reason.list == ListId{1});
}

TEST_CASE("what an allow list forwards goes where the rule forwards") {
  const auto lists = compile_lists({"corp.example"});
  const auto book = book_of({rule(Forward{{7}}, when_listed({{0}}))}, {allow});
  CHECK(decide(book, Query("www.corp.example"), *lists).action == Action(Forward{{7}}));
}

TEST_CASE("lists that no rule names are one last rule: allow before block") {
  const auto lists = compile_lists({"ads.example", "good.ads.example", "named.example"});
  const auto book = book_of({rule(Drop{}, when_listed({{2}})), rule(Refuse{}, when_name("first.ads.example"))},
                            {block, allow, block});
  const Verdict blocked = decide(book, Query("bad.ads.example"), *lists);
  CHECK(blocked.action == Action(Sinkhole{}));
  CHECK(blocked.reason.rule == lists_rule);
  CHECK(blocked.reason.list == ListId{0});
  const Verdict allowed = decide(book, Query("good.ads.example"), *lists);
  CHECK(allowed.forwards());
  CHECK(allowed.reason.rule == lists_rule);
  CHECK(allowed.reason.list == ListId{1});
  CHECK(decide(book, Query("named.example"), *lists).reason.rule == RuleId{0});
  CHECK(decide(book, Query("first.ads.example"), *lists).reason.rule == RuleId{1});
  CHECK(decide(book, Query("other.example"), *lists).reason.rule == no_rule);
}

TEST_CASE("a list of DoH servers blocks only where a rule names it") {
  const ListPolicy doh{"doh", ListKind::doh, Mode::enforce};
  const auto lists = compile_lists({"dns.example"});
  CHECK(decide(book_of({}, {doh}), Query("dns.example"), *lists).reason.rule == no_rule);
  CHECK(decide(book_of({rule(NxDomain{}, when_listed({{0}}))}, {doh}), Query("dns.example"), *lists).action ==
        Action(NxDomain{}));
}

TEST_CASE("an allow list opens what `otherwise` closes") {
  const auto lists = compile_lists({"good.example"});
  CHECK(decide(book_of({}, {allow}, NxDomain{}), Query("good.example"), *lists).action == Action(Forward{}));
  CHECK(decide(book_of({}, {allow}, NxDomain{}), Query("other.example"), *lists).action == Action(NxDomain{}));
  CHECK(decide(book_of({}, {allow}, Forward{{2}}), Query("good.example"), *lists).action == Action(Forward{{2}}));
}

TEST_CASE("a list that observes decides nothing and is kept as what it would have done") {
  const auto lists = compile_lists({"ads.example"});
  for (const bool is_named : {false, true}) {
    CAPTURE(is_named);
    const auto book =
        book_of(is_named ? std::vector{rule(NxDomain{}, when_listed({{0}}))} : std::vector<Rule>{}, {watched});
    const Verdict verdict = decide(book, Query("ads.example"), *lists);
    CHECK(verdict.forwards());
    CHECK(verdict.reason.rule == no_rule);
    CHECK_FALSE(verdict.reason.list);
    REQUIRE(verdict.observed);
    CHECK(verdict.observed->rule == (is_named ? RuleId{0} : lists_rule));
    CHECK(verdict.observed->action == (is_named ? Action(NxDomain{}) : Action(Sinkhole{})));
  }
}

TEST_CASE("an observing list beside an enforced one changes nothing, unless it would have said something else") {
  const auto lists = compile_lists({"ads.example", "ads.example"});
  const Verdict same = decide(book_of({}, {block, watched}), Query("ads.example"), *lists);
  CHECK(same.action == Action(Sinkhole{}));
  CHECK(same.reason.list == ListId{0});
  CHECK_FALSE(same.observed);
  const Verdict other = decide(book_of({}, {block, watched_allow}), Query("ads.example"), *lists);
  CHECK(other.action == Action(Sinkhole{}));
  CHECK(other.reason.list == ListId{0});
  REQUIRE(other.observed);
  CHECK(other.observed->action == Action(Forward{}));
}

TEST_CASE("a list that only an observing rule names blocks nothing") {
  const auto lists = compile_lists({"ads.example"});
  const Verdict verdict =
      decide(book_of({rule(Sinkhole{}, when_listed({{0}}), Mode::observe)}, {block}), Query("ads.example"), *lists);
  CHECK(verdict.forwards());
  CHECK(verdict.reason.rule == no_rule);
  REQUIRE(verdict.observed);
  CHECK(verdict.observed->rule == RuleId{0});
}

TEST_CASE("of a thousand rules the right one is found, in order, whatever it asks for") {
  std::vector<Rule> rules;
  for (int i = 0; i < 1'000; ++i)
    rules.push_back(rule(NxDomain{}, when_name(("n" + std::to_string(i) + ".example").c_str())));
  Condition device;
  device.device_names = {"phone"};
  rules.push_back(rule(Drop{}, device));
  rules.push_back(rule(Sinkhole{}, when_name("example")));
  const auto book = book_of(std::move(rules));
  CHECK(decide(book, Query("a.n999.example")).reason.rule == RuleId{999});
  CHECK(decide(book, Query("n0.example")).reason.rule == RuleId{0});
  CHECK(decide(book, Query("a.n999.example").by("phone")).reason.rule == RuleId{999});
  CHECK(decide(book, Query("b.example").by("phone")).reason.rule == RuleId{1'000});
  CHECK(decide(book, Query("b.example")).reason.rule == RuleId{1'001});
  CHECK(decide(book, Query("b.test")).reason.rule == no_rule);
}

TEST_CASE("the most rules that a book may have are walked") {
  std::vector<Rule> rules(rules_max, rule(Drop{}, when_name("other.example")));
  rules.back().when = {};
  CHECK(decide(book_of(rules), Query("www.example")).reason.rule == RuleId{rules_max - 1});
  rules.back() = rules.front();
  CHECK(decide(book_of(rules), Query("www.example")).reason.rule == no_rule);
}

TEST_CASE("local time is that of the machine's zone") {
  const char* before = std::getenv("TZ");
  const std::string kept = before ? before : "";
  const auto wall = [](std::int64_t seconds_since_1970) {
    return doline::WallTime(doline::seconds(seconds_since_1970));
  };
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  CHECK(to_local_time(wall(0)).weekday == 3);  // 1 January 1970 was a Thursday
  CHECK(to_local_time(wall(0)).minute_of_day == 0);
  CHECK(to_local_time(wall(-1)).weekday == 2);
  CHECK(to_local_time(wall(-1)).minute_of_day == 23 * 60 + 59);
  ::setenv("TZ", "EST5", 1);
  ::tzset();
  CHECK(to_local_time(wall(4 * 86'400)).weekday == 6);  // Sunday evening there, Monday in UTC
  CHECK(to_local_time(wall(4 * 86'400)).minute_of_day == 19 * 60);
  before ? ::setenv("TZ", kept.c_str(), 1) : ::unsetenv("TZ");
  ::tzset();
}

TEST_CASE("what an exemption sets aside is only observed, and routes and rewrites stay") {
  RuleBookSettings settings;
  settings.rules = {rule(NxDomain{}, when_name("ads.example")), rule(Rewrite{0}, when_name("nas.example")),
                    rule(Forward{{1}}, when_name("corp.example"))};
  settings.rewrites.resize(1);
  settings.groups = {"kids", "guests"};
  settings.otherwise = Refuse{};
  const auto with = [&](Exemption exemption) {
    RuleBookSettings made = settings;
    made.exemptions = {std::move(exemption)};
    return RuleBook(std::move(made));
  };
  const RuleBook of_camera = with({"camera", "", {}, {}});
  const Verdict verdict = decide(of_camera, Query("x.ads.example"));
  CHECK(verdict.forwards());
  REQUIRE(verdict.observed.has_value());
  CHECK(verdict.observed->rule == RuleId{0});
  CHECK(verdict.observed->action == Action(NxDomain{}));
  CHECK(decide(of_camera, Query("nas.example")).action == Action(Rewrite{0}));
  CHECK(decide(of_camera, Query("corp.example")).action == Action(Forward{{1}}));
  CHECK(decide(of_camera, Query("ads.example").by("tv")).action == Action(NxDomain{}));

  const RuleBook of_kids = with({"", "kids", {}, {}});
  CHECK(decide(of_kids, Query("ads.example").in_groups(1)).forwards());
  CHECK(decide(of_kids, Query("ads.example").in_groups(2)).action == Action(NxDomain{}));

  const RuleBook of_name = with({"", "", *Name::parse("ads.example"), {}});
  CHECK(decide(of_name, Query("a.ads.example")).forwards());
  CHECK(decide(of_name, Query("other.example")).action == Action(Refuse{}));
  Query led("other.example");
  const Name asked = *Name::parse("www.ads.example"), not_exempt = *Name::parse("news.example");
  led.led_from = &asked;
  CHECK(decide(of_name, led).forwards());
  led.led_from = &not_exempt;
  CHECK(decide(of_name, led).action == Action(Refuse{}));
}

TEST_CASE("a rewrite that leads to the very name that is asked for passes it over, and so does `otherwise`") {
  RuleBookSettings settings;
  settings.rules = {rule(Rewrite{0}, when_name("video.example")), rule(NxDomain{}, when_name("x.video.example"))};
  settings.rewrites = {{{}, *Name::parse("strict.video.example")}, {{}, *Name::parse("portal.example")}};
  settings.otherwise = Rewrite{1};
  const RuleBook book(settings);
  CHECK(decide(book, Query("www.video.example")).action == Action(Rewrite{0}));
  CHECK(decide(book, Query("Strict.Video.example")).action == Action(Rewrite{1}));
  CHECK(decide(book, Query("news.example")).action == Action(Rewrite{1}));
  const Verdict portal = decide(book, Query("portal.example"));
  CHECK(portal.forwards());
  CHECK(portal.reason.rule == no_rule);
}

TEST_CASE("local time follows the zone's rules on the days on which the clock is changed") {
  const char* const before = std::getenv("TZ");
  const std::string kept = before != nullptr ? before : "";
  const auto in = [](const char* zone, std::int64_t since_1970) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    const LocalTime time = to_local_time(doline::WallTime(doline::seconds(since_1970)));
    return std::pair(time.minute_of_day, time.weekday);
  };
  constexpr int sunday = 6;
  // Berlin, 29 March 2026: 01:59:59 is followed by 03:00. 25 October 2026: 02:59:59 by 02:00 once more.
  CHECK(in(":Europe/Berlin", 1'774'745'999) == std::pair(119, sunday));
  CHECK(in(":Europe/Berlin", 1'774'746'000) == std::pair(180, sunday));
  CHECK(in(":Europe/Berlin", 1'792'889'999) == std::pair(179, sunday));
  CHECK(in(":Europe/Berlin", 1'792'890'000) == std::pair(120, sunday));
  // New York, 8 March 2026.
  CHECK(in(":America/New_York", 1'772'953'199) == std::pair(119, sunday));
  CHECK(in(":America/New_York", 1'772'953'200) == std::pair(180, sunday));
  if (before != nullptr)
    ::setenv("TZ", kept.c_str(), 1);
  else
    ::unsetenv("TZ");
  ::tzset();
}

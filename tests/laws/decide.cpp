// decide() against a slow and obvious reading of the same rules: on random rule books, lists and queries both say the
// same, twice, and explain() ends where decide() does.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "place_file.h"
#include "policy/decide.h"
#include "policy/explain.h"
#include "seeded.h"
#include "unit/policy/compiled_lists.h"
#include "unit/policy/query.h"

using namespace doline::policy;
using doline::IpAddress;
using doline::IpPrefix;
using doline::blocklist::ListId;
using doline::dns::Name;
using doline::dns::RecordType;
using doline::geo::Country;
using doline::geo::PlaceBook;
using doline::geo::PlaceKind;
using doline::geo::PlaceTable;
using doline::geo::ResolverBook;
using doline::tests::Seeded;

namespace {

const std::vector<std::string> devices{"camera", "phone", "tv", "unknown"};
const std::vector<RecordType> types{RecordType::a, RecordType::aaaa, RecordType::any};
const std::vector<std::string> networks{"192.168.1.0/24", "192.168.0.0/16", "fd00::/8", "10.1.2.3", "0.0.0.0/0"};
const std::vector<std::string> answers{"192.0.2.1", "198.51.100.7", "203.0.113.9", "2001:db8::5", "10.0.0.1"};
const std::vector<std::string> resolver_addresses{"8.8.8.8", "114.114.114.114", "192.0.2.7", "9.9.9.9"};
const std::vector<std::string> countries{"CN", "US", "DE"};
const std::vector<std::string> expressions{"^a", "b\\.c$", "c[ab]", "^(a|b)+\\."};

/// Where addresses are: known to both readings, in their own ways.
const std::string place_lines =
    "192.0.2.0/24 CN AS7\n"
    "198.51.100.0/24 US AS8\n"
    "2001:db8::/32 DE AS7\n";
std::string country_of(const std::string& address) {
  if (address.starts_with("192.0.2.")) return "CN";
  if (address.starts_with("198.51.100.")) return "US";
  return address.starts_with("2001:db8:") ? "DE" : "";
}
std::uint32_t asn_of(const std::string& address) {
  return address.starts_with("198.51.100.") ? 8 : country_of(address).empty() ? 0 : 7;
}
const PlaceBook& places() {
  static const PlaceBook book = [] {
    const std::string file = doline::tests::place_file(place_lines);
    const std::span<const std::uint8_t> octets(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
    return PlaceBook(*PlaceTable::read(octets, PlaceKind::country), *PlaceTable::read(octets, PlaceKind::asn));
  }();
  return book;
}
const ResolverBook& resolvers() {
  static const ResolverBook book = ResolverBook::read(
                                       "address,operator,country,protocols,hostname,note\n"
                                       "8.8.8.8,Google,US,plain,,\n114.114.114.114,114DNS,CN,plain,,\n")
                                       .book;
  return book;
}

const std::vector<std::string> clients{"192.168.1.7", "192.168.2.7", "fd00::7", "10.1.2.3", "2001:db8::1"};

/// Few labels of few letters, so that names often cover each other.
std::string random_name(Seeded& random) {
  std::string name;
  for (std::size_t labels = random.between(1, 4); labels-- > 0;) {
    name += static_cast<char>('a' + random.below(3));
    if (labels > 0) name += '.';
  }
  return name;
}

template <class T>
const T& pick(Seeded& random, const std::vector<T>& from) {
  return from[random.below(from.size())];
}

Action random_action(Seeded& random) {
  switch (random.below(8)) {
    case 0:
      return Forward{{static_cast<std::uint16_t>(random.below(3))}, static_cast<std::uint16_t>(random.below(2) * 200)};
    case 1:
      return Sinkhole{};
    case 2:
      return Rewrite{static_cast<std::uint16_t>(random.below(2))};
    case 3:
      return NxDomain{};
    case 4:
      return NoData{};
    case 5:
      return Refuse{};
    case 6:
      return Truncate{};
    default:
      return Drop{};
  }
}

Rule random_rule(Seeded& random, std::size_t lists) {
  Rule rule;
  Condition& when = rule.when;
  const auto some = [&](auto add) {
    for (std::size_t count = random.between(1, 3); count-- > 0;) add();
  };
  if (random.once_in(4)) some([&] { when.device_names.push_back(pick(random, devices)); });
  if (random.once_in(4)) some([&] { when.groups |= std::uint64_t{1} << (random.once_in(3) ? 63 : random.below(3)); });
  if (random.once_in(4)) some([&] { when.networks.push_back(*IpPrefix::parse(pick(random, networks))); });
  if (random.once_in(2))
    some([&] {
      if (random.once_in(6))
        when.names.push_back(
            {NamePattern::Kind::expression, {}, *doline::blocklist::Expression::compile(pick(random, expressions))});
      else if (random.once_in(6))
        when.names.push_back(
            *compile_wildcard((random.once_in(2) ? "=" : "") + random_name(random) + "*." + random_name(random)));
      else
        when.names.push_back({static_cast<NamePattern::Kind>(random.below(3)),
                              random.once_in(20) ? Name() : *Name::parse(random_name(random)),
                              {}});
    });
  if (random.once_in(8)) some([&] { when.service_names.push_back(*Name::parse(random_name(random))); });
  if (random.once_in(8)) when.interfaces = random.between(1, 7);
  if (random.once_in(8)) {
    if (random.once_in(2)) when.meant_for.networks.push_back(*IpPrefix::parse("8.8.0.0/16"));
    if (random.once_in(2)) when.meant_for.operators.push_back(random.once_in(2) ? "google" : "114dns");
    if (random.once_in(2)) when.meant_for.countries.push_back(*Country::parse(pick(random, countries)));
  }
  if (random.once_in(5)) {
    if (random.once_in(2)) some([&] { when.answer.countries.push_back(*Country::parse(pick(random, countries))); });
    if (random.once_in(3)) some([&] { when.answer.asns.push_back(random.once_in(2) ? 7 : 8); });
    if (random.once_in(3)) some([&] { when.answer.networks.push_back(*IpPrefix::parse(pick(random, networks))); });
  }
  if (random.once_in(10))
    some([&] {
      rule.safe_search.push_back({*Name::parse(random_name(random)), {static_cast<std::uint16_t>(random.below(2))}});
    });
  if (random.once_in(5)) some([&] { when.types.push_back(pick(random, types)); });
  if (random.once_in(5)) when.intercepted = random.once_in(2);
  if (random.once_in(6))
    some([&] {
      when.between.push_back({static_cast<int>(random.below(24)) * 60, static_cast<int>(random.below(24)) * 60});
    });
  if (random.once_in(6)) when.days = static_cast<std::uint8_t>(random.below(128));
  if (lists > 0 && random.once_in(2))
    some([&] { when.lists.push_back({static_cast<std::uint16_t>(random.below(lists))}); });
  rule.then = random_action(random);
  if (random.once_in(4)) rule.mode = Mode::observe;
  return rule;
}

// ── the obvious reading ──────────────────────────────────────────────────────────────────────────────────────────────

struct World {
  RuleBookSettings settings;                  // a rule's id is its position behind the locks
  std::vector<std::set<std::string>> listed;  // [list]: its names, which cover all below

  [[nodiscard]] bool lists_name(std::size_t list, std::string name) const {
    for (;;) {
      if (listed[list].contains(name)) return true;
      const auto dot = name.find('.');
      if (dot == std::string::npos) return false;
      name.erase(0, dot + 1);
    }
  }
};

bool ends_with_name(const std::string& name, const std::string& suffix) {
  return suffix == "." || name == suffix || name.ends_with("." + suffix);
}

bool holds_of_answer(const AnswerCondition& wanted, const std::string& address) {
  bool any = wanted.networks.empty();
  for (const IpPrefix& network : wanted.networks) any = any || network.contains(*IpAddress::parse(address));
  if (!any) return false;
  any = wanted.countries.empty();
  for (const Country country : wanted.countries) any = any || country.to_string() == country_of(address);
  if (!any) return false;
  any = wanted.asns.empty();
  for (const std::uint32_t asn : wanted.asns) any = any || asn == asn_of(address);
  return any;
}

bool is_meant_for(const MeantFor& meant_for, const Query& query) {
  if (!query.destination.is_intercepted()) return false;
  const std::string address = query.destination.endpoint.address.to_string();
  for (const IpPrefix& network : meant_for.networks)
    if (network.contains(query.destination.endpoint.address)) return true;
  const std::string owner = address == "8.8.8.8" ? "google" : address == "114.114.114.114" ? "114dns" : "";
  const std::string country = owner == "google" ? "US" : owner == "114dns" ? "CN" : country_of(address);
  for (const std::string& name : meant_for.operators)
    if (name == owner) return true;
  for (const Country one : meant_for.countries)
    if (one.to_string() == country) return true;
  return false;
}

bool holds(const Condition& when, const Query& query) {
  const std::string qname = query.lowered.to_string();
  if (!when.device_names.empty() &&
      std::count(when.device_names.begin(), when.device_names.end(), query.device.name) == 0)
    return false;
  if (when.groups != 0 && (when.groups & query.groups) == 0) return false;
  bool any = when.networks.empty();
  for (const IpPrefix& network : when.networks) any = any || network.contains(query.client);
  if (!any) return false;
  any = when.names.empty();
  for (const NamePattern& pattern : when.names) {
    const std::string suffix = pattern.name.to_string();
    if (pattern.kind == NamePattern::Kind::exact) any = any || qname == suffix;
    if (pattern.kind == NamePattern::Kind::subtree) any = any || ends_with_name(qname, suffix);
    if (pattern.kind == NamePattern::Kind::expression) any = any || pattern.expression->finds(query.lowered);
    if (pattern.kind == NamePattern::Kind::below) any = any || (ends_with_name(qname, suffix) && qname != suffix);
  }
  if (!any) return false;
  any = when.service_names.empty();
  for (const Name& name : when.service_names) any = any || ends_with_name(qname, name.to_string());
  if (!any) return false;
  if (when.interfaces != 0 && (when.interfaces & query.interfaces) == 0) return false;
  if (!when.meant_for.is_empty() && !is_meant_for(when.meant_for, query)) return false;
  any = when.answer.is_empty();
  for (const IpAddress& address : query.answer_addresses)
    any = any || holds_of_answer(when.answer, address.to_string());
  if (!any) return false;
  if (!when.types.empty() && std::count(when.types.begin(), when.types.end(), query.question.qtype) == 0) return false;
  if (when.intercepted && *when.intercepted != query.destination.is_intercepted()) return false;
  // The week's minutes, one by one, that the periods cover.
  std::vector<bool> covered(7 * 1440);
  for (int day = 0; day < 7; ++day) {
    if ((when.days >> day & 1) == 0) continue;
    const auto periods = when.between.empty() ? std::vector<Period>{{0, 1440}} : when.between;
    for (const Period& period : periods) {
      const int end = period.to_minute > period.from_minute ? period.to_minute : period.to_minute + 1440;
      for (int minute = period.from_minute; minute < end; ++minute) covered[(day * 1440 + minute) % (7 * 1440)] = true;
    }
  }
  return covered[query.time.weekday * 1440 + query.time.minute_of_day];
}

/// Is it refused to its device, which asks for the name itself?
bool holds(const Lock& lock, const Query& query) {
  if (lock.device != query.device.name || query.led_from != nullptr) return false;
  const std::string qname = query.lowered.to_string();
  for (const Name& name : lock.subtrees)
    if (ends_with_name(qname, name.to_string())) return false;
  for (const Name& name : lock.names)
    if (qname == name.to_string()) return false;
  return true;
}

/// What the lists `named` make of the name; `everything`: also those that observe.
std::optional<Action> judge_lists(const World& world, const std::vector<ListId>& named, const Query& query, Action then,
                                  bool everything, const Action& allowed) {
  bool blocks = false, allows = false;
  for (const ListId list : named) {
    const ListPolicy& policy = world.settings.lists[list.value];
    if (!world.lists_name(list.value, query.lowered.to_string())) continue;
    if (policy.mode == Mode::observe && !everything) continue;
    (policy.kind == ListKind::allow ? allows : blocks) = true;
  }
  if (allows) return allowed;
  if (blocks) return then;
  return std::nullopt;
}

Verdict decide_obviously(const World& world, const Query& query) {
  Verdict verdict;
  std::vector<ListId> free_lists;
  for (std::uint16_t i = 0; i < world.settings.lists.size(); ++i) {
    bool is_named = false;
    for (const Rule& rule : world.settings.rules)
      for (const ListId list : rule.when.lists) is_named = is_named || list.value == i;
    if (!is_named) free_lists.push_back({i});
  }
  const auto step = [&](RuleId id, std::optional<Action> everything, std::optional<Action> enforced) {
    if (everything && everything != enforced && !verdict.observed) verdict.observed = {id, *everything};
    if (!enforced) return false;
    verdict.action = *enforced;
    verdict.reason.rule = id;
    return true;
  };
  const auto locks = static_cast<std::uint16_t>(world.settings.locks.size());
  for (std::uint16_t i = 0; i < locks; ++i) {
    const Lock& lock = world.settings.locks[i];
    if (!holds(lock, query)) continue;
    const auto enforced = lock.mode == Mode::enforce ? std::optional<Action>(Refuse{}) : std::nullopt;
    if (step({i}, Refuse{}, enforced)) return verdict;
  }
  for (std::uint16_t i = 0; i < world.settings.rules.size(); ++i) {
    const Rule& rule = world.settings.rules[i];
    if (!holds(rule.when, query)) continue;
    Action then = rule.then;
    if (!rule.safe_search.empty()) {
      const auto safe = std::find_if(rule.safe_search.begin(), rule.safe_search.end(),
                                     [&](const SafeName& one) { return one.name == query.lowered; });
      if (safe == rule.safe_search.end()) continue;
      then = safe->to;
    }
    std::optional<Action> everything = then, enforced = then;
    if (!rule.when.lists.empty()) {
      const Action allowed = std::holds_alternative<Forward>(rule.then) ? rule.then : Action(Forward{});
      everything = judge_lists(world, rule.when.lists, query, then, true, allowed);
      enforced = judge_lists(world, rule.when.lists, query, then, false, allowed);
    }
    if (rule.mode == Mode::observe) enforced.reset();
    if (step({static_cast<std::uint16_t>(locks + i)}, everything, enforced)) return verdict;
  }
  const auto of_lists = [&](bool everything) -> std::optional<Action> {
    const auto said = judge_lists(world, free_lists, query, Sinkhole{}, everything, Forward{});
    if (said && std::holds_alternative<Forward>(*said) && std::holds_alternative<Forward>(world.settings.otherwise))
      return world.settings.otherwise;
    return said;
  };
  if (step(lists_rule, of_lists(true), of_lists(false))) return verdict;
  verdict.action = world.settings.otherwise;
  return verdict;
}

// ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

Query random_query(Seeded& random) {
  Query query(random_name(random), pick(random, types));
  query.by(pick(random, devices)).from(pick(random, clients));
  query.in_groups(random.below(8) | (random.once_in(2) ? std::uint64_t{1} << 63 : 0));
  if (random.once_in(2)) query.meant_for(pick(random, resolver_addresses));
  query.interfaces = random.below(8);
  static const Name elsewhere = *Name::parse("elsewhere.example");
  if (random.once_in(10)) query.led_from = &elsewhere;
  query.resolvers = &resolvers();
  query.places = &places();
  return query.at(static_cast<int>(random.below(7)), static_cast<int>(random.below(24)),
                  static_cast<int>(random.below(60)));
}

void check_equal(const Verdict& left, const Verdict& right) {
  CHECK(left.action == right.action);
  CHECK(left.reason.rule == right.reason.rule);
  REQUIRE(left.observed.has_value() == right.observed.has_value());
  if (!left.observed) return;
  CHECK(left.observed->rule == right.observed->rule);
  CHECK(left.observed->action == right.observed->action);
}

/// The answer comes: what was decided stands, unless a rule above it that speaks of answers says otherwise; as if the
/// answer had been there from the beginning.
void check_answered(Seeded& random, const World& world, const RuleBook& book, const doline::blocklist::ListSet& lists,
                    Query query) {
  const Verdict before = decide(book, lists, query.asking());
  for (std::size_t count = random.below(4); count-- > 0;)
    query.answer_addresses.push_back(*IpAddress::parse(pick(random, answers)));
  const Verdict expected = decide_obviously(world, query);
  const Review found = review(book, lists, query.asking(), before.reason.rule);
  const Verdict after = found.verdict.value_or(before);
  CHECK(after.action == expected.action);
  CHECK(after.reason.rule == expected.reason.rule);
  if (found.verdict) CHECK_FALSE(book.rule(after.reason.rule).when.answer.is_empty());
  if (found.verdict || found.observed) CHECK(book.speaks_of_answers_above(before.reason.rule));
  std::optional<Observed> observed = before.observed;
  if (found.observed && (!observed || found.observed->rule < observed->rule)) observed = found.observed;
  if (observed && expected.reason.rule < observed->rule) observed.reset();
  REQUIRE(observed.has_value() == expected.observed.has_value());
  if (observed) CHECK(observed->rule == expected.observed->rule);
  if (!before.forwards()) return;
  const Explanation explanation = explain(book, lists, query.asking());
  check_equal(explanation.verdict, expected);
}

void check_world(Seeded& random, std::size_t rules, std::size_t lists, int queries) {
  World world;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < lists; ++i) {
    world.settings.lists.push_back({"list", random.once_in(3) ? ListKind::allow : ListKind::block,
                                    random.once_in(4) ? Mode::observe : Mode::enforce});
    std::string text;
    world.listed.emplace_back();
    for (std::size_t names = random.between(1, 6); names-- > 0;) {
      const std::string name = random_name(random);
      if (name.find('.') == std::string::npos) continue;  // no list file names a top-level domain alone
      world.listed.back().insert(name);
      text += name + "\n";
    }
    if (text.empty()) {
      world.listed.back().insert("x.y.z.w");
      text = "x.y.z.w\n";
    }
    texts.push_back(text);
  }
  for (std::size_t i = 0; i < rules; ++i) world.settings.rules.push_back(random_rule(random, lists));
  for (std::size_t locks = random.once_in(3) ? random.between(1, 3) : 0; locks > 0; --locks) {
    Lock& lock = world.settings.locks.emplace_back();
    lock.device = devices[locks];
    lock.mode = random.once_in(4) ? Mode::observe : Mode::enforce;
    for (std::size_t names = random.below(4); names > 0; --names)
      (random.once_in(2) ? lock.subtrees : lock.names).push_back(*Name::parse(random_name(random)));
  }
  world.settings.rewrites.resize(2);
  world.settings.interfaces = {"lan0", "lan1", "lan2"};
  world.settings.otherwise = random.once_in(2) ? Action(Forward{{1}}) : random_action(random);
  const RuleBook book(world.settings);
  const auto compiled = compile_lists(texts);
  for (int i = 0; i < queries; ++i) {
    const Query query = random_query(random);
    CAPTURE(query.lowered.to_string());
    const Verdict verdict = decide(book, *compiled, query.asking());
    check_equal(verdict, decide_obviously(world, query));
    check_answered(random, world, book, *compiled, query);
    check_equal(verdict, decide(book, *compiled, query.asking()));
    if (verdict.reason.list) {
      CHECK(world.lists_name(verdict.reason.list->value, query.lowered.to_string()));
      CHECK(world.settings.lists[verdict.reason.list->value].mode == Mode::enforce);
    }
    const Explanation explanation = explain(book, *compiled, query.asking());
    check_equal(explanation.verdict, verdict);
    REQUIRE_FALSE(explanation.steps.empty());
    const Step& last = explanation.steps.back();
    CHECK(last.outcome == Step::Outcome::decided);
    CHECK(last.rule == verdict.reason.rule);
    CHECK(last.action == verdict.action);
    CHECK(last.list == verdict.reason.list);
    const auto observed = std::find_if(explanation.steps.begin(), explanation.steps.end(),
                                       [](const Step& step) { return step.outcome == Step::Outcome::observed; });
    REQUIRE((observed != explanation.steps.end()) == verdict.observed.has_value());
    if (verdict.observed) CHECK(observed->rule == verdict.observed->rule);
  }
}

}  // namespace

TEST_CASE("decide says what an obvious reading of the rules says, always the same, and explain ends there") {
  Seeded random;
  INFO(random.replay());
  for (int i = 0; i < 150; ++i) check_world(random, random.below(12), random.below(6), 60);
}

TEST_CASE("so it is with many rules and many lists") {
  Seeded random;
  INFO(random.replay());
  check_world(random, 1'000, 150, 1'000);
  check_world(random, 63, 64, 300);
  check_world(random, 62, 65, 300);
}

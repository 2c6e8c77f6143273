// What lists say together, against a slow and obvious reading of their lines: on random lists of every format that says
// more than names, the compiled set and decide() come to one of the words that count most.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "blocklist/compile.h"
#include "policy/decide.h"
#include "policy/weigh.h"
#include "seeded.h"
#include "temporary_folder.h"
#include "unit/policy/query.h"

using namespace doline;
using namespace doline::policy;
using blocklist::Entry;
using blocklist::Listed;
using blocklist::ListFormat;
using blocklist::ListRule;
using Effect = blocklist::ListRule::Effect;
using tests::Seeded;

namespace {

std::string random_name(Seeded& random) {
  std::string name;
  for (std::size_t labels = random.between(2, 4); labels-- > 0;) {
    name += static_cast<char>('a' + random.below(3));
    if (labels > 0) name += '.';
  }
  return name;
}

template <class T>
T pick(Seeded& random, std::initializer_list<T> from) {
  return *(from.begin() + static_cast<std::ptrdiff_t>(random.below(from.size())));
}

std::string random_line(Seeded& random, ListFormat format) {
  const std::string name = random_name(random);
  if (format == ListFormat::hosts)
    return pick<const char*>(random, {"0.0.0.0 ", "192.0.2.1 ", "192.0.2.2 ", "2001:db8::1 "}) + name;
  if (format == ListFormat::domains) return pick<const char*>(random, {"", "*."}) + name;
  if (format == ListFormat::rpz)
    return pick<const char*>(random, {"", "*."}) + name + ' ' +
           pick<const char*>(random, {"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-drop.", "A 192.0.2.3",
                                      "AAAA 2001:db8::3", "CNAME other.z"});
  if (format == ListFormat::dnsmasq)
    return random.once_in(4) ? "server=/" + name + "/#"
                             : pick<const char*>(random, {"address=/", "local=/", "address=/*."}) + name + '/';
  if (format == ListFormat::unbound)
    return random.once_in(3) ? "local-data: \"" + name + " A 192.0.2.5\""
                             : "local-zone: " + name + ' ' +
                                   pick<const char*>(random, {"static", "always_transparent", "transparent", "block_a",
                                                              "typetransparent", "redirect"});
  std::string line = random.once_in(3) ? "@@" : "";
  line += random.once_in(5) ? "/^" + std::string(1, name[0]) + "/"
                            : pick<const char*>(random, {"||", "||", "|", "*."}) + name + '^';
  std::vector<std::string> modifiers;
  const auto maybe = [&](std::size_t one_in, const std::string& modifier) {
    if (random.once_in(one_in)) modifiers.push_back(modifier);
  };
  maybe(4, "important");
  maybe(6, pick<const char*>(random, {"client=phone", "client=~phone", "client=192.168.1.0/24", "client=kids"}));
  maybe(8, pick<const char*>(random, {"dnstype=A", "dnstype=~A"}));
  maybe(8, "denyallow=a." + random_name(random));
  maybe(8, pick<const char*>(random, {"ctag=kids", "ctag=~kids"}));
  maybe(4, pick<const char*>(
               random, {"dnsrewrite=192.0.2.4", "dnsrewrite=NXDOMAIN", "dnsrewrite=REFUSED;;", "dnsrewrite=other.z"}));
  if (line.starts_with("@@")) maybe(10, "dnsrewrite");
  maybe(10, "badfilter");
  for (std::size_t at = 0; at < modifiers.size(); ++at) line += (at == 0 ? "$" : ",") + modifiers[at];
  return line;
}

// ── the obvious reading ──────────────────────────────────────────────────────────────────────────────────────────────

struct List {
  ListFormat format;
  ListKind kind;
  std::string text;
  std::vector<Entry> entries;
};

struct Found {
  const Entry* entry;
  std::size_t list;
  std::size_t length;  // of the name that covers: labels, 0 for an expression
};

bool is_one(const Query& query, const std::string& client) {
  if (const auto prefix = IpPrefix::parse(client)) return prefix->contains(query.client);
  return client == query.device.name || (client == "kids" && (query.groups & 1) != 0);
}

bool holds(const Entry& entry, const Query& query) {
  if (!entry.rule.conditions) return true;
  const auto& when = *entry.rule.conditions;
  bool any = when.clients.empty();
  for (const auto& client : when.clients) any = any || is_one(query, client.text);
  for (const auto& client : when.not_clients) any = any && !is_one(query, client.text);
  const bool is_kid = (query.groups & 1) != 0;
  if (!when.tags.empty()) any = any && is_kid;
  if (!when.not_tags.empty()) any = any && !is_kid;
  if (!when.types.empty()) any = any && query.question.qtype == when.types[0];
  if (!when.not_types.empty()) any = any && query.question.qtype != when.not_types[0];
  for (const dns::Name& name : when.but_within) any = any && !query.lowered.is_within(name);
  return any;
}

/// All lines that speak of the name, without those that others cancel.
std::vector<Found> find(const std::vector<List>& lists, const Query& query) {
  std::map<std::string, std::vector<Found>> by_trigger;
  for (std::size_t list = 0; list < lists.size(); ++list)
    for (const Entry& entry : lists[list].entries) {
      std::string trigger;
      std::size_t length = 0;
      if (entry.of == Listed::pattern) {
        if (!entry.expression->finds(query.lowered)) continue;
        trigger = '/' + entry.pattern;
      } else {
        const bool is_itself = entry.name == query.lowered;
        if (is_itself ? !entry.covers_name : !(entry.covers_below && query.lowered.is_within(entry.name))) continue;
        trigger = entry.name.to_string();
        length = static_cast<std::size_t>(entry.name.label_count());
      }
      by_trigger[trigger].push_back({&entry, list, length});
    }
  std::vector<Found> all;
  for (const auto& [trigger, found] : by_trigger) {
    for (const Found& one : found) {
      if (one.entry->rule.effect == Effect::cancel) continue;
      bool is_cancelled = false;
      for (const Found& other : found) {
        if (other.entry->rule.effect != Effect::cancel) continue;
        if (other.entry->covers_name != one.entry->covers_name || other.entry->covers_below != one.entry->covers_below)
          continue;
        const auto is_alike = [&](const Found& of) {
          return lists[of.list].format == ListFormat::adblock && lists[of.list].kind == ListKind::block;
        };
        if (other.list != one.list && !(is_alike(one) && is_alike(other))) continue;
        std::string text = to_string(other.entry->rule);
        text.erase(text.find("badfilter"), std::string("badfilter").size());
        if (const auto comma = text.find("$,"); comma != text.npos) text.erase(comma + 1, 1);
        if (text.ends_with('$')) text.pop_back();
        is_cancelled = is_cancelled || text == to_string(one.entry->rule);
      }
      if (!is_cancelled) all.push_back(one);
    }
  }
  return all;
}

/// What of all that is said counts most: several where they are equals.
std::vector<Action> weigh_obviously(const std::vector<List>& lists, const Query& query) {
  const std::vector<Found> all = find(lists, query);
  std::vector<Found> said;
  for (const Found& one : all)
    if (holds(*one.entry, query)) said.push_back(one);
  // Rewrites that an exception takes away.
  std::vector<Found> kept;
  for (const Found& one : said) {
    bool is_kept = one.entry->rule.effect != Effect::no_rewrite;
    if (one.entry->rule.effect == Effect::answer)
      for (const Found& other : said) {
        const ListRule& rule = other.entry->rule;
        if (rule.effect == Effect::no_rewrite && (!rule.answer || rule.answer == one.entry->rule.answer) &&
            rule.is_important >= one.entry->rule.is_important)
          is_kept = false;
      }
    if (is_kept) kept.push_back(one);
  }
  // Of dnsmasq's and Unbound's lists only the longest name.
  std::erase_if(kept, [&](const Found& one) {
    const bool goes_by_longest =
        lists[one.list].format == ListFormat::dnsmasq || lists[one.list].format == ListFormat::unbound;
    return goes_by_longest && std::any_of(all.begin(), all.end(), [&](const Found& other) {
             return other.list == one.list && other.length > one.length;
           });
  });
  // Zones: only the first that speaks, and of it only the longest name.
  std::size_t zone = lists.size(), longest = 0;
  const auto is_of_zone = [&](const Found& one) {
    return lists[one.list].format == ListFormat::rpz && lists[one.list].kind == ListKind::block;
  };
  for (const Found& one : kept)
    if (is_of_zone(one) && one.list < zone) zone = one.list;
  for (const Found& one : kept)
    if (is_of_zone(one) && one.list == zone) longest = std::max(longest, one.length);
  std::map<int, std::vector<Action>> by_rank;
  for (const Found& one : kept) {
    const ListRule& rule = one.entry->rule;
    if (is_of_zone(one) && (one.list != zone || one.length != longest)) continue;
    if (rule.effect == Effect::pass && lists[one.list].kind == ListKind::block) continue;
    if (lists[one.list].kind == ListKind::allow || (rule.effect == Effect::allow && rule.is_important)) {
      by_rank[6].push_back(Forward{});
    } else if (rule.effect == Effect::allow) {
      by_rank[3].push_back(Forward{});
    } else if (rule.effect == Effect::answer) {
      Action action = ListAnswer{};
      if (rule.answer->kind == blocklist::LineAnswer::Kind::drop) action = Drop{};
      if (rule.answer->kind == blocklist::LineAnswer::Kind::code)
        action = rule.answer->code == dns::ResponseCode::nxdomain  ? Action(NxDomain{})
                 : rule.answer->code == dns::ResponseCode::refused ? Action(Refuse{})
                                                                   : Action(NoData{});
      by_rank[rule.is_important ? 5 : 2].push_back(action);
    } else {
      by_rank[rule.is_important ? 4 : 1].push_back(is_of_zone(one) ? Action(NxDomain{}) : Action(Sinkhole{}));
    }
  }
  if (by_rank.empty()) return {Forward{}};
  return by_rank.rbegin()->second;
}

void check_lists(Seeded& random) {
  const tests::TemporaryFolder folder;
  std::vector<List> lists;
  std::vector<blocklist::ListInput> inputs;
  RuleBookSettings settings;
  settings.groups = {"kids"};
  for (std::size_t count = random.between(1, 5); count-- > 0;) {
    List list;
    list.format = pick(random, {ListFormat::adblock, ListFormat::adblock, ListFormat::rpz, ListFormat::hosts,
                                ListFormat::domains, ListFormat::dnsmasq, ListFormat::unbound});
    list.kind = random.once_in(6) ? ListKind::allow : ListKind::block;
    for (std::size_t lines = random.between(1, 12); lines-- > 0;) list.text += random_line(random, list.format) + '\n';
    blocklist::read_list(
        list.text, list.format, false, [&](const Entry& entry) { list.entries.push_back(entry); },
        [](const blocklist::LineProblem&) {});
    const std::string name = "list" + std::to_string(lists.size());
    inputs.push_back({name, folder.write(name, list.text), list.format, false});
    settings.lists.push_back({name, list.kind, Mode::enforce});
    lists.push_back(std::move(list));
  }
  const auto report = blocklist::compile(inputs, folder / "set");
  REQUIRE(report.has_value());
  const auto set = blocklist::ListSet::open(folder / "set", true);
  REQUIRE(set.has_value());
  const RuleBook book(settings);
  for (int count = 0; count < 40; ++count) {
    Query query(random_name(random), pick(random, {dns::RecordType::a, dns::RecordType::aaaa}));
    query.by(pick<const char*>(random, {"phone", "tv"})).in_groups(random.below(2));
    query.from(pick<const char*>(random, {"192.168.1.7", "10.0.0.7"}));
    std::string texts;
    for (const List& list : lists)
      texts += std::string(to_string(list.format)) + (list.kind == ListKind::allow ? ", allow:\n" : ":\n") + list.text;
    CAPTURE(texts);
    CAPTURE(query.lowered.to_string());
    CAPTURE(query.device.name);
    const Verdict verdict = decide(book, **set, query.asking());
    const std::vector<Action> best = weigh_obviously(lists, query);
    const bool is_among = std::any_of(best.begin(), best.end(),
                                      [&](const Action& action) { return action.index() == verdict.action.index(); });
    CAPTURE(to_string(verdict.action));
    CAPTURE(to_string(best.front()));
    CHECK(is_among);
  }
}

}  // namespace

TEST_CASE("lists decide by the word that counts most, whatever their formats") {
  Seeded random;
  INFO(random.replay());
  for (int count = 0; count < 400; ++count) check_lists(random);
}

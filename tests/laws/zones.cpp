// Response policy zones of all five triggers, against a slow and obvious reading of the draft's order (section 5 of
// draft-vixie-dnsop-dns-rpz): on random zones decide() and, when the answer is there, review() come to its word.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "blocklist/compile.h"
#include "policy/decide.h"
#include "seeded.h"
#include "temporary_folder.h"
#include "unit/policy/query.h"

using namespace doline;
using namespace doline::policy;
using tests::Seeded;

namespace {

enum class Kind : std::uint8_t { client, name, answer, server_name, server_address };

struct Trigger {
  Kind kind = Kind::name;
  std::string owner;  // as the zone has it
  dns::Name name;     // of the kinds of names
  bool is_wildcard = false;
  IpPrefix prefix;  // of the kinds of addresses
  std::string action;
};

std::string random_name(Seeded& random) {
  std::string name;
  for (std::size_t labels = random.between(1, 3); labels-- > 0;) {
    name += static_cast<char>('a' + random.below(2));
    if (labels > 0) name += '.';
  }
  return name;
}

std::uint8_t random_host(Seeded& random) {
  return static_cast<std::uint8_t>(random.below(8));
}

Trigger random_trigger(Seeded& random) {
  Trigger trigger;
  trigger.kind = static_cast<Kind>(random.below(5));
  static constexpr const char* actions[] = {"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-drop."};
  trigger.action = actions[random.below(4)];
  if (trigger.kind == Kind::name || trigger.kind == Kind::server_name) {
    const std::string name = random_name(random);
    trigger.name = *dns::Name::parse(name);
    trigger.is_wildcard = random.once_in(3);
    trigger.owner =
        (trigger.is_wildcard ? "*." : "") + name + (trigger.kind == Kind::server_name ? ".rpz-nsdname" : "");
    return trigger;
  }
  const auto length = static_cast<int>(random.between(29, 32));
  const auto host = static_cast<std::uint8_t>(random_host(random) & (0xff << (32 - length)));
  trigger.prefix = IpPrefix(IpAddress::v4(192, 0, 2, host), length);
  trigger.owner = std::to_string(length) + '.' + std::to_string(host) + ".2.0.192.rpz-" +
                  (trigger.kind == Kind::client   ? "client-ip"
                   : trigger.kind == Kind::answer ? "ip"
                                                  : "nsip");
  return trigger;
}

using Zone = std::vector<Trigger>;

struct Answer {
  std::vector<IpAddress> addresses;
  std::vector<dns::Name> servers;
  std::vector<IpAddress> server_addresses;
};

bool covers(const Trigger& trigger, const dns::Name& name) {
  return trigger.is_wildcard ? name != trigger.name && name.is_within(trigger.name) : name == trigger.name;
}

/// The lowest counts: kind; of name servers the smallest name; the longest trigger, the name itself first; the smallest
/// address. Nothing: it does not match.
using Order = std::tuple<Kind, dns::Name, int, IpAddress>;
std::optional<Order> order_of(const Trigger& trigger, const Query& query, const Answer& answer) {
  std::optional<Order> best;
  const auto take = [&](const dns::Name& of, int length, const IpAddress& address) {
    const Order order{trigger.kind, of, -length, address};
    if (!best || order < *best) best = order;
  };
  const auto take_addresses = [&](const std::vector<IpAddress>& addresses) {
    for (const IpAddress& address : addresses)
      if (trigger.prefix.contains(address)) take({}, trigger.prefix.length(), trigger.prefix.address());
  };
  switch (trigger.kind) {
    case Kind::client:
      take_addresses({query.client});
      break;
    case Kind::answer:
      take_addresses(answer.addresses);
      break;
    case Kind::server_address:
      take_addresses(answer.server_addresses);
      break;
    case Kind::name:
      if (covers(trigger, query.lowered)) take({}, trigger.name.label_count(), {});
      break;
    case Kind::server_name:
      for (const dns::Name& server : answer.servers)
        if (covers(trigger, server)) take(server, trigger.name.label_count(), {});
      break;
  }
  return best;
}

/// The action of the first zone that says anything, or nothing.
std::optional<std::string> read_obviously(const std::vector<Zone>& zones, const Query& query, const Answer& answer) {
  for (const Zone& zone : zones) {
    std::optional<std::pair<Order, std::string>> best;
    for (const Trigger& trigger : zone)
      if (const auto order = order_of(trigger, query, answer); order && (!best || *order < best->first))
        best.emplace(*order, trigger.action);
    if (best) return best->second;
  }
  return std::nullopt;
}

std::string to_zone_action(const Action& action) {
  if (std::holds_alternative<NxDomain>(action)) return "CNAME .";
  if (std::holds_alternative<NoData>(action)) return "CNAME *.";
  if (std::holds_alternative<Drop>(action)) return "CNAME rpz-drop.";
  return "CNAME rpz-passthru.";
}

void check_zones(Seeded& random) {
  const tests::TemporaryFolder folder;
  std::vector<Zone> zones(random.between(1, 3));
  std::vector<blocklist::ListInput> inputs;
  RuleBookSettings settings;
  std::string texts;
  for (Zone& zone : zones) {
    std::set<std::string> owners;
    std::string text = "@ SOA localhost. root.localhost. 1 2 3 4 5\n";
    for (std::size_t count = random.between(1, 10); count-- > 0;) {
      Trigger trigger = random_trigger(random);
      if (!owners.insert(trigger.owner).second) continue;
      text += trigger.owner + ' ' + trigger.action + '\n';
      zone.push_back(std::move(trigger));
    }
    const std::string name = "zone" + std::to_string(inputs.size());
    texts += name + ":\n" + text;
    inputs.push_back({name, folder.write(name, text), blocklist::ListFormat::rpz, false});
    settings.lists.push_back({name, ListKind::block, Mode::enforce});
  }
  CAPTURE(texts);
  REQUIRE(blocklist::compile(inputs, folder / "set").has_value());
  const auto set = blocklist::ListSet::open(folder / "set", true);
  REQUIRE(set.has_value());
  const RuleBook book(settings);
  for (int count = 0; count < 40; ++count) {
    Query query(random_name(random));
    query.client = IpAddress::v4(192, 0, 2, random_host(random));
    Answer answer;
    const auto some_addresses = [&](std::vector<IpAddress>& addresses) {
      for (std::size_t left = random.below(3); left-- > 0;)
        addresses.push_back(IpAddress::v4(192, 0, 2, random_host(random)));
      std::sort(addresses.begin(), addresses.end());
    };
    some_addresses(answer.addresses);
    some_addresses(answer.server_addresses);
    for (std::size_t left = random.below(3); left-- > 0;)
      answer.servers.push_back(*dns::Name::parse(random_name(random)));
    std::sort(answer.servers.begin(), answer.servers.end());
    CAPTURE(query.lowered.to_string());

    // Before the answer the client and the name alone; what they say is not asked upstream, or passes.
    std::optional<std::string> wanted = read_obviously(zones, query, {});
    const bool is_early = wanted.has_value();
    if (!is_early) wanted = read_obviously(zones, query, answer);

    Asking asking = query.asking();
    Action action = decide(book, **set, asking).action;
    RuleId rule = decide(book, **set, asking).reason.rule;
    asking.answer_addresses = answer.addresses;
    asking.server_names = answer.servers;
    asking.server_addresses = answer.server_addresses;
    if (std::holds_alternative<Forward>(action))
      if (const Review found = review(book, **set, asking, rule); found.verdict) {
        CHECK_FALSE(is_early);
        action = found.verdict->action;
      }
    CHECK(to_zone_action(action) == wanted.value_or("CNAME rpz-passthru."));
  }
}

}  // namespace

TEST_CASE("zones decide in the draft's order, by whatever trigger") {
  Seeded random;
  INFO(random.replay());
  for (int count = 0; count < 300; ++count) check_zones(random);
}

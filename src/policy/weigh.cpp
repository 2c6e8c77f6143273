#include "policy/weigh.h"

#include <algorithm>
#include <array>

#include "device/mac_address.h"

namespace doline::policy {

namespace {

using blocklist::LineAnswer;
using blocklist::LineConditions;
using blocklist::ListId;
using blocklist::ListRule;
using Effect = ListRule::Effect;

constexpr std::size_t rewrites_cancelled_max = 16;

bool is_in(std::span<const std::uint64_t> row, std::size_t at) {
  return at / 64 < row.size() && (row[at / 64] >> at % 64 & 1) != 0;
}

bool is_in_group(const RuleBook& book, const Asking& asking, const std::string& name) {
  const auto groups = book.groups();
  for (std::size_t at = 0; at < groups.size() && at < device::groups_max; ++at)
    if ((asking.groups >> at & 1) != 0 && groups[at] == name) return true;
  return false;
}

bool is_client(const RuleBook& book, const Asking& asking, const blocklist::ClientMatch& client) {
  if (client.prefix) return client.prefix->contains(asking.client);
  if (asking.device.name == client.text || is_in_group(book, asking, client.text)) return true;
  const auto& ids = asking.device.client_ids;
  if (std::find(ids.begin(), ids.end(), client.text) != ids.end()) return true;
  if (asking.device.macs.empty()) return false;
  const auto mac = device::MacAddress::parse(client.text);
  return mac && std::find(asking.device.macs.begin(), asking.device.macs.end(), *mac) != asking.device.macs.end();
}

/// One of `some`, where there are any, and none of `none`.
template <class T, class Is>
bool fits(const std::vector<T>& some, const std::vector<T>& none, Is is) {
  return (some.empty() || std::any_of(some.begin(), some.end(), is)) && std::none_of(none.begin(), none.end(), is);
}

/// Of all addresses of the answer, as `answer_country` has it: an unknown one is not elsewhere. Before there is an
/// answer nothing is known of it.
bool is_from(const Asking& asking, const LineConditions& when) {
  if (asking.answer_addresses.empty() || asking.places == nullptr) return false;
  const auto is_of = [&](const IpAddress& address, const std::string& origin) {
    if (!origin.starts_with("AS") || origin.size() == 2) {
      const auto country = geo::Country::parse(origin);
      return country && asking.places->country_of(address) == *country;
    }
    return std::to_string(asking.places->asn_of(address)) == origin.substr(2);
  };
  const auto is_known = [&](const IpAddress& address) {
    return asking.places->country_of(address).is_known() || asking.places->asn_of(address) != 0;
  };
  const auto& all = asking.answer_addresses;
  const auto any_of = [&](const std::string& origin) {
    return std::any_of(all.begin(), all.end(), [&](const IpAddress& address) { return is_of(address, origin); });
  };
  return (when.origins.empty() || std::any_of(when.origins.begin(), when.origins.end(), any_of)) &&
         (when.not_origins.empty() || (std::all_of(all.begin(), all.end(), is_known) &&
                                       std::none_of(when.not_origins.begin(), when.not_origins.end(), any_of)));
}

bool hold(const RuleBook& book, const Asking& asking, const LineConditions& when) {
  return fits(when.types, when.not_types, [&](dns::RecordType type) { return type == asking.question.qtype; }) &&
         fits(when.clients, when.not_clients,
              [&](const blocklist::ClientMatch& client) { return is_client(book, asking, client); }) &&
         fits(when.tags, when.not_tags, [&](const std::string& tag) { return is_in_group(book, asking, tag); }) &&
         std::none_of(when.but_within.begin(), when.but_within.end(),
                      [&](const dns::Name& name) { return asking.lowered_qname.is_within(name); }) &&
         ((when.origins.empty() && when.not_origins.empty()) || is_from(asking, when));
}

/// A CNAME to the very name that is asked for: what it is meant for are the names below.
bool leads_to_itself(const ListRule& rule, const Asking& asking) {
  if (rule.answer->kind != LineAnswer::Kind::record || rule.answer->type != dns::RecordType::cname) return false;
  const auto target = dns::Name::from_wire(rule.answer->rdata);
  return target && target->lowered() == asking.lowered_qname;
}

/// The higher counts; equal ones in the order of the listing.
enum class Rank : std::uint8_t { none, block, answer, exception, important_block, important_answer, allowed };

}  // namespace

std::optional<Weighed> weigh(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking,
                             const blocklist::Listing& listing, std::span<const std::uint64_t> named,
                             std::span<const std::uint64_t> counting) {
  const auto counts = [&](ListId list) { return is_in(named, list.value) && is_in(counting, list.value); };
  const auto is_kind = [&](ListId list, ListKind kind) {
    return list.value < book.lists().size() && book.lists()[list.value].kind == kind;
  };
  // Of lists that block, `$badfilter` of one takes back what another says.
  const auto is_taken_back = [&](ListId list, std::span<const std::uint32_t> takers) {
    return is_kind(list, ListKind::block) && std::any_of(takers.begin(), takers.end(), [&](std::uint32_t taker) {
             const ListId by{static_cast<std::uint16_t>(taker)};
             return counts(by) && is_kind(by, ListKind::block);
           });
  };
  const auto each_word = [&](const blocklist::Covering& covering, auto&& take) {
    const auto longer = listing.all().first(static_cast<std::size_t>(&covering - listing.all().data()));
    const auto has_spoken = [&](ListId list) {
      return std::any_of(longer.begin(), longer.end(), [&](const blocklist::Covering& one) {
        const auto all = lists.lists_of(one.set);
        return std::binary_search(all.begin(), all.end(), list);
      });
    };
    const auto take_counting = [&](ListId list, const ListRule* rule, std::uint32_t number) {
      if (!counts(list) || (!longer.empty() && lists.goes_by_longest(list) && has_spoken(list))) return;
      if (rule != nullptr && rule->conditions && !hold(book, asking, *rule->conditions)) return;
      take(list, rule, number);
    };
    if (lists.words_of(covering.set).empty())
      for (const ListId list : lists.lists_of(covering.set)) take_counting(list, nullptr, 0);
    lists.each_word(covering.set, [&](std::uint32_t number, std::span<const std::uint32_t> takers) {
      const blocklist::Word word = lists.word(number);
      if (takers.empty() || !is_taken_back(word.list, takers)) take_counting(word.list, word.rule, number);
    });
  };

  // 1. Which answers do not count.
  std::array<const ListRule*, rewrites_cancelled_max> cancels;
  std::size_t cancel_count = 0;
  for (const blocklist::Covering& covering : listing.all())
    each_word(covering, [&](ListId, const ListRule* rule, std::uint32_t) {
      if (rule != nullptr && rule->effect == Effect::no_rewrite && cancel_count < cancels.size())
        cancels[cancel_count++] = rule;
    });
  const auto is_cancelled = [&](const ListRule& rule) {
    return std::any_of(cancels.begin(), cancels.begin() + cancel_count, [&](const ListRule* cancel) {
      return (!cancel->answer || cancel->answer == rule.answer) && cancel->is_important >= rule.is_important;
    });
  };

  // 2. The word that counts most; of zones, the first one's on the longest name.
  Weighed best, of_zone;
  Rank rank = Rank::none, zone_rank = Rank::none;
  for (const blocklist::Covering& covering : listing.all()) {
    const ListId zone_before = of_zone.list;
    const bool had_zone = zone_rank != Rank::none;
    each_word(covering, [&](ListId list, const ListRule* rule, std::uint32_t number) {
      const bool is_allow_list = is_kind(list, ListKind::allow);
      const Effect effect = rule != nullptr ? rule->effect : Effect::block;
      if (effect == Effect::no_rewrite || (effect == Effect::pass && !is_allow_list)) return;
      if (effect == Effect::answer && (is_cancelled(*rule) || leads_to_itself(*rule, asking))) return;
      const bool is_important = rule != nullptr && rule->is_important;
      Weighed weighed{Weighed::Outcome::block, list, false, covering.set, number};
      Rank found = is_important ? Rank::important_block : Rank::block;
      if (is_allow_list || effect == Effect::allow) {
        weighed.outcome = Weighed::Outcome::allow;
        found = is_allow_list || is_important ? Rank::allowed : Rank::exception;
      } else if (effect == Effect::answer) {
        weighed.outcome = Weighed::Outcome::answer;
        found = is_important ? Rank::important_answer : Rank::answer;
      }
      if (!is_allow_list && lists.is_zone(list)) {
        weighed.is_of_zone = true;
        const bool is_first = zone_rank == Rank::none || list < of_zone.list ||
                              (list == of_zone.list && !(had_zone && list == zone_before) && found > zone_rank);
        if (is_first) {
          of_zone = weighed;
          zone_rank = found;
        }
      } else if (found > rank) {
        best = weighed;
        rank = found;
      }
    });
  }
  if (zone_rank > rank) best = of_zone;
  if (rank == Rank::none && zone_rank == Rank::none) return std::nullopt;

  // 3. What stands beside an answer and does not count.
  if (best.outcome == Weighed::Outcome::answer) {
    const ListRule& decided = *lists.word(best.word).rule;
    std::uint32_t at = 0;
    lists.each_word(best.set, [&](std::uint32_t number, std::span<const std::uint32_t> takers) {
      const ListRule* rule = lists.word(number).rule;
      if (rule == nullptr || !stands_beside(*rule, decided)) return;
      if (at < 32 && (is_cancelled(*rule) || is_taken_back(rule->list, takers))) best.without |= std::uint32_t{1} << at;
      ++at;
    });
  }
  return best;
}

bool stands_beside(const ListRule& rule, const ListRule& decided) {
  if (&rule == &decided) return true;
  const auto is_record = [](const ListRule& one) {
    return one.effect == Effect::answer && one.answer->kind == LineAnswer::Kind::record &&
           one.answer->type != dns::RecordType::cname;
  };
  return is_record(rule) && is_record(decided) && rule.list == decided.list &&
         rule.is_important == decided.is_important &&
         (rule.conditions == decided.conditions ||
          (rule.conditions && decided.conditions && *rule.conditions == *decided.conditions));
}

Action to_action(const blocklist::ListSet& lists, const Weighed& answer) {
  const ListRule& rule = *lists.word(answer.word).rule;
  switch (rule.answer->kind) {
    case LineAnswer::Kind::drop:
      return Drop{};
    case LineAnswer::Kind::code:
      if (rule.answer->code == dns::ResponseCode::nxdomain) return NxDomain{};
      if (rule.answer->code == dns::ResponseCode::noerror) return NoData{};
      if (rule.answer->code == dns::ResponseCode::refused) return Refuse{};
      break;
    case LineAnswer::Kind::tcp_only:
      return Truncate{};
    case LineAnswer::Kind::record:
      break;
  }
  return ListAnswer{answer.set, answer.word, answer.without};
}

std::optional<dns::Name> find_target(const blocklist::ListSet& lists, const ListAnswer& answer,
                                     const dns::Question& question) {
  std::optional<dns::Name> target;
  if (question.qtype == dns::RecordType::cname) return target;
  each_answer(lists, answer, [&](const LineAnswer& line) {
    if (line.kind != LineAnswer::Kind::record || line.type != dns::RecordType::cname || target) return;
    const auto name = dns::Name::from_wire(line.rdata);
    if (!name) return;
    const auto wire = name->wire();
    if (wire[0] != 1 || wire[1] != '*') {
      target = name->lowered();
      return;
    }
    const auto asked = question.qname.wire();
    std::vector<std::uint8_t> whole(asked.begin(), asked.end() - 1);
    whole.insert(whole.end(), wire.begin() + 2, wire.end());
    if (const auto joined = dns::Name::from_wire(whole); joined && whole.size() <= dns::name_octets_max)
      target = joined->lowered();
  });
  return target;
}

}  // namespace doline::policy

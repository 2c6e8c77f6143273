#include "policy/decide.h"

#include <time.h>

#include <algorithm>

#include "base/check.h"
#include "policy/walk.h"

namespace doline::policy {

LocalTime to_local_time(WallTime wall) {
  const std::time_t since_1970 = std::chrono::floor<seconds>(wall).time_since_epoch().count();
  std::tm local{};
  check(::localtime_r(&since_1970, &local) != nullptr);
  return {local.tm_hour * 60 + local.tm_min, (local.tm_wday + 6) % 7};
}

namespace {

/// What is said of the client stands before what is said of the name.
blocklist::Listing with_client(const blocklist::ListSet& lists, const Asking& asking) {
  blocklist::Listing listing = lists.look_up_client(asking.client);
  const blocklist::Listing of_name = lists.look_up(asking.lowered_qname, asking.qname_place);
  for (const blocklist::Covering& covering : of_name.all()) listing.add(covering);
  return listing;
}

}  // namespace

void add_words_on_answer(const blocklist::ListSet& lists, const Asking& asking, blocklist::Listing& listing) {
  const auto add = [&](const blocklist::Listing& more) {
    for (const blocklist::Covering& covering : more.all()) listing.add(covering);
  };
  if (lists.lists_answers()) add(lists.look_up_answer(asking.answer_addresses));
  for (const dns::Name& server : asking.server_names) add(lists.look_up_server(server));
  if (lists.lists_server_addresses()) add(lists.look_up_server(asking.server_addresses));
}

namespace {

/// What stands first is what the log keeps.
void put_first(const blocklist::ListSet& lists, blocklist::ListId list, blocklist::Listing& listing) {
  const auto begin = listing.coverings.begin(), end = begin + listing.count;
  const auto found = std::find_if(begin, end, [&](const blocklist::Covering& covering) {
    const auto all = lists.lists_of(covering.set);
    return std::find(all.begin(), all.end(), list) != all.end();
  });
  if (found != end) std::rotate(begin, found, found + 1);
}

}  // namespace

Verdict decide(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking) {
  Verdict verdict;
  verdict.reason.listing =
      lists.lists_clients() ? with_client(lists, asking) : lists.look_up(asking.lowered_qname, asking.qname_place);
  const Walk walk(book, lists, asking, verdict.reason.listing);
  // Where not even `otherwise` decides, since it is set aside or leads to the very name, the query is forwarded.
  walk.each_candidate([&](std::size_t place) {
    const Judgement judgement = walk.judge(place);
    if (judgement.observed && !verdict.observed) verdict.observed = {walk.rule_at(place), *judgement.observed};
    if (!judgement.decided) return false;
    if (walk.find_exemption(*judgement.decided) != nullptr) {
      if (!verdict.observed) verdict.observed = {walk.rule_at(place), *judgement.decided};
      return false;
    }
    verdict.action = *judgement.decided;
    verdict.reason.rule = walk.rule_at(place);
    verdict.reason.list = judgement.list;
    return true;
  });
  return verdict;
}

std::optional<Verdict> judge_target(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking) {
  Verdict verdict = decide(book, lists, asking);
  if (verdict.forwards() || std::holds_alternative<Rewrite>(verdict.action) ||
      std::holds_alternative<ListAnswer>(verdict.action) || std::holds_alternative<Truncate>(verdict.action))
    return std::nullopt;
  return verdict;
}

Review review(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking, RuleId decided) {
  Review found;
  Verdict verdict;
  verdict.reason.listing =
      lists.lists_clients() ? with_client(lists, asking) : lists.look_up(asking.lowered_qname, asking.qname_place);
  add_words_on_answer(lists, asking, verdict.reason.listing);
  const Walk walk(book, lists, asking, verdict.reason.listing);
  walk.each_of_answers_above(decided, [&](std::size_t place) {
    const Judgement judgement = walk.judge(place);
    if (judgement.observed && !found.observed) found.observed = {walk.rule_at(place), *judgement.observed};
    if (!judgement.decided) return false;
    if (walk.find_exemption(*judgement.decided) != nullptr) {
      if (!found.observed) found.observed = {walk.rule_at(place), *judgement.decided};
      return false;
    }
    verdict.action = *judgement.decided;
    verdict.reason.rule = walk.rule_at(place);
    verdict.reason.list = judgement.list;
    if (judgement.list) put_first(lists, *judgement.list, verdict.reason.listing);
    found.verdict = verdict;
    return true;
  });
  return found;
}

}  // namespace doline::policy

#include "resolver/answer_review.h"

#include <algorithm>

#include "base/check.h"
#include "policy/answer.h"
#include "policy/decide.h"
#include "policy/weigh.h"
#include "resolver/record_notes.h"

namespace doline::resolver {

namespace {

using dns::RecordType;
using querylog::VerdictKind;

bool has_answer_rules(const Snapshot& under, const querylog::Record& record) {
  return under.rules->speaks_of_answers_above(record.rule) || policy::speak_of_answers(*under.lists);
}

/// Is it a route of the operator's own to servers of this house, who may well tell of its addresses? The default route
/// is none: a home router asks the world.
bool is_house_route(const Reviewing& reviewing) {
  const auto& routes = reviewing.under.upstream->routes;
  const std::size_t number = reviewing.route.value;
  return number != 0 && number < routes.size() &&
         std::all_of(
             routes[number].servers.begin(), routes[number].servers.end(),
             [](const Endpoint& server) { return policy::is_inward(server.address); });
}

}  // namespace

bool AnswerReview::is_needed(const Reviewing& reviewing, const querylog::Record& record) {
  const policy::Glance& glance = reviewing.glance;
  return glance.leads_on || (glance.leads_inward && reviewing.under.rebinding.protect) ||
         (!glance.is_empty && has_answer_rules(reviewing.under, record));
}

std::optional<policy::Verdict> AnswerReview::review(const Reviewing& reviewing, const dns::QueryView& query,
                                                    querylog::Record& record, dns::Octets words) {
  const Snapshot& under = reviewing.under;
  const bool tries_rules = has_answer_rules(under, record);
  if (under.rebinding.protect || tries_rules) policy::collect_addresses(words, addresses_);
  if (under.lists->lists_answers()) std::sort(addresses_.begin(), addresses_.end());
  const dns::Name asked = query.question().qname.lowered();
  dns::Question question = query.question();
  question.qname = asked;

  if (under.rebinding.protect && record.verdict != VerdictKind::rewrite &&
      policy::is_rebinding(under.rebinding, question.qname, addresses_) && !is_house_route(reviewing)) {
    record.verdict = VerdictKind::rebinding;
    record.rule = policy::no_rule;
    return policy::Verdict{policy::NoData{}, {}, {}};
  }

  const device::Device& device = under.roster->devices()[record.device.value];
  policy::Asking asking{.device = device,
                        .groups = under.roster->groups_of(device, record.client),
                        .client = record.client,
                        .question = question,
                        .lowered_qname = question.qname,
                        .destination = record.destination,
                        .time = reviewing.time,
                        .interfaces = reviewing.interfaces,
                        .resolvers = under.resolvers.get(),
                        .places = under.places.get()};
  const bool has_servers = reviewing.servers && !reviewing.servers->are_none();
  if (tries_rules && (has_servers || !addresses_.empty())) {
    asking.answer_addresses = addresses_;
    if (has_servers) {
      asking.server_names = reviewing.servers->names;
      asking.server_addresses = reviewing.servers->addresses;
    }
    const policy::Review found = policy::review(*under.rules, *under.lists, asking, record.rule);
    if (found.observed && (!record.has_observed || found.observed->rule < record.observed_rule))
      note_observed(record, *found.observed);
    if (found.verdict) {
      note(record, *found.verdict);
      return found.verdict;
    }
    asking.answer_addresses = {};
  }

  if (!reviewing.glance.leads_on || record.rule != policy::no_rule || record.verdict == VerdictKind::rewrite)
    return std::nullopt;  // to nowhere else, or the operator said forward
  const auto view = dns::ResponseView::parse(words);
  check(view.has_value());
  asking.led_from = &asked;
  for (const dns::RecordView& answer : *view) {
    if (answer.section != dns::Section::answer || !policy::leads_on(answer.type)) continue;
    const bool is_service = answer.type == RecordType::https || answer.type == RecordType::svcb;
    question.qname = view->rdata_name(answer, is_service ? 2 : 0).lowered();
    if (question.qname.is_root()) continue;  // of a service: the name itself
    if (auto verdict = policy::judge_target(*under.rules, *under.lists, asking)) {
      note(record, *verdict);
      return verdict;
    }
  }
  return std::nullopt;
}

}  // namespace doline::resolver

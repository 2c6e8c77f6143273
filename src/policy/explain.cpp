#include "policy/explain.h"

#include <algorithm>

namespace doline::policy {

Explanation explain(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking) {
  Explanation explanation{decide(book, lists, asking), {}};
  Verdict& verdict = explanation.verdict;
  // Rules that speak of answers are tried only where upstream is asked at all.
  Asking judged = asking;
  const auto* rewrite = std::get_if<Rewrite>(&verdict.action);
  if (!verdict.forwards() && !(rewrite && book.rewrite(*rewrite).cname)) {
    judged.answer_addresses = judged.server_addresses = {};
    judged.server_names = {};
  }
  add_words_on_answer(lists, judged, verdict.reason.listing);
  const Walk walk(book, lists, judged, verdict.reason.listing);
  const bool has_free_lists = std::any_of(book.lists().begin(), book.lists().end(), [&](const ListPolicy& list) {
    const auto id = static_cast<std::uint16_t>(&list - book.lists().data());
    return std::none_of(book.rules().begin(), book.rules().end(), [&](const Rule& rule) {
      return std::find(rule.when.lists.begin(), rule.when.lists.end(), blocklist::ListId{id}) != rule.when.lists.end();
    });
  });
  for (std::size_t place = 0; place < walk.place_count(); ++place) {
    const RuleId rule = walk.rule_at(place);
    if (rule == lists_rule && !has_free_lists) continue;
    const Judgement judgement = walk.judge(place);
    if (judgement.mismatch != Mismatch::none)
      explanation.steps.push_back({rule, Step::Outcome::skipped, judgement.mismatch, std::nullopt, std::nullopt});
    if (judgement.observed)
      explanation.steps.push_back({rule, Step::Outcome::observed, Mismatch::none, judgement.observed, judgement.list});
    if (!judgement.decided) continue;
    if (const Exemption* exemption = walk.find_exemption(*judgement.decided)) {
      explanation.steps.push_back(
          {rule, Step::Outcome::set_aside, Mismatch::none, judgement.decided, judgement.list, exemption});
    } else {
      explanation.steps.push_back({rule, Step::Outcome::decided, Mismatch::none, judgement.decided, judgement.list});
      verdict.action = *judgement.decided;
      verdict.reason.rule = rule;
      verdict.reason.list = judgement.list;
      break;
    }
  }
  verdict.observed.reset();
  for (const Step& step : explanation.steps)
    if ((step.outcome == Step::Outcome::observed || step.outcome == Step::Outcome::set_aside) && !verdict.observed)
      verdict.observed = {step.rule, *step.action};
  return explanation;
}

}  // namespace doline::policy

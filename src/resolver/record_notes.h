// What a query's record says, as the steps of its path find it out.
#pragma once

#include "listener/arrival.h"
#include "policy/walk.h"
#include "querylog/record.h"
#include "resolver/client_book.h"

namespace doline::resolver {

[[nodiscard]] inline querylog::Record begin_record(const listener::Arrival& arrival, const dns::Question& question,
                                                   const Client& client, std::uint64_t generation) {
  querylog::Record record;
  record.time = arrival.at.wall;
  record.generation = generation;
  record.device = client.device->id;
  record.client = client.address;
  record.destination = arrival.destination;
  record.transport =
      arrival.route.carrier == listener::Carrier::tcp ? querylog::Transport::tcp : querylog::Transport::udp;
  record.qtype = question.qtype;
  record.log = client.log;
  if (record.log != device::LogChoice::none) record.qname = question.qname;  // the rest is cheaper made than asked for
  return record;
}

inline void note_observed(querylog::Record& record, const policy::Observed& observed) {
  record.has_observed = true;
  record.observed_rule = observed.rule;
  record.observed = querylog::kind_of(observed.action);
}

inline void note(querylog::Record& record, const policy::Verdict& verdict) {
  record.verdict = querylog::kind_of(verdict.action);
  record.rule = verdict.reason.rule;
  record.has_listing = !verdict.reason.listing.is_empty();
  if (record.has_listing) record.list_set = verdict.reason.listing.coverings[0].set;
  if (verdict.observed) note_observed(record, *verdict.observed);
}

/// The house answers, whatever lists or `otherwise` would have done.
inline void note_local(querylog::Record& record) {
  if (record.verdict != querylog::VerdictKind::forward) record.rule = policy::no_rule;
  record.verdict = querylog::VerdictKind::forward;
}

}  // namespace doline::resolver

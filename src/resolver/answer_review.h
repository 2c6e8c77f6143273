// AnswerReview: step 7 of a query's path. May this device have this answer? One worker's loop only.
#pragma once

#include <optional>
#include <vector>

#include "dns/message.h"
#include "policy/answer.h"
#include "policy/walk.h"
#include "querylog/record.h"
#include "resolver/server_search.h"
#include "resolver/snapshot.h"

namespace doline::resolver {

/// What reviewing an answer needs beside the answer and the record.
struct Reviewing {
  const Snapshot& under;
  const policy::LocalTime& time;
  policy::InterfaceMask interfaces = 0;
  policy::RouteId route;             ///< that was asked
  const dns::Name& asked;            ///< there
  policy::Glance glance;             ///< at the answer
  const Servers* servers = nullptr;  ///< whom the answer comes from; null: no list speaks of that
};

class AnswerReview {
 public:
  /// By the glance: has anybody anything to say of the answer?
  [[nodiscard]] static bool is_needed(const Reviewing& reviewing, const querylog::Record& record);
  /// In this order: no address of this house for a public name; the rules that speak of answers, where they stand above
  /// the one that decided; and the names that the answer leads on to, where no rule of the operator decided. Notes in
  /// the record what decided; nothing: what was decided before stands.
  [[nodiscard]] std::optional<policy::Verdict> review(const Reviewing& reviewing, const dns::QueryView& query,
                                                      querylog::Record& record, dns::Octets words);

 private:
  std::vector<IpAddress> addresses_;  // of the answer
};

}  // namespace doline::resolver

// Speech: steps 7 to 9 of a query's path. The words of an answer are reviewed, retold or replaced, and finished for who
// asked. One worker's loop only.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "resolver/answer_review.h"
#include "resolver/reason_texts.h"
#include "resolver/resolver.h"
#include "resolver/waiting_room.h"
#include "response/finish.h"
#include "response/synthesize.h"

namespace doline::resolver {

/// A response, and what of it is recorded: it, or else the words that were kept from the client.
struct Said {
  std::size_t size = 0;
  dns::Octets recorded;
};

class Speech {
 public:
  /// `statistics` outlives this.
  explicit Speech(Statistics& statistics) : statistics_(statistics), retold_(response_octets_max) {}

  /// `snapshot` lives until the next call.
  void install(const Snapshot& snapshot) {
    snapshot_ = &snapshot;
    reasons_.install(*snapshot.rules);
  }
  /// `words` answer the question, or that of the detour. The record says in the end what became of them.
  Said say_words(const Reviewing& reviewing, const dns::QueryView& query, querylog::Record& record,
                 const response::Fit& fit, const Detour& detour, dns::Octets words, response::Touches touches,
                 std::span<std::uint8_t> out);
  /// What such a verdict says, which does not forward. Octets; 0: nothing is sent.
  std::size_t say_verdict(const Snapshot& under, const dns::QueryView& query, querylog::Record& record,
                          const response::Fit& fit, const policy::Verdict& verdict, std::span<std::uint8_t> out);

 private:
  dns::Octets retell(const Reviewing& reviewing, const dns::QueryView& query, const querylog::Record& record,
                     const Detour& detour, const response::Dns64* dns64, dns::Octets words, response::Touches& touches);
  [[nodiscard]] std::string_view reason(const Snapshot& under, policy::RuleId rule,
                                        std::optional<blocklist::ListId> list, Deed deed) const;

  Statistics& statistics_;
  const Snapshot* snapshot_ = nullptr;
  ReasonTexts reasons_;  // of it
  AnswerReview review_;
  std::vector<std::uint8_t> retold_;
};

}  // namespace doline::resolver

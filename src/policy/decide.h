// decide(): the one function from (device, question) to Verdict. Pure, total, deterministic, and without allocation
// but where a regular expression of a rule may match.
//
// One ListSet look-up, then one walk over the rules from the top; the first enforced rule that matches decides. Rules
// and lists in `mode: observe` never stop the walk: the first of them that would have decided is kept in the verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"
#include "blocklist/list_set.h"
#include "device/destination.h"
#include "device/roster.h"
#include "dns/code.h"
#include "dns/question.h"
#include "geo/place_book.h"
#include "geo/resolver_book.h"
#include "policy/rule_book.h"

namespace doline::policy {

/// Local time as schedules need it; made once per batch from the wall clock.
struct LocalTime {
  int minute_of_day = 0;  ///< 0 to 1439
  int weekday = 0;        ///< 0 Monday .. 6 Sunday
};
/// By the machine's time zone.
[[nodiscard]] LocalTime to_local_time(WallTime wall);

/// Everything a decision may depend on.
struct Asking {
  const device::Device& device;
  device::GroupMask groups = 0;  ///< Roster::groups_of
  IpAddress client;
  const dns::Question& question;
  const dns::Name& lowered_qname;
  device::Destination destination;
  LocalTime time;
  InterfaceMask interfaces = 0;                      ///< which of RuleBook::interfaces() it came by
  const geo::ResolverBook* resolvers = nullptr;      ///< null: none is known
  const geo::PlaceBook* places = nullptr;            ///< null: nothing is known
  std::span<const IpAddress> answer_addresses = {};  ///< for review() and explain(): all of the answer
  /// For the same: the name servers of the zones that it comes from, in canonical order; their addresses, ascending.
  std::span<const dns::Name> server_names = {};
  std::span<const IpAddress> server_addresses = {};
  const dns::Name* led_from = nullptr;  ///< nobody asked for the name: this one's answer leads on to it
  std::optional<blocklist::NamePlace> qname_place = {};  ///< ListSet::seek() of the lowered QNAME, if that was asked
};

/// Why: what the log, the page, `doline explain` and the EDE code all need.
struct Reason {
  RuleId rule = no_rule;
  blocklist::Listing listing;             ///< all lists that name it, whether or not they decided
  std::optional<blocklist::ListId> list;  ///< the list that decided, where one did
};

struct Observed {
  RuleId rule = no_rule;
  Action action;
};

struct Verdict {
  Action action;
  Reason reason;
  std::optional<Observed> observed;  ///< what an observing rule or list would have done

  [[nodiscard]] bool forwards() const { return std::holds_alternative<Forward>(action); }
  /// No rule of the operator's answers itself: a local record of this name does. Lists do not block it.
  [[nodiscard]] bool lets_local_records() const {
    return forwards() || reason.rule == lists_rule || reason.rule == no_rule;
  }
};

[[nodiscard]] Verdict decide(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking);

/// What the rules that speak of answers say, of those above the one that decided: the first enforced one that matches
/// wins over it.
struct Review {
  std::optional<Verdict> verdict;    ///< instead of decide()'s; absent: that stands
  std::optional<Observed> observed;  ///< what an observing one above would have done
};
[[nodiscard]] Review review(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking,
                            RuleId decided);

/// What is said of a name that an answer leads on to, as if it had been asked for (`asking.question`): only what keeps
/// an answer back counts. Nothing: it may pass.
[[nodiscard]] std::optional<Verdict> judge_target(const RuleBook& book, const blocklist::ListSet& lists,
                                                  const Asking& asking);

}  // namespace doline::policy

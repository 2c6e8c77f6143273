// Rule: one line of the operator's policy as data, with the file and line it stands on.
//
// Filled by config from YAML (names already turned into ids and prefixes), compiled by RuleBook, walked by decide(). A
// new condition is a field here and one comparison there; a new action is an alternative of Action, and the compiler
// lists every std::visit that must decide about it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/ip_address.h"
#include "blocklist/list_set.h"
#include "device/roster.h"
#include "dns/code.h"
#include "dns/name.h"
#include "geo/country.h"
#include "policy/name_pattern.h"

namespace doline::policy {

/// Position in the rule book, in the order of the file. The two values past every book stand for what has no line:
using RuleId = Id<struct RuleTag, std::uint16_t>;
inline constexpr RuleId no_rule{0xffff};     ///< `otherwise`
inline constexpr RuleId lists_rule{0xfffe};  ///< the one last rule of the lists that no rule names
inline constexpr std::size_t rules_max = 10'000;
inline constexpr std::size_t locks_max = 256;  ///< devices that are locked

/// A named entry of `upstreams`; 0 is `default`.
using RouteId = Id<struct RouteTag, std::uint16_t>;

// ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────────
struct Forward {
  RouteId route;
  std::uint16_t delay_ms = 0;  ///< answered not before so long after the query; at most delay_ms_max
  bool operator==(const Forward&) const = default;
};
struct Sinkhole {
  bool operator==(const Sinkhole&) const = default;
};  ///< `block`: as block_response says
struct Rewrite {
  std::uint16_t target = 0;
  bool operator==(const Rewrite&) const = default;
};  ///< index into RuleBook::rewrites()
struct NxDomain {
  bool operator==(const NxDomain&) const = default;
};
struct NoData {
  bool operator==(const NoData&) const = default;
};
struct Refuse {
  bool operator==(const Refuse&) const = default;
};
struct Drop {
  bool operator==(const Drop&) const = default;
};
/// What a list's lines answer themselves: records, or a response code of their own. Both numbers are the list set's.
struct ListAnswer {
  std::uint32_t set = 0;      ///< the words among which it was found
  std::uint32_t word = 0;     ///< the one that decided
  std::uint32_t without = 0;  ///< bit n: the nth that stands beside it is taken away; of those further on none
  bool operator==(const ListAnswer&) const = default;
};
/// Over UDP an empty response with TC, so that the client comes again by TCP, where it is forwarded.
struct Truncate {
  bool operator==(const Truncate&) const = default;
};
using Action = std::variant<Forward, Sinkhole, Rewrite, NxDomain, NoData, Refuse, Drop, ListAnswer, Truncate>;
/// `forward`, `delay`, `block`, `rewrite`, `nxdomain`, ...
[[nodiscard]] std::string_view to_string(const Action& action);

inline constexpr std::uint16_t delay_ms_max = 10'000;

struct RewriteTarget {
  std::vector<IpAddress> addresses;  ///< A and AAAA records; for the family without one: NODATA
  std::optional<dns::Name> cname;    ///< or a name, looked up upstream
};

// ── conditions: each absent one matches everything; all present ones must match; inside one, any value matches

/// `21:00-07:00` crosses midnight; the days name the day on which the period begins. Local time of this machine.
struct Period {
  int from_minute = 0;  ///< of the day, 0 to 1439
  int to_minute = 0;    ///< exclusive; less than or equal to from: ends on the next day
};

inline constexpr std::uint8_t every_day = 0x7f;

/// `meant_for`: whom the device meant to ask, where that was somebody else.
struct MeantFor {
  std::vector<IpPrefix> networks;
  std::vector<std::string> operators;   ///< as the list of public resolvers names them; any case
  std::vector<geo::Country> countries;  ///< of the resolver's operator, else of its address
  [[nodiscard]] bool is_empty() const { return networks.empty() && operators.empty() && countries.empty(); }
};

/// `answer_…`: what the addresses of an answer are. Holds where all that is named holds of one address.
struct AnswerCondition {
  std::vector<IpPrefix> networks;
  std::vector<geo::Country> countries;
  std::vector<std::uint32_t> asns;
  [[nodiscard]] bool is_empty() const { return networks.empty() && countries.empty() && asns.empty(); }
};

/// Names of interfaces that rules speak of, by position: at most so many, one bit each.
using InterfaceMask = std::uint64_t;
inline constexpr std::size_t interfaces_max = 64;

class NameSet;

struct Condition {
  std::vector<std::string> device_names;  ///< matched by name, so that a new roster needs no new book
  device::GroupMask groups = 0;           ///< 0: any
  std::vector<IpPrefix> networks;
  InterfaceMask interfaces = 0;  ///< of RuleBookSettings::interfaces; 0: any
  std::vector<NamePattern> names;
  std::vector<dns::Name> service_names;  ///< small letters: of all services named; each covers what is below it
  std::shared_ptr<const NameSet>
      unless;  ///< holds of names that are not in it, and only of names asked for; may be null
  std::vector<dns::RecordType> types;
  std::vector<blocklist::ListId> lists;  ///< `listed`
  std::optional<bool> intercepted;
  MeantFor meant_for;
  std::vector<Period> between;
  std::uint8_t days = every_day;  ///< bit 0 Monday .. bit 6 Sunday; with `between`, or alone
  AnswerCondition answer;         ///< not empty: the rule is tried when the answer is reviewed

  /// Nothing counts but which lists name the name.
  [[nodiscard]] bool is_empty_but_lists() const {
    return device_names.empty() && groups == 0 && networks.empty() && interfaces == 0 && names.empty() &&
           service_names.empty() && !unless && types.empty() && !intercepted && meant_for.is_empty() &&
           between.empty() && days == every_day && answer.is_empty();
  }
};

enum class Mode : std::uint8_t { enforce, observe };

/// One name of `safe_search`, which leads to its service's restricted one.
struct SafeName {
  dns::Name name;  ///< small letters; it alone
  Rewrite to;
};

struct Rule {
  Condition when;
  Action then;
  std::vector<SafeName> safe_search;  ///< not empty: it acts instead of `then`, and the rule matches these names only
  Mode mode = Mode::enforce;
  std::string file;  ///< of the YAML; of a rule that no file has: what it is instead
  int line = 0;      ///< from 1; 0: no file's
  std::string text;  ///< the line itself, trimmed, for `doline explain`
};

/// `doline.yml:42`, `lock of camera`: as the query log has it.
[[nodiscard]] std::string short_place(const Rule& rule);

}  // namespace doline::policy

// judge(): a connection set against what its device had looked up. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flows/event.h"

namespace doline::flows {

/// What kind of connection it is, by the rule that logged it.
enum class Kind : std::uint8_t {
  connection = 0,
  plain_dns = 1,     ///< to a port of plain DNS: a foreign resolver is asked
  encrypted_dns = 2  ///< to a port of DoT or DoQ, or to a known server of DoH
};

/// Stored in databases: never renumber, only append.
enum class Explanation : std::uint8_t {
  looked_up = 0,        ///< an answer gave the device this address
  without_lookup = 1,   ///< none did, and we would know
  local = 2,            ///< private, link-local, multicast, broadcast: nothing that needs a name
  time_sync = 3,        ///< NTP: clocks are set by fixed addresses
  warming_up = 4,       ///< we have not listened for long enough: the device may know the address from before
  not_known = 5,        ///< records were lost, or remembered answers pushed out
  asked_elsewhere = 6,  ///< the device asks a resolver whose answers we do not see
  resolver = 7          ///< a resolver, by an address the device brought along: its kind says which
};

/// What was known when it was judged.
struct Circumstances {
  bool was_given = false;  ///< AnswerBook::find() had a name
  bool asked_elsewhere = false;
  bool is_warming_up = false;
  bool may_have_missed = false;  ///< an answer: by loss, or by eviction
};

[[nodiscard]] Kind kind_of(LoggedBy rule);
/// The first that holds: local, looked up, resolver, time, and only then the reasons for which nobody can be accused.
[[nodiscard]] Explanation judge(const Tuple& tuple, Kind kind, const Circumstances& circumstances);

[[nodiscard]] std::string_view to_string(Kind kind);
[[nodiscard]] std::string_view to_string(Explanation explanation);
/// Nothing where the number of a database is none of ours.
[[nodiscard]] std::optional<Kind> kind_of_number(std::int64_t number);
[[nodiscard]] std::optional<Explanation> explanation_of_number(std::int64_t number);

}  // namespace doline::flows

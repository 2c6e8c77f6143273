// Record: what happened to one query, flat, as a worker writes it into its ring.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "base/time.h"
#include "blocklist/list_set.h"
#include "device/destination.h"
#include "device/roster.h"
#include "dns/code.h"
#include "dns/name.h"
#include "policy/rule.h"

namespace doline::querylog {

/// Stored in databases: never renumber, only append (as all enums of this file).
enum class Transport : std::uint8_t { udp = 0, tcp = 1, dot = 2, doh = 3, doq = 4 };
enum class VerdictKind : std::uint8_t {
  forward = 0,
  block = 1,
  rewrite = 2,
  nxdomain = 3,
  nodata = 4,
  refuse = 5,
  drop = 6,
  rejected = 7, /* never judged: it did not parse, asks what nobody forwards, or its client may not ask */
  truncate = 8,
  rebinding = 9, /* the answer led a public name to an address of this house */
  audited = 10   /* seen on its way to a foreign resolver, and left alone: nothing is known of its answer */
};
/// Where the response came from.
enum class Source : std::uint8_t {
  none = 0,
  synthesized = 1,
  cache = 2,
  stale = 3,
  upstream = 4,
  local = 5 /* local records, special-use names */
};
enum class Dnssec : std::uint8_t { unchecked = 0, upstream_said_secure = 1 /* AD bit of the upstream */ };

[[nodiscard]] std::string_view to_string(Transport transport);
[[nodiscard]] std::string_view to_string(VerdictKind kind);
[[nodiscard]] std::string_view to_string(Source source);
[[nodiscard]] std::string_view to_string(Dnssec dnssec);
/// What a record says of a verdict with this action.
[[nodiscard]] inline VerdictKind kind_of(const policy::Action& action) {
  struct Kind {
    VerdictKind operator()(const policy::Forward&) const { return VerdictKind::forward; }
    VerdictKind operator()(const policy::Sinkhole&) const { return VerdictKind::block; }
    VerdictKind operator()(const policy::Rewrite&) const { return VerdictKind::rewrite; }
    VerdictKind operator()(const policy::NxDomain&) const { return VerdictKind::nxdomain; }
    VerdictKind operator()(const policy::NoData&) const { return VerdictKind::nodata; }
    VerdictKind operator()(const policy::Refuse&) const { return VerdictKind::refuse; }
    VerdictKind operator()(const policy::Drop&) const { return VerdictKind::drop; }
    VerdictKind operator()(const policy::ListAnswer&) const { return VerdictKind::rewrite; }
    VerdictKind operator()(const policy::Truncate&) const { return VerdictKind::truncate; }
  };
  return std::visit(Kind{}, action);
}
/// As to_string writes it.
[[nodiscard]] std::optional<VerdictKind> parse_verdict_kind(std::string_view text);

/// Fixed part; the response's octets ride behind it in the ring, so that answers are kept.
struct Record {
  WallTime time;                 ///< of receipt
  std::uint64_t generation = 0;  ///< of the snapshot: names rules, lists and devices by id
  device::DeviceId device;       ///< 0: unknown then; the writer looks again
  IpAddress client;
  device::Destination destination;
  Transport transport = Transport::udp;
  dns::Name qname;
  dns::RecordType qtype = dns::RecordType::a;
  VerdictKind verdict = VerdictKind::forward;
  policy::RuleId rule = policy::no_rule;
  std::uint32_t list_set = 0;  ///< of the longest covering; with has_listing
  bool has_listing = false;
  bool has_observed = false;
  policy::RuleId observed_rule = policy::no_rule;
  VerdictKind observed = VerdictKind::forward;  ///< what an observing rule would have done
  Source source = Source::none;
  dns::ResponseCode code = dns::ResponseCode::noerror;
  Endpoint upstream;             ///< unspecified where none was asked
  std::uint32_t latency_us = 0;  ///< receipt to send
  Dnssec dnssec = Dnssec::unchecked;
  device::LogChoice log = device::LogChoice::full;
};

}  // namespace doline::querylog

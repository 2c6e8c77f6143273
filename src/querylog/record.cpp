#include "querylog/record.h"

namespace doline::querylog {

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::udp:
      return "udp";
    case Transport::tcp:
      return "tcp";
    case Transport::dot:
      return "dot";
    case Transport::doh:
      return "doh";
    case Transport::doq:
      return "doq";
  }
  return "unknown";
}

std::string_view to_string(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::forward:
      return "forward";
    case VerdictKind::block:
      return "block";
    case VerdictKind::rewrite:
      return "rewrite";
    case VerdictKind::nxdomain:
      return "nxdomain";
    case VerdictKind::nodata:
      return "nodata";
    case VerdictKind::refuse:
      return "refuse";
    case VerdictKind::drop:
      return "drop";
    case VerdictKind::rejected:
      return "rejected";
    case VerdictKind::truncate:
      return "truncate";
    case VerdictKind::rebinding:
      return "rebinding";
    case VerdictKind::audited:
      return "audited";
  }
  return "unknown";
}

std::string_view to_string(Source source) {
  switch (source) {
    case Source::none:
      return "none";
    case Source::synthesized:
      return "synthesized";
    case Source::cache:
      return "cache";
    case Source::stale:
      return "stale";
    case Source::upstream:
      return "upstream";
    case Source::local:
      return "local";
  }
  return "unknown";
}

std::string_view to_string(Dnssec dnssec) {
  switch (dnssec) {
    case Dnssec::unchecked:
      return "unchecked";
    case Dnssec::upstream_said_secure:
      return "upstream-said-secure";
  }
  return "unknown";
}

std::optional<VerdictKind> parse_verdict_kind(std::string_view text) {
  for (int number = 0; number <= static_cast<int>(VerdictKind::audited); ++number) {
    const auto kind = static_cast<VerdictKind>(number);
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

}  // namespace doline::querylog

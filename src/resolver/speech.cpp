#include "resolver/speech.h"

#include <array>
#include <utility>

#include "dns/read_octets.h"
#include "policy/weigh.h"

namespace doline::resolver {

namespace {

using dns::ExtendedError;
using dns::ResponseCode;
using querylog::Source;
using querylog::VerdictKind;

/// As the lines of a list say.
template <class Why>
std::size_t answer_as_listed(const Snapshot& under, const dns::QueryView& query, const response::Fit& fit,
                             const policy::ListAnswer& answer, Why why, std::span<std::uint8_t> out) {
  std::array<response::OwnRecord, response::own_records_max> records;
  std::size_t count = 0;
  std::optional<ResponseCode> code;
  policy::each_answer(*under.lists, answer, [&](const blocklist::LineAnswer& line) {
    if (line.kind == blocklist::LineAnswer::Kind::code)
      code = line.code;
    else if (line.kind == blocklist::LineAnswer::Kind::record && count < records.size())
      records[count++] = {line.type, line.rdata};
  });
  if (code && *code != ResponseCode::noerror && count == 0)
    return response::refuse(query, *code, ExtendedError::blocked, why(Deed::blocked), fit, out);
  return response::answer(query, std::span(records).first(count), under.block.ttl_seconds, fit, why(Deed::rewritten),
                          out);
}

/// Are there AAAA records in the answer that DNS64 must keep from this client (RFC 6147 §5.1.4)?
bool leaves_out_ipv6(const Snapshot& under, const dns::QueryView& query, const response::Fit& fit,
                     const IpAddress& client, dns::Octets words) {
  return under.dns64 && query.question().qtype == dns::RecordType::aaaa &&
         !(fit.dnssec_ok && query.checking_disabled()) && under.dns64->serves(client) &&
         response::has_excluded(words, *under.dns64);
}

}  // namespace

Said Speech::say_words(const Reviewing& reviewing, const dns::QueryView& query, querylog::Record& record,
                       const response::Fit& fit, const Detour& detour, dns::Octets words, response::Touches touches,
                       std::span<std::uint8_t> out) {
  if (AnswerReview::is_needed(reviewing, record))
    if (const auto verdict = review_.review(reviewing, query, record, words); verdict && !verdict->forwards()) {
      record.is_withheld = true;
      return {say_verdict(reviewing.under, query, record, fit, *verdict, out), words};
    }
  if ((words[3] & 0x20) != 0) record.dnssec = querylog::Dnssec::upstream_said_secure;
  const response::Dns64* dns64 = detour.ipv6_ttl || leaves_out_ipv6(reviewing.under, query, fit, record.client, words)
                                     ? reviewing.under.dns64.get()
                                     : nullptr;
  if (detour.leads_elsewhere() || dns64) words = retell(reviewing, query, record, detour, dns64, words, touches);
  record.code = dns::code_of(words);
  ++(record.source == Source::cache   ? statistics_.from_cache
     : record.source == Source::stale ? statistics_.stale
                                      : statistics_.forwarded);
  const std::size_t size = response::finish(query, words, touches, fit, out);
  return {size, out.first(size)};
}

/// Words that answer the client's question. TTLs are touched here, because what is ours does not age.
dns::Octets Speech::retell(const Reviewing& reviewing, const dns::QueryView& query, const querylog::Record& record,
                           const Detour& detour, const response::Dns64* dns64, dns::Octets words,
                           response::Touches& touches) {
  const Snapshot& under = reviewing.under;
  const response::Retelling how{.target = detour.leads_elsewhere() ? &reviewing.asked : nullptr,
                                .target_ttl_seconds = detour.target_ttl.value_or(under.block.ttl_seconds),
                                .dns64 = dns64,
                                .ipv6_ttl_seconds_max = detour.ipv6_ttl.value_or(0),
                                .age_seconds = std::exchange(touches.age_seconds, 0),
                                .ttl_seconds = std::exchange(touches.ttl_seconds, std::nullopt)};
  if (detour.name == Detour::Name::forged_target && !touches.error) {
    touches.error = ExtendedError::forged_answer;
    touches.error_text = reason(under, record.rule, detour.list, Deed::rewritten);
  }
  return {retold_.data(), response::retell(query.question(), words, how, retold_)};
}

std::size_t Speech::say_verdict(const Snapshot& under, const dns::QueryView& query, querylog::Record& record,
                                const response::Fit& fit, const policy::Verdict& verdict, std::span<std::uint8_t> out) {
  const auto* rewrite = std::get_if<policy::Rewrite>(&verdict.action);
  const auto* of_list = std::get_if<policy::ListAnswer>(&verdict.action);
  const auto why = [&](Deed deed) -> std::string_view {
    if (record.verdict == VerdictKind::rebinding) return "an address of this house for a public name";
    return reason(under, verdict.reason.rule, verdict.reason.list, deed);
  };
  const std::size_t size =
      of_list ? answer_as_listed(under, query, fit, *of_list, why, out)
              : response::synthesize(query, verdict.action, rewrite ? &under.rules->rewrite(*rewrite) : nullptr,
                                     under.block, fit, why(rewrite ? Deed::rewritten : Deed::blocked), out);
  if (size > 0) ++statistics_.synthesized;
  record.source = size > 0 ? Source::synthesized : Source::none;
  record.code = size > 0 ? dns::code_of(out) : ResponseCode::noerror;
  return size;
}

/// Of an older snapshot none: the code says enough.
std::string_view Speech::reason(const Snapshot& under, policy::RuleId rule, std::optional<blocklist::ListId> list,
                                Deed deed) const {
  return &under == snapshot_ ? reasons_.text(rule, list, deed) : std::string_view();
}

}  // namespace doline::resolver

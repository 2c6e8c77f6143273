#include "response/synthesize.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "response/opt.h"

namespace doline::response {

namespace {

using dns::ExtendedError;
using dns::Name;
using dns::RecordClass;
using dns::RecordType;
using dns::ResponseCode;
using dns::Section;

constexpr std::uint32_t soa_serial = 1, soa_refresh = 3'600, soa_retry = 600, soa_expire = 86'400;

/// One response in the making: header and question, then records, then OPT, for whose options room is kept.
class Draft {
 public:
  Draft(const dns::QueryView& query, ResponseCode code, const Fit& fit, std::span<std::uint8_t> out)
      : question_(query.question()),
        code_(code),
        fit_(fit),
        space_(out.first(std::min(out.size(), fit.octets_max))),
        writer_(space_.first(space_.size() - opt_octets(fit))) {
    writer_.header(query.id(),
                   {.recursion_desired = query.recursion_desired(), .checking_disabled = query.checking_disabled()},
                   code);
    check(writer_.question(question_));
  }

  /// What does not fit is left out, and TC says so.
  void add_address(const IpAddress& address, std::uint32_t ttl) {
    const RecordType type = address.is_v4() ? RecordType::a : RecordType::aaaa;
    if (type == question_.qtype)
      keep(writer_.record(Section::answer, question_.qname, type, RecordClass::in, ttl, address.octets()));
  }
  void add_cname(const Name& target, std::uint32_t ttl) {
    keep(writer_.record(Section::answer, question_.qname, RecordType::cname, RecordClass::in, ttl, target));
  }

  /// What a negative answer is cached by (RFC 2308 §5). Its owner is the name itself, or the one above where it does
  /// not exist.
  void add_soa(std::uint32_t ttl) {
    static constexpr std::array<std::uint8_t, 42> names{
        6,   'd', 'o', 'l', 'i', 'n', 'e', 7,   'i', 'n', 'v', 'a', 'l', 'i', 'd', 0,   10,  'h', 'o', 's', 't',
        'm', 'a', 's', 't', 'e', 'r', 6,   'd', 'o', 'l', 'i', 'n', 'e', 7,   'i', 'n', 'v', 'a', 'l', 'i', 'd'};
    std::array<std::uint8_t, names.size() + 1 + 5 * 4> rdata{};
    std::copy(names.begin(), names.end(), rdata.begin());
    std::size_t at = names.size() + 1;
    for (const std::uint32_t value : {soa_serial, soa_refresh, soa_retry, soa_expire, ttl})
      for (int shift = 24; shift >= 0; shift -= 8) rdata[at++] = static_cast<std::uint8_t>(value >> shift);
    const bool is_missing = code_ == ResponseCode::nxdomain && !question_.qname.is_root();
    const Name owner = is_missing ? question_.qname.ancestor(1) : question_.qname;
    // Without it the answer is as good, only not cached: no reason to say TC.
    (void)writer_.record(Section::authority, owner, RecordType::soa, RecordClass::in, ttl, rdata);
  }

  std::size_t end(std::optional<ExtendedError> error, std::string_view text) {
    return end_with_opt(space_, writer_.size(), fit_, code_, error, text);
  }

 private:
  void keep(bool fits) {
    if (!fits) writer_.set_truncated();
  }

  const dns::Question& question_;
  ResponseCode code_;
  const Fit& fit_;
  std::span<std::uint8_t> space_;
  dns::MessageWriter writer_;
};

/// One answer of ours, by the action: the addresses that it gives, or the code.
struct Synthesis {
  const dns::QueryView& query;
  const policy::RewriteTarget* rewrite;
  const BlockSettings& block;
  const Fit& fit;
  std::string_view error_text;
  std::span<std::uint8_t> out;

  std::size_t addresses(std::span<const IpAddress> of_both_families, ExtendedError error) const {
    const RecordType type = query.question().qtype;
    const auto fits = [&](const IpAddress& address) {
      return type == (address.is_v4() ? RecordType::a : RecordType::aaaa);
    };
    if (std::none_of(of_both_families.begin(), of_both_families.end(), fits))
      return negative(ResponseCode::noerror, error);
    Draft draft(query, ResponseCode::noerror, fit, out);
    for (const IpAddress& address : of_both_families) draft.add_address(address, block.ttl_seconds);
    return draft.end(error, error_text);
  }
  std::size_t negative(ResponseCode code, ExtendedError error) const {
    Draft draft(query, code, fit, out);
    draft.add_soa(block.ttl_seconds);
    return draft.end(error, error_text);
  }
  std::size_t refused() const {
    return refuse(query, ResponseCode::refused, ExtendedError::blocked, error_text, fit, out);
  }

  std::size_t operator()(const policy::Forward&) const {
    check(false);  // is answered by others
    return 0;
  }
  std::size_t operator()(const policy::Sinkhole&) const {
    switch (block.response) {
      case BlockResponse::null_address:
        return addresses(std::array{IpAddress::v4(0, 0, 0, 0), IpAddress()}, ExtendedError::blocked);
      case BlockResponse::address: {
        std::array<IpAddress, 2> given;
        std::size_t count = 0;
        if (block.v4) given[count++] = *block.v4;
        if (block.v6) given[count++] = *block.v6;
        return addresses(std::span(given).first(count), ExtendedError::blocked);
      }
      case BlockResponse::nxdomain:
        return negative(ResponseCode::nxdomain, ExtendedError::blocked);
      case BlockResponse::nodata:
        return negative(ResponseCode::noerror, ExtendedError::blocked);
      case BlockResponse::refused:
        return refused();
      case BlockResponse::drop:
        return 0;
    }
    return 0;
  }
  std::size_t operator()(const policy::Rewrite&) const {
    check(rewrite != nullptr);
    if (!rewrite->cname) return addresses(rewrite->addresses, ExtendedError::forged_answer);
    Draft draft(query, ResponseCode::noerror, fit, out);
    draft.add_cname(*rewrite->cname, block.ttl_seconds);
    return draft.end(ExtendedError::forged_answer, error_text);
  }
  std::size_t operator()(const policy::NxDomain&) const {
    return negative(ResponseCode::nxdomain, ExtendedError::blocked);
  }
  std::size_t operator()(const policy::NoData&) const {
    return negative(ResponseCode::noerror, ExtendedError::blocked);
  }
  std::size_t operator()(const policy::Refuse&) const { return refused(); }
  std::size_t operator()(const policy::Drop&) const { return 0; }
};

/// The octets of a lone question that can be read, whatever is wrong behind it: a client may look for it in what comes
/// back (RFC 5452 §9.1). Empty where there is none.
dns::Octets readable_question(dns::Octets message) {
  if (message[4] != 0 || message[5] != 1) return {};
  std::size_t at = dns::header_octets;
  while (at < message.size() && message[at] > 0 && message[at] <= dns::label_octets_max) at += message[at] + 1u;
  if (at + 5 > message.size() || message[at] != 0) return {};
  const std::size_t name_octets = at + 1 - dns::header_octets;
  return name_octets <= dns::name_octets_max ? message.subspan(dns::header_octets, name_octets + 4) : dns::Octets();
}

}  // namespace

std::size_t synthesize(const dns::QueryView& query, const policy::Action& action, const policy::RewriteTarget* rewrite,
                       const BlockSettings& block, const Fit& fit, std::string_view error_text,
                       std::span<std::uint8_t> out) {
  return std::visit(Synthesis{query, rewrite, block, fit, error_text, out}, action);
}

std::size_t refuse(const dns::QueryView& query, dns::ResponseCode code, std::optional<dns::ExtendedError> error,
                   std::string_view error_text, const Fit& fit, std::span<std::uint8_t> out) {
  return Draft(query, code, fit, out).end(error, error_text);
}

std::size_t reject(dns::Octets message, dns::MessageFault fault, std::span<std::uint8_t> out) {
  using dns::MessageFault;
  if (fault == MessageFault::too_short || fault == MessageFault::not_a_query) return 0;
  dns::MessageWriter writer(out);
  writer.header(static_cast<std::uint16_t>(message[0] << 8 | message[1]),
                {.opcode = static_cast<dns::Opcode>(message[2] >> 3 & 0x0f),
                 .recursion_desired = (message[2] & 0x01) != 0,
                 .checking_disabled = (message[3] & 0x10) != 0},
                fault == MessageFault::opcode_unknown ? ResponseCode::notimp : ResponseCode::formerr);
  const dns::Octets question = readable_question(message);
  if (question.empty() || out.size() < dns::header_octets + question.size()) return writer.size();
  std::copy(question.begin(), question.end(), out.begin() + dns::header_octets);
  out[5] = 1;
  return dns::header_octets + question.size();
}

}  // namespace doline::response

#include "response/synthesize.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "dns/message_reader.h"
#include "dns/read_octets.h"
#include "dns/write_octets.h"
#include "response/opt.h"

namespace doline::response {

namespace {

using dns::ExtendedError;
using dns::Name;
using dns::RecordClass;
using dns::RecordType;
using dns::ResponseCode;

/// RDATA of the SOA that our negative answers are cached by; its last number is the TTL.
// clang-format off
constexpr std::array<std::uint8_t, 63> soa_rdata{
    6, 'd', 'o', 'l', 'i', 'n', 'e', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0,
    10, 'h', 'o', 's', 't', 'm', 'a', 's', 't', 'e', 'r', 6, 'd', 'o', 'l', 'i', 'n', 'e', 7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0,
    0, 0, 0, 1,            // serial
    0, 0, 0x0e, 0x10,      // refresh: an hour
    0, 0, 0x02, 0x58,      // retry: ten minutes
    0, 0x01, 0x51, 0x80};  // expire: a day
// clang-format on

/// One response in the making: header and question as they came, then records, then OPT, for which room is kept. Owners
/// are pointers into the question.
class Draft {
 public:
  Draft(const dns::QueryView& query, ResponseCode code, const Fit& fit, std::span<std::uint8_t> out)
      : query_(query),
        code_(code),
        fit_(fit),
        space_(out.first(std::min(out.size(), fit.octets_max))),
        size_(dns::header_octets + query.question().qname.size() + 4),
        owner_octets_(query.question().qname.size()) {
    check(size_ <= space_.size());
    std::memcpy(space_.data(), query.octets().data(), size_);
    space_[2] = 0x80 | (space_[2] & 0x01);                                                               // QR, RD
    space_[3] = static_cast<std::uint8_t>(0x80 | (space_[3] & 0x10) | (static_cast<int>(code) & 0x0f));  // RA, CD
    std::memset(space_.data() + 6, 0, 6);
  }

  /// What does not fit is left out, and TC says so.
  void add_address_record(const IpAddress& address, std::uint32_t ttl) {
    add_answer(address.is_v4() ? RecordType::a : RecordType::aaaa, ttl, address.octets());
  }
  void add_address(const IpAddress& address, std::uint32_t ttl) {
    const RecordType type = address.is_v4() ? RecordType::a : RecordType::aaaa;
    if (type == query_.question().qtype) add_answer(type, ttl, address.octets());
  }
  void add_cname(const Name& target, std::uint32_t ttl) { add_answer(RecordType::cname, ttl, target.wire()); }

  bool add_record(RecordType type, dns::Octets rdata, std::uint32_t ttl) { return add_answer(type, ttl, rdata); }

  /// Records that follow are of the name that the last one's RDATA is: a CNAME's target.
  void go_on_at_target(std::size_t rdata_octets) {
    owner_at_ = size_ - rdata_octets;
    owner_octets_ = rdata_octets;
  }

  /// What a negative answer is cached by (RFC 2308 §5). Of NODATA it is the name's own. Of NXDOMAIN it is its top-level
  /// domain's, as if nothing below had been given out: of a name that has a SOA resolvers that keep ours (dnsmasq)
  /// believe that it exists, so it must be one that nobody blocks. Without it the answer is as good, only not cached:
  /// no reason to say TC.
  void add_soa(std::uint32_t ttl) { add_soa_at(code_ == ResponseCode::nxdomain ? top_level_at() : owner_at_, ttl); }
  /// The same where all of the zone that the name ends in is ours.
  void add_soa_of_zone(std::size_t zone_octets, std::uint32_t ttl) {
    add_soa_at(owner_at_ + owner_octets_ - zone_octets, ttl);
  }

  /// As the answer to a question for it.
  void add_own_soa(std::uint32_t ttl) {
    if (add_answer(RecordType::soa, ttl, soa_rdata)) dns::put32(space_.data() + size_ - 4, ttl);
  }

  void truncate() { space_[2] |= 0x02; }
  void set_authoritative() { space_[2] |= 0x04; }

  std::size_t end(std::optional<ExtendedError> error, std::string_view text) {
    return end_with_opt(space_, size_, fit_, code_, error, text);
  }

 private:
  /// Where in the question the name's top-level domain stands; of that itself: the root.
  [[nodiscard]] std::size_t top_level_at() const {
    const auto name = query_.question().qname.wire();
    std::size_t at = 0;
    if (name[0] != 0) at = name[0] + std::size_t{1};
    while (name[at] != 0 && at + name[at] + 2 < name.size()) at += name[at] + std::size_t{1};
    return dns::header_octets + at;
  }
  void add_soa_at(std::size_t owner_at, std::uint32_t ttl) {
    if (!add(owner_at, RecordType::soa, ttl, soa_rdata)) return;
    dns::put32(space_.data() + size_ - 4, ttl);
    space_[9] = 1;
  }
  bool add_answer(RecordType type, std::uint32_t ttl, dns::Octets rdata) {
    const bool fits = add(owner_at_, type, ttl, rdata);
    if (fits)
      dns::put16(space_.data() + 6, static_cast<std::uint16_t>(dns::read16(space_, 6) + 1));
    else
      space_[2] |= 0x02;
    return fits;
  }
  bool add(std::size_t owner_at, RecordType type, std::uint32_t ttl, dns::Octets rdata) {
    constexpr std::size_t head_octets = 12;
    if (space_.size() - size_ < head_octets + rdata.size() + opt_octets(fit_)) return false;
    std::uint8_t* at = space_.data() + size_;
    if (space_[owner_at] == 0) {
      *at++ = 0;  // the root is shorter than a pointer to it
    } else {
      dns::put16(at, static_cast<std::uint16_t>(0xc000 | owner_at));
      at += 2;
    }
    dns::put16(at, static_cast<std::uint16_t>(type));
    dns::put16(at + 2, static_cast<std::uint16_t>(RecordClass::in));
    dns::put32(at + 4, ttl);
    dns::put16(at + 8, static_cast<std::uint16_t>(rdata.size()));
    std::memcpy(at + 10, rdata.data(), rdata.size());
    size_ = static_cast<std::size_t>(at - space_.data()) + 10 + rdata.size();
    return true;
  }

  const dns::QueryView& query_;
  ResponseCode code_;
  const Fit& fit_;
  std::span<std::uint8_t> space_;
  std::size_t size_;
  std::size_t owner_at_ = dns::header_octets, owner_octets_;
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
  std::size_t operator()(const policy::ListAnswer&) const {
    check(false);  // answer() does, with what the lists hold
    return 0;
  }
  std::size_t operator()(const policy::Truncate&) const {
    Draft draft(query, ResponseCode::noerror, fit, out);
    draft.truncate();
    return draft.end(std::nullopt, {});
  }
};

/// The signature of addresses: of A records it is not true of AAAA ones, of AAAA records not of some of them.
bool signs_addresses(const dns::RecordView& record) {
  if (record.type != RecordType::rrsig) return false;
  const auto covered = static_cast<RecordType>(dns::read16(record.rdata, 0));
  return covered == RecordType::a || covered == RecordType::aaaa;
}

bool is_excluded(const dns::RecordView& record, const Dns64& dns64) {
  return record.section == dns::Section::answer && record.type == RecordType::aaaa &&
         dns64.is_excluded(IpAddress::from_octets(record.rdata));
}

/// Does an OPT record stand where one may, whatever is wrong elsewhere?
bool has_opt(dns::Octets message) {
  dns::MessageReader reader(message, dns::header_octets);
  for (int left = dns::read16(message, 4); left > 0; --left)
    if (reader.skip_name() || !reader.skip(4)) return false;
  const int before = dns::read16(message, 6) + dns::read16(message, 8);
  for (int place = 0; place < before + dns::read16(message, 10); ++place) {
    std::uint16_t type = 0, octets = 0;
    if (reader.skip_name() || !reader.read(type) || !reader.skip(6) || !reader.read(octets) || !reader.skip(octets))
      return false;
    if (place >= before && type == static_cast<std::uint16_t>(RecordType::opt)) return true;
  }
  return false;
}

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

std::size_t answer(const dns::QueryView& query, std::span<const OwnRecord> records, std::uint32_t ttl_seconds,
                   const Fit& fit, std::string_view error_text, std::span<std::uint8_t> out) {
  const RecordType asked = query.question().qtype;
  const auto fits = [&](const OwnRecord& record) {
    return record.type == asked || record.type == RecordType::cname || asked == RecordType::any;
  };
  const bool is_positive = std::any_of(records.begin(), records.end(), fits);
  Draft draft(query, ResponseCode::noerror, fit, out);
  if (!is_positive) draft.add_soa(ttl_seconds);
  for (const OwnRecord& record : records)
    if (fits(record)) draft.add_record(record.type, record.rdata, ttl_seconds);
  return draft.end(ExtendedError::forged_answer, error_text);
}

std::size_t answer_locally(const dns::QueryView& query, const LocalAnswer& answer, const Fit& fit,
                           std::span<std::uint8_t> out) {
  using Kind = LocalAnswer::Kind;
  const RecordType type = query.question().qtype;
  const bool has_address = type == RecordType::a || type == RecordType::aaaa || type == RecordType::any;
  Draft draft(query, answer.kind == Kind::nxdomain ? ResponseCode::nxdomain : ResponseCode::noerror, fit, out);
  draft.set_authoritative();
  if (answer.kind == Kind::loopback && has_address) {
    if (type != RecordType::aaaa) draft.add_address_record(IpAddress::v4(127, 0, 0, 1), answer.ttl_seconds);
    if (type != RecordType::a) draft.add_address_record(*IpAddress::parse("::1"), answer.ttl_seconds);
  } else if (answer.kind == Kind::apex && (type == RecordType::soa || type == RecordType::ns)) {
    if (type == RecordType::soa)
      draft.add_own_soa(answer.ttl_seconds);
    else
      draft.add_record(type, query.question().qname.wire(), answer.ttl_seconds);
  } else if (answer.zone_octets > 0) {
    draft.add_soa_of_zone(answer.zone_octets, answer.ttl_seconds);
  } else {
    draft.add_soa(answer.ttl_seconds);
  }
  return draft.end(std::nullopt, {});
}

std::size_t answer_locally(const dns::QueryView& query, const LocalRecords& all, std::span<const LocalRecord> records,
                           const std::optional<LocalAnswer>& end, const Dns64* dns64, const Fit& fit,
                           std::span<std::uint8_t> out) {
  const RecordType asked = query.question().qtype;
  const bool does_not_exist = end && end->kind == LocalAnswer::Kind::nxdomain;
  Draft draft(query, does_not_exist ? ResponseCode::nxdomain : ResponseCode::noerror, fit, out);
  draft.set_authoritative();
  bool is_positive = false;
  const auto add = [&](RecordType type, dns::Octets rdata, std::uint32_t ttl) {
    draft.add_record(type, rdata, ttl);
    is_positive = true;
  };
  std::array<const LocalRecord*, local_chain_max> seen;  // the first record of each name on the way
  for (std::size_t steps = 0; steps < local_chain_max && !records.empty(); ++steps) {
    if (std::find(seen.begin(), seen.begin() + steps, records.data()) != seen.begin() + steps) break;  // a circle
    seen[steps] = records.data();
    for (const LocalRecord& record : records)
      if (record.type == asked || asked == RecordType::any) add(record.type, record.rdata, record.ttl_seconds);
    if (!is_positive && dns64 != nullptr && asked == RecordType::aaaa)
      for (const LocalRecord& record : records)
        if (record.type == RecordType::a)
          for (const IpPrefix& prefix : dns64->prefixes)
            if (const auto made = embed(prefix, IpAddress::from_octets(record.rdata)))
              add(asked, made->octets(), record.ttl_seconds);
    const LocalRecord* cname = LocalRecords::find_cname(records);
    if (is_positive || cname == nullptr) break;
    const auto target = Name::from_wire(cname->rdata);
    check(target.has_value());
    if (!draft.add_record(RecordType::cname, cname->rdata, cname->ttl_seconds)) break;
    draft.go_on_at_target(cname->rdata.size());
    records = all.find(*target);
  }
  if (does_not_exist)
    draft.add_soa_of_zone(std::max<std::size_t>(end->zone_octets, 1), end->ttl_seconds);
  else if (!is_positive)
    draft.add_soa(local_ttl_seconds);
  return draft.end(std::nullopt, {});
}

bool has_excluded(dns::Octets words, const Dns64& dns64) {
  const auto view = dns::ResponseView::parse(words);
  check(view.has_value());
  for (const dns::RecordView& record : *view)
    if (is_excluded(record, dns64)) return true;
  return false;
}

std::size_t retell(const dns::Question& question, dns::Octets words, const Retelling& how,
                   std::span<std::uint8_t> out) {
  const auto view = dns::ResponseView::parse(words);
  check(view.has_value());
  dns::MessageWriter writer(out);
  writer.header(0, {}, view->code());
  check(writer.question(question));
  if (how.target)
    check(writer.record(dns::Section::answer, question.qname, RecordType::cname, RecordClass::in,
                        how.target_ttl_seconds, *how.target));
  for (const dns::RecordView& record : *view) {
    if (record.section == dns::Section::additional) break;
    const std::uint32_t ttl = how.ttl_seconds.value_or(record.ttl > how.age_seconds ? record.ttl - how.age_seconds : 0);
    bool fits = true;
    if (how.dns64 == nullptr || record.section != dns::Section::answer) {
      fits = writer.copy(record.section, *view, record, ttl);
    } else if (record.type != RecordType::a) {
      if (!signs_addresses(record) && !is_excluded(record, *how.dns64))
        fits = writer.copy(record.section, *view, record, ttl);
    } else {
      for (const IpPrefix& prefix : how.dns64->prefixes)
        if (const auto made = embed(prefix, IpAddress::from_octets(record.rdata)))
          fits = fits && writer.record(record.section, view->owner(record), RecordType::aaaa, RecordClass::in,
                                       std::min(ttl, how.ipv6_ttl_seconds_max), made->octets());
    }
    if (!fits) break;
  }
  return writer.size();
}

std::size_t refuse(const dns::QueryView& query, dns::ResponseCode code, std::optional<dns::ExtendedError> error,
                   std::string_view error_text, const Fit& fit, std::span<std::uint8_t> out) {
  return Draft(query, code, fit, out).end(error, error_text);
}

std::size_t reject(dns::Octets message, dns::MessageFault fault, std::span<std::uint8_t> out) {
  using dns::MessageFault;
  if (fault == MessageFault::too_short || fault == MessageFault::not_a_query) return 0;
  const ResponseCode code = fault == MessageFault::opcode_unknown ? ResponseCode::notimp : ResponseCode::formerr;
  dns::MessageWriter writer(out);
  writer.header(static_cast<std::uint16_t>(message[0] << 8 | message[1]),
                {.opcode = static_cast<dns::Opcode>(message[2] >> 3 & 0x0f),
                 .recursion_desired = (message[2] & 0x01) != 0,
                 .checking_disabled = (message[3] & 0x10) != 0},
                code);
  std::size_t size = writer.size();
  if (const dns::Octets question = readable_question(message);
      !question.empty() && out.size() >= size + question.size()) {
    std::copy(question.begin(), question.end(), out.begin() + static_cast<std::ptrdiff_t>(size));
    out[5] = 1;
    size += question.size();
  }
  const Fit fit{.has_edns = has_opt(message)};  // RFC 6891 §6.1.1
  return out.size() >= size + opt_octets(fit) ? end_with_opt(out, size, fit, code, std::nullopt, {}) : size;
}

}  // namespace doline::response

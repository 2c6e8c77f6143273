#include "upstream/accept.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "base/check.h"
#include "dns/read_octets.h"
#include "dns/writer.h"

namespace doline::upstream {

namespace {

using dns::Name;
using dns::read16;
using dns::read32;
using dns::RecordType;
using dns::RecordView;
using dns::ResponseCode;
using dns::ResponseView;
using dns::Section;

constexpr ResponseCode yxdomain{6};  // a DNAME led to a name that is too long (RFC 6672 §2.2)
constexpr std::size_t signer_offset = 18;
constexpr std::uint16_t pointer_reach = 0x4000;  // 14 bits (RFC 1035 §4.1.4)
/// Denials of existence that are relayed: three for a name that does not exist (RFC 5155 §7.2.2), and for each zone of
/// a chain.
constexpr std::size_t proofs_max = 16;

/// RFC 2181 §8: with its top bit set a TTL is 0.
std::uint32_t bounded(std::uint32_t ttl) {
  return (ttl & 0x80000000) != 0 ? 0 : ttl;
}

bool echoes_question(dns::Octets response, const dns::Question& asked, dns::Octets sent_qname) {
  const std::size_t size = asked.qname.size();
  if (read16(response, 4) != 1 || response.size() < dns::header_octets + size + 4) return false;
  const dns::Octets name = response.subspan(dns::header_octets, size);
  if (read16(response, dns::header_octets + size) != static_cast<std::uint16_t>(asked.qtype) ||
      read16(response, dns::header_octets + size + 2) != static_cast<std::uint16_t>(asked.qclass))
    return false;
  if (!sent_qname.empty()) return std::memcmp(name.data(), sent_qname.data(), size) == 0;
  const auto echoed = Name::from_wire(name);
  return echoed && echoed->size() == size && *echoed == asked.qname;
}

bool is_failure(ResponseCode code) {
  return code != ResponseCode::noerror && code != ResponseCode::nxdomain && code != yxdomain;
}

RecordType covered_by(const RecordView& signature) {
  return static_cast<RecordType>(read16(signature.rdata, 0));
}

/// What the DNAME at `owner` makes of `name`, which is below (RFC 6672 §2.2). Nothing where it is too long.
std::optional<Name> substitute(const Name& name, const Name& owner, const Name& target) {
  const std::size_t prefix = name.size() - owner.size();
  if (prefix + target.size() > dns::name_octets_max) return std::nullopt;
  std::array<std::uint8_t, dns::name_octets_max> wire;
  std::memcpy(wire.data(), name.wire().data(), prefix);
  std::memcpy(wire.data() + prefix, target.wire().data(), target.size());
  const auto made = Name::from_wire({wire.data(), prefix + target.size()});
  return made ? std::optional<Name>(*made) : std::nullopt;
}

/// Copies what is to be believed, record by record.
class Sieve {
 public:
  Sieve(const ResponseView& view, const dns::Question& asked, std::span<std::uint8_t> out, const TtlBounds& bounds)
      : view_(view), asked_(asked), bounds_(bounds), writer_(out) {}

  Result<Accepted, AcceptFault> run() {
    writer_.header(0, {.authentic_data = view_.authentic_data()}, view_.code());
    fits_ = writer_.question(asked_);

    const auto found = follow_chain();
    if (!found) return fail(found.error());
    // RFC 6604 §3: the code speaks of the last name of the chain, and that one exists.
    if (*found && view_.code() != ResponseCode::noerror) return fail(AcceptFault::contradiction);
    if (!*found && view_.code() != yxdomain) {
      is_negative_ = true;
      bounds_.most = std::min(bounds_.most, bounds_.most_negative);
      if (!keep_soa()) {
        if (is_referral()) return fail(AcceptFault::referral);
        ttl_ = 0;  // RFC 2308 §5: not to be cached
      }
    }
    if (has_in_authority(RecordType::rrsig)) keep_proofs();
    if (!fits_) return fail(AcceptFault::too_large);
    return Accepted{.size = writer_.size(),
                    .code = view_.code(),
                    .ttl = seconds(ttl_ == UINT32_MAX ? 0 : ttl_),
                    .is_negative = is_negative_,
                    .authentic_data = view_.authentic_data()};
  }

 private:
  /// Answer: the chain, and the RRset asked for where it ends. True where there is one.
  Result<bool, AcceptFault> follow_chain() {
    // Where nothing leads on and nothing is signed, what is kept of the RRset says whether there is one.
    if (!view_.may_have(RecordType::cname) && !view_.may_have(RecordType::dname) && !view_.may_have(RecordType::rrsig))
      return keep_set(Section::answer, asked_.qname, asked_.qtype);
    while (true) {
      const Name& name = last_name();
      std::optional<RecordView> cname, dname;
      bool is_answered = false;
      for (const RecordView& record : view_) {
        if (record.section != Section::answer) break;
        if (record.record_class != asked_.qclass) continue;
        const bool is_asked = record.type == asked_.qtype || asked_.qtype == RecordType::any;
        if (!is_asked && record.type != RecordType::cname && record.type != RecordType::dname) continue;
        if (is_at_last(record)) {
          is_answered |= is_asked;
          if (record.type == RecordType::cname && !cname) cname = record;
        } else if (record.type == RecordType::dname && !dname && name.is_within(view_.owner(record))) {
          dname = record;
        }
      }
      if (asked_.qtype == RecordType::any) cname = dname = std::nullopt;  // whatever is there is the answer
      if (dname) keep_set(Section::answer, view_.owner(*dname), RecordType::dname);
      // Below a DNAME the CNAME is what the DNAME says, so we say it ourselves; also to those who ask for it.
      const bool asks_for_link = dname && asked_.qtype == RecordType::cname;
      if (is_answered && !asks_for_link) {
        keep_set(Section::answer, name, asked_.qtype);
        return true;
      }
      if (!cname && !dname) return false;
      if (links_ == cname_max) return fail(AcceptFault::chain_too_long);
      if (dname) {
        const auto target = substitute(name, view_.owner(*dname), view_.rdata_name(*dname, 0));
        if (!target) return false;
        const std::uint32_t ttl = within_bounds(bounded(dname->ttl));
        fits_ = fits_ && writer_.record(Section::answer, name, RecordType::cname, asked_.qclass, ttl, *target);
        if (asks_for_link) return true;
        lead_to(*target, 0);
      } else {
        keep_set(Section::answer, name, RecordType::cname);
        lead_to(view_.rdata_name(*cname, 0), cname->rdata_offset < pointer_reach ? cname->rdata_offset : 0);
      }
    }
  }

  void lead_to(const Name& target, std::uint16_t offset) {
    std::construct_at(&targets_[links_++], target);
    last_offset_ = offset;
  }
  [[nodiscard]] const Name& last_name() const { return links_ == 0 ? asked_.qname : targets_[links_ - 1]; }

  /// The SOA that makes a negative answer, of a zone that may speak of the last name (RFC 2308 §3, §5). It goes on with
  /// the TTL that counts: else whoever caches it from our cache, aged, would keep it longer than we.
  bool keep_soa() {
    for (const RecordView& record : view_) {
      if (record.section != Section::authority || record.type != RecordType::soa ||
          record.record_class != asked_.qclass)
        continue;
      const Name owner = view_.owner(record);
      if (!last_name().is_within(owner)) continue;
      keep_set(Section::authority, owner, RecordType::soa, bounded(read32(record.rdata, record.rdata.size() - 4)));
      return true;
    }
    return false;
  }

  /// RFC 2308 §2.2: NS without SOA and without an answer. A server that does not recurse is none for a forwarder.
  [[nodiscard]] bool is_referral() const {
    if (links_ > 0 || view_.code() != ResponseCode::noerror) return false;
    return has_in_authority(RecordType::ns);
  }

  [[nodiscard]] bool has_in_authority(RecordType type) const {
    return view_.may_have(type) && std::ranges::any_of(view_, [&](const RecordView& record) {
             return record.section == Section::authority && record.type == type;
           });
  }

  /// Denials of existence, of this answer or (wildcards, RFC 4035 §3.1.3.3) beside it, for clients that validate.
  /// Unsigned they prove nothing; signed by a zone that has none of our names they are none of our business.
  void keep_proofs() {
    struct Proof {
      Name owner;
      RecordType type;
    };
    std::array<Proof, proofs_max> kept;
    std::size_t kept_count = 0;
    for (const RecordView& signature : view_) {
      if (signature.section != Section::authority || signature.type != RecordType::rrsig ||
          signature.record_class != asked_.qclass)
        continue;
      const RecordType covered = covered_by(signature);
      if (covered != RecordType::nsec && covered != RecordType::nsec3) continue;
      const Name signer = view_.rdata_name(signature, signer_offset), owner = view_.owner(signature);
      if (!owner.is_within(signer) || !speaks_of_chain(signer)) continue;
      if (std::any_of(kept.begin(), kept.begin() + kept_count,
                      [&](const Proof& proof) { return proof.type == covered && proof.owner == owner; }))
        continue;
      if (kept_count == kept.size()) return;
      kept[kept_count++] = {owner, covered};
      keep_set(Section::authority, owner, covered);
    }
  }

  [[nodiscard]] bool speaks_of_chain(const Name& zone) const {
    return asked_.qname.is_within(zone) || std::any_of(targets_.begin(), targets_.begin() + links_,
                                                       [&](const Name& name) { return name.is_within(zone); });
  }

  /// An RRset and its signatures; true where there was one. Of singletons (RFC 1034 §3.6.2, RFC 6672 §2.4, RFC 2181
  /// §7.2) the first.
  bool keep_set(Section section, const Name& owner, RecordType type, std::uint32_t ttl_max = UINT32_MAX) {
    bool is_kept = false;
    const bool is_singleton = type == RecordType::cname || type == RecordType::dname || type == RecordType::soa;
    for (const RecordView& record : view_) {
      if (record.section != section || record.record_class != asked_.qclass) continue;
      const bool is_of_set = record.type == type || type == RecordType::any;
      if (!is_of_set && (record.type != RecordType::rrsig || covered_by(record) != type)) continue;
      if (is_of_set && is_singleton && is_kept) continue;
      if (&owner == &last_name() ? !is_at_last(record) : view_.owner(record) != owner) continue;
      is_kept |= is_of_set;
      keep(owner, record, ttl_max);
    }
    return is_kept;
  }

  /// Is the owner the last name of the chain? Servers compress, so a pointer to where that stands often tells.
  [[nodiscard]] bool is_at_last(const RecordView& record) const {
    const std::uint16_t start = read16(view_.octets(), record.owner_offset);
    return start == (0xc000 | last_offset_) || view_.owner(record) == last_name();
  }

  void keep(const Name& owner, const RecordView& record, std::uint32_t ttl_max) {
    const std::uint32_t ttl = within_bounds(std::min(bounded(record.ttl), ttl_max));
    ttl_ = std::min(ttl_, ttl);
    if (!fits_) return;
    fits_ = record.is_normal ? writer_.copy_normal(view_, record, ttl)
                             : writer_.copy(record.section, owner, view_, record, ttl);
  }

  [[nodiscard]] std::uint32_t within_bounds(std::uint32_t ttl) const {
    return std::min(std::max(ttl, bounds_.least), bounds_.most);
  }

  const ResponseView& view_;
  const dns::Question& asked_;
  TtlBounds bounds_;
  dns::MessageWriter writer_;
  union {
    std::array<Name, cname_max> targets_;  // the chain behind the question; made as it grows
  };
  std::uint16_t last_offset_ = dns::header_octets;  // where its last name stands in the response; 0: nowhere
  int links_ = 0;
  std::uint32_t ttl_ = UINT32_MAX;
  bool is_negative_ = false;
  bool fits_ = true;
};

}  // namespace

Result<Accepted, AcceptFault> accept(dns::Octets response, const dns::Question& asked, dns::Octets sent_qname,
                                     std::span<std::uint8_t> out, const TtlBounds& bounds) {
  check(sent_qname.empty() || sent_qname.size() == asked.qname.size());
  if (response.size() < dns::header_octets || (response[2] & 0xf8) != 0x80) return fail(AcceptFault::malformed);
  const auto code = static_cast<ResponseCode>(response[3] & 0x0f);
  if (!echoes_question(response, asked, sent_qname)) {
    // Servers that could not read the question do not always repeat it (RFC 1035 §4.1.1: FORMERR).
    if (read16(response, 4) == 0 && is_failure(code)) return fail(AcceptFault::server_failed);
    return fail(AcceptFault::other_question);
  }
  // Before the records: of a truncated message only the header is sure (RFC 2181 §9).
  if ((response[2] & 0x02) != 0) return fail(AcceptFault::truncated);
  if (is_failure(code)) return fail(AcceptFault::server_failed);
  const auto view = ResponseView::parse_behind(response, dns::header_octets + asked.qname.size() + 4);
  if (!view) return fail(AcceptFault::malformed);
  if (is_failure(view->code())) return fail(AcceptFault::server_failed);
  return Sieve(*view, asked, out, bounds).run();
}

}  // namespace doline::upstream

#include "response/finish.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "dns/read_octets.h"
#include "dns/write_octets.h"
#include "dns/writer.h"
#include "response/opt.h"

namespace doline::response {

namespace {

using dns::read16;
using dns::read32;
using dns::RecordType;

/// RFC 4035 §3.2.1: without DO these come only to those who ask for them.
bool is_dnssec(RecordType type) {
  return type == RecordType::rrsig || type == RecordType::nsec || type == RecordType::nsec3;
}

/// Walks the records behind the question: `take(type, where the TTL stands)` for each, until it says false. False where
/// the records end early.
template <class Take>
bool walk(dns::Octets message, std::size_t at, Take take) {
  for (int left = read16(message, 6) + read16(message, 8) + read16(message, 10); left > 0; --left) {
    while (at < message.size() && message[at] != 0 && message[at] < 0xc0) at += message[at] + 1u;
    at += at < message.size() && message[at] >= 0xc0 ? 2 : 1;
    if (at + 10 > message.size()) return false;
    const std::size_t end = at + 10 + read16(message, at + 8);
    if (end > message.size()) return false;
    if (!take(static_cast<RecordType>(read16(message, at)), at + 4)) return true;
    at = end;
  }
  return true;
}

std::uint32_t aged(std::uint32_t ttl, const Touches& touches) {
  if (touches.ttl_seconds) return *touches.ttl_seconds;
  return ttl > touches.age_seconds ? ttl - touches.age_seconds : 0;
}

/// The words without records that this client did not ask for; written anew, because others may be compressed against
/// them. 0 where they do not fit.
std::size_t copy_without_dnssec(const dns::Question& question, dns::Octets words, std::span<std::uint8_t> out) {
  const auto view = dns::ResponseView::parse(words);
  if (!view) return 0;
  dns::MessageWriter writer(out);
  writer.header(0, {.authentic_data = view->authentic_data()}, view->code());
  if (!writer.question(question)) return 0;
  for (const dns::RecordView& record : *view) {
    if (is_dnssec(record.type) && record.type != question.qtype) continue;
    if (!writer.copy(record.section, *view, record, record.ttl)) return 0;
  }
  return writer.size();
}

}  // namespace

std::size_t finish(const dns::QueryView& query, dns::Octets words, const Touches& touches, const Fit& fit,
                   std::span<std::uint8_t> out) {
  const dns::Question& question = query.question();
  const std::span<std::uint8_t> space = out.first(std::min(out.size(), fit.octets_max));
  const std::size_t behind_question = dns::header_octets + question.qname.size() + 4;
  check(words.size() >= behind_question && space.size() >= dns::header_octets);
  const std::size_t kept = opt_octets(fit);
  const std::size_t room = space.size() > kept ? space.size() - kept : 0;

  // 1. The words, their TTLs aged, without what this client did not ask for.
  const auto is_asked = [&](RecordType type) {
    return !is_dnssec(type) || fit.dnssec_ok || type == question.qtype || question.qtype == RecordType::any;
  };
  const auto age = [&](std::size_t at) {
    if (touches.age_seconds > 0 || touches.ttl_seconds) dns::put32(space.data() + at, aged(read32(space, at), touches));
  };
  std::size_t size = words.size();
  bool is_all_asked = true;
  if (size <= room) {
    std::memcpy(space.data(), words.data(), size);
    (void)walk(space.first(size), behind_question, [&](RecordType type, std::size_t at) {
      age(at);
      return is_all_asked = is_asked(type);
    });
  } else {
    (void)walk(words, behind_question, [&](RecordType type, std::size_t) { return is_all_asked = is_asked(type); });
  }
  if (!is_all_asked) {
    size = copy_without_dnssec(question, words, space.first(room));
    if (size > 0)
      (void)walk(space.first(size), behind_question, [&](RecordType, std::size_t at) {
        age(at);
        return true;
      });
  }
  const bool fits = size > 0 && size <= room;

  // 2. The question in the client's case: every name that is compressed against it follows.
  if (!fits) {
    std::memcpy(space.data(), words.data(), dns::header_octets);
    std::fill(space.begin() + 6, space.begin() + dns::header_octets, std::uint8_t{0});
    std::memcpy(space.data() + dns::header_octets + question.qname.size(),
                words.data() + dns::header_octets + question.qname.size(), 4);
    size = behind_question;
  }
  std::memcpy(space.data() + dns::header_octets, question.qname.wire().data(), question.qname.size());

  // 3. The header. Rcode and AD are the words'; AD only to those who can tell what it means (RFC 6840 §5.8).
  const bool wants_ad = fit.dnssec_ok || query.authentic_data();
  const bool has_ad = (words[3] & 0x20) != 0 && wants_ad;
  dns::put16(space.data(), query.id());
  space[2] = static_cast<std::uint8_t>(0x80 | (fits ? 0 : 0x02) | (query.recursion_desired() ? 0x01 : 0));
  space[3] = static_cast<std::uint8_t>(0x80 | (has_ad ? 0x20 : 0) | (query.checking_disabled() ? 0x10 : 0) |
                                       (words[3] & 0x0f));

  // 4. OPT.
  return end_with_opt(space, size, fit, static_cast<dns::ResponseCode>(words[3] & 0x0f), touches.error,
                      touches.error_text);
}

}  // namespace doline::response

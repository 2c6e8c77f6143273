// Responses from upstream: any octets are accepted words or a fault. What is accepted, ldns reads too, and nothing is
// in it that was not asked for; accepted again, it is the same. The input is a response; the question is its own, so
// that the first hurdle is taken.
#include "upstream/accept.h"

#include <ldns/ldns.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "dns/message.h"
#include "upstream/complaint.h"

using namespace doline;

namespace {

/// The names that may own records of the answer: the chain of CNAMEs from the question, and the DNAMEs above it.
bool is_asked_for(const dns::ResponseView& words) {
  dns::Name name = words.question().qname;
  const dns::RecordType qtype = words.question().qtype;
  for (const dns::RecordView& record : words) {
    if (record.section == dns::Section::additional || record.record_class != words.question().qclass) return false;
    const dns::Name owner = words.owner(record);
    if (record.section == dns::Section::authority) {
      if (record.type != dns::RecordType::soa && record.type != dns::RecordType::nsec &&
          record.type != dns::RecordType::nsec3 && record.type != dns::RecordType::rrsig)
        return false;
      continue;
    }
    if (qtype != dns::RecordType::any && record.type != qtype && record.type != dns::RecordType::cname &&
        record.type != dns::RecordType::dname && record.type != dns::RecordType::rrsig)
      return false;
    if (owner != name && !name.is_within(owner)) {
      // A signature behind its CNAME stands after the step to the next name.
      if (record.type == dns::RecordType::rrsig) continue;
      return false;
    }
    if (record.type == dns::RecordType::cname && owner == name && qtype != dns::RecordType::cname &&
        qtype != dns::RecordType::any)
      name = words.rdata_name(record, 0);
  }
  return true;
}

void compare_with_ldns(dns::Octets words) {
  const auto view = dns::ResponseView::parse(words);
  check(view.has_value());
  // ldns 1.8 takes octets of the next record for those of a SINK (type 40).
  constexpr dns::RecordType sink{40};
  for (const dns::RecordView& record : *view)
    if (record.type == sink) return;
  ldns_pkt* packet = nullptr;
  check(ldns_wire2pkt(&packet, words.data(), words.size()) == LDNS_STATUS_OK);
  check(view->record_count() == ldns_pkt_ancount(packet) + ldns_pkt_nscount(packet) + ldns_pkt_arcount(packet));
  check(ldns_pkt_id(packet) == 0 && ldns_pkt_qr(packet) && !ldns_pkt_tc(packet) && !ldns_pkt_aa(packet));
  ldns_pkt_free(packet);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  const std::vector<std::uint8_t> response(octets, octets + size);  // its own allocation, so that ASan sees its borders
  static std::vector<std::uint8_t> space(dns::message_octets_max), again_space(dns::message_octets_max);
  dns::Question asked{dns::Name::parse("www.example").value()};
  if (const auto view = dns::ResponseView::parse(response)) asked = view->question();
  const auto accepted = upstream::accept(response, asked, asked.qname.wire(), space);
  if (!accepted) {
    const auto complaint = upstream::read_complaint(response, accepted.error(), {});
    check(complaint.text.size() <= upstream::complaint_octets_max && !to_string(complaint).empty());
    return 0;
  }
  const dns::Octets words(space.data(), accepted->size);
  check(accepted->ttl >= seconds(0) && accepted->ttl <= seconds(0x7fffffff));
  const auto view = dns::ResponseView::parse(words);
  check(view.has_value() && view->question() == asked && !view->edns());
  check(is_asked_for(*view));
  for (const dns::RecordView& record : *view)
    check(record.ttl >= accepted->ttl.count() || record.section != dns::Section::answer);
  compare_with_ldns(words);

  // Words are a response that is believed again, and no record is lost or found by that.
  const auto again = upstream::accept(words, asked, {}, again_space);
  check(again.has_value() && again->code == accepted->code && again->is_negative == accepted->is_negative);
  check(again->ttl == accepted->ttl);
  const dns::Octets same(again_space.data(), again->size);
  check(std::equal(words.begin(), words.end(), same.begin(), same.end()));
  return 0;
}

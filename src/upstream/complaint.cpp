#include "upstream/complaint.h"

#include <algorithm>

#include "dns/read_octets.h"

namespace doline::upstream {

Complaint read_complaint(dns::Octets response, AcceptFault fault, const Endpoint& server) {
  Complaint complaint{.server = server, .fault = fault, .error = {}, .text = {}};
  if (response.size() < dns::header_octets) return complaint;
  complaint.code = dns::code_of(response);
  const auto view = dns::ResponseView::parse(response);
  if (!view) return complaint;
  complaint.code = view->code();
  if (!view->edns() || !view->edns()->extended_error) return complaint;
  const dns::Octets said = *view->edns()->extended_error;
  complaint.error = static_cast<dns::ExtendedError>(dns::read16(said, 0));
  complaint.text.assign(said.begin() + 2, said.begin() + std::min(said.size(), 2 + complaint_octets_max));
  std::ranges::replace_if(complaint.text, [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  return complaint;
}

std::string to_string(const Complaint& complaint) {
  if (!complaint.text.empty()) return complaint.text;
  const Endpoint& server = complaint.server;
  const std::string who = server.port == 53 ? server.address.to_string() : server.to_string();
  switch (complaint.fault) {
    case AcceptFault::server_failed:
      return who + " said " + dns::to_string(complaint.code);
    case AcceptFault::referral:
      return who + " answered with a referral: it does not recurse";
    case AcceptFault::contradiction:
      return who + " said " + dns::to_string(complaint.code) + " beside an answer";
    case AcceptFault::chain_too_long:
      return "the CNAME chain that " + who + " answered with is too long";
    case AcceptFault::too_large:
      return "the answer of " + who + " is too large";
    case AcceptFault::malformed:
    case AcceptFault::other_question:
    case AcceptFault::truncated:
      break;
  }
  return who + " sent what cannot be believed";
}

}  // namespace doline::upstream

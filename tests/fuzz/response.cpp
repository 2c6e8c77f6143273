// What leaves for clients, from any octets that arrive: whatever accept() believes of a server's response is finished
// for a client, and whatever a client sent is refused or rejected; ldns must be able to read each.
#include <array>
#include <vector>

#include "base/check.h"
#include "response/finish.h"
#include "response/synthesize.h"
#include "upstream/accept.h"

// Last: it defines bool anew.
#include <ldns/ldns.h>

namespace {

using namespace doline;

void check_that_ldns_reads(dns::Octets message) {
  ldns_pkt* packet = nullptr;
  check(ldns_wire2pkt(&packet, message.data(), message.size()) == LDNS_STATUS_OK);
  ldns_pkt_free(packet);
}

std::array<std::uint8_t, 65'535> out, words;

/// The question that a response claims to answer, asked by a client with these wishes.
void finish_for(const dns::ResponseView& response, std::uint8_t wishes) {
  const auto accepted = upstream::accept(response.octets(), response.question(), {}, words);
  if (!accepted) return;
  std::array<std::uint8_t, 512> octets{};
  dns::MessageWriter writer(octets);
  writer.header(7, {.response = false, .recursion_available = false, .authentic_data = (wishes & 1) != 0},
                dns::ResponseCode::noerror);
  check(writer.question(response.question()));
  const auto query = dns::QueryView::parse({octets.data(), writer.size()});
  check(query.has_value());
  response::Fit fit;
  fit.octets_max = (wishes & 2) != 0 ? 512 : 65'535;
  fit.has_edns = (wishes & 4) != 0;
  fit.dnssec_ok = (wishes & 8) != 0;
  response::Touches touches{.age_seconds = wishes};
  if ((wishes & 16) != 0) touches.error = dns::ExtendedError::stale_answer;
  touches.error_text = "a text";
  const std::size_t size = response::finish(*query, {words.data(), accepted->size}, touches, fit, out);
  check(size >= dns::header_octets && size <= fit.octets_max);
  const auto view = dns::ResponseView::parse({out.data(), size});
  check(view.has_value() && view->id() == 7 && view->edns().has_value() == fit.has_edns);
  check_that_ldns_reads({out.data(), size});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  const std::vector<std::uint8_t> message(octets, octets + size);
  if (const auto response = dns::ResponseView::parse(message))
    for (const std::uint8_t wishes : {0, 1, 2, 5, 12, 22, 31}) finish_for(*response, wishes);
  const auto query = dns::QueryView::parse(message);
  response::Fit fit;
  fit.has_edns = true;
  std::size_t refused;
  if (query)
    refused = response::refuse(*query, dns::ResponseCode::badvers, dns::ExtendedError::other, "a text", fit, out);
  else
    refused = response::reject(message, query.error(), out);
  const bool is_answerable = query.has_value() || query.error() > dns::MessageFault::not_a_query;
  check(refused <= fit.octets_max && is_answerable == (refused > 0));
  if (refused > 0) check_that_ldns_reads({out.data(), refused});
  return 0;
}

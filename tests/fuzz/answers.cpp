// Answers in the query log: of any response, what is kept fits its room and comes back as it was; any octets of a
// database are read as some answers, and any key as some name, without harm.
#include "querylog/answers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "querylog/schema.h"

using namespace doline;
using namespace doline::querylog;

namespace {

dns::Octets rdata_of(const EncodedAnswers& encoded, const EncodedAnswers::Item& item) {
  return dns::Octets(encoded.rdata).subspan(item.rdata_at, item.rdata_octets);
}

void keep_and_read(dns::Octets response) {
  dns::Question asked;
  if (const auto view = dns::ResponseView::parse(response)) asked = view->question();
  EncodedAnswers encoded;
  encode_answers(response, asked.qname, encoded);
  check(encoded.octets.size() <= answer_octets_max + 1);  // and the octet that says so
  const DecodedAnswers decoded = decode_answers(encoded.octets, asked.qname);
  check(decoded.answers.size() <= encoded.items.size());
  check(decoded.is_shortened || decoded.answers.size() == encoded.items.size());
  for (std::size_t at = 0; at < decoded.answers.size(); ++at) {
    const Answer& answer = decoded.answers[at];
    const EncodedAnswers::Item& item = encoded.items[at];
    check(answer.owner == item.owner && answer.type == item.type && answer.record_class == item.record_class);
    check(std::ranges::equal(answer.rdata, rdata_of(encoded, item)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> octets(data, data + size);  // its own allocation, so that ASan sees its borders
  keep_and_read(octets);

  const DecodedAnswers decoded = decode_answers(octets, dns::Name());
  check(decoded.answers.size() <= answers_max);
  check(answer_addresses(octets).size() <= decoded.answers.size());

  const dns::Name name = from_name_key({reinterpret_cast<const char*>(octets.data()), octets.size()});
  check(from_name_key(to_name_key(name)) == name);
  return 0;
}

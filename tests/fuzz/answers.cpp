// Answers in the query log: of any response, what is kept fits its room and comes back as it was; any octets of a
// database are read as some answers, and any key as some name, without harm.
#include "querylog/answers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "dns/presentation.h"
#include "querylog/schema.h"

using namespace doline;
using namespace doline::querylog;

namespace {

/// The Answer section as the records in it say, each RRset in the order of its RDATA.
std::vector<Answer> answers_of(const dns::ResponseView& view) {
  std::vector<Answer> answers;
  for (const dns::RecordView& record : view) {
    if (record.section != dns::Section::answer) break;
    dns::Record whole = dns::to_record(view, record);
    answers.push_back({whole.owner.lowered(), whole.type, whole.record_class, std::move(whole.rdata)});
  }
  const auto is_same = [](const Answer& left, const Answer& right) {
    return left.owner == right.owner && left.type == right.type && left.record_class == right.record_class;
  };
  for (auto begin = answers.begin(); begin != answers.end();) {
    const auto end = std::find_if(begin, answers.end(), [&](const Answer& answer) { return !is_same(*begin, answer); });
    std::sort(begin, end, [](const Answer& left, const Answer& right) { return left.rdata < right.rdata; });
    begin = end;
  }
  return answers;
}

void keep_and_read(dns::Octets response) {
  dns::Question asked;
  const auto view = dns::ResponseView::parse(response);
  if (view) asked = view->question();
  EncodedAnswers encoded;
  encode_answers(response, asked.qname, encoded);
  check(encoded.octets.size() <= answer_octets_max + 1);  // and the octet that says so
  const DecodedAnswers decoded = decode_answers(encoded.octets, asked.qname);
  if (!view) return;
  const std::vector<Answer> answers = answers_of(*view);
  check(decoded.is_shortened ? decoded.answers.size() <= answers.size() : decoded.answers.size() == answers.size());
  for (std::size_t at = 0; !decoded.is_shortened && at < answers.size(); ++at) {
    const Answer &read = decoded.answers[at], &answered = answers[at];
    check(read.owner == answered.owner && read.type == answered.type && read.record_class == answered.record_class);
    check(read.rdata == answered.rdata);
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

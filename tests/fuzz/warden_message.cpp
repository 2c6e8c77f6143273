// What resolver and warden say to each other: any octets are a message or a fault, a message is within its limits, and
// what was parsed is written and parsed to the same again.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "redirect/admission.h"
#include "redirect/origin.h"
#include "redirect/request.h"

using namespace doline;
using namespace doline::redirect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> octets(data, size);
  if (const auto request = parse_request(octets)) check(parse_request(write_request(*request)) == *request);
  if (const auto reply = parse_reply(octets)) {
    check(parse_reply(write_reply(*reply)) == *reply);
    if (const auto* status = std::get_if<StatusReply>(&reply->body)) check(!describe(*status).empty());
  }
  if (const auto questions = parse_origin_questions(octets)) {
    check(questions->size() <= origins_per_message);
    check(parse_origin_questions(write_origin_questions(*questions)) == *questions);
  }
  if (const auto answers = parse_origin_answers(octets))
    check(parse_origin_answers(write_origin_answers(*answers)) == *answers);
  if (const auto admissions = parse_admissions(octets)) {
    check(count_that_fit(*admissions) == admissions->size());
    check(parse_admissions(write_admissions(*admissions)) == *admissions);
  }
  if (const auto answers = parse_admission_answers(octets))
    check(parse_admission_answers(write_admission_answers(*answers)) == *answers);
  return 0;
}

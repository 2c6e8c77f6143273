#include "redirect/origin.h"

#include "base/check.h"
#include "redirect/wire.h"

namespace doline::redirect {

std::vector<std::uint8_t> write_origin_questions(std::span<const OriginQuestion> questions) {
  check(questions.size() <= origins_per_message);
  WireWriter out;
  out.list(questions, [&](const OriginQuestion& question) {
    out.integer(question.ticket);
    out.integer(static_cast<std::uint8_t>(question.protocol));
    out.endpoint(question.client);
    out.endpoint(question.local);
  });
  return out.take();
}

Result<std::vector<OriginQuestion>, MessageFault> parse_origin_questions(std::span<const std::uint8_t> octets) {
  WireReader in(octets);
  auto questions = in.list<OriginQuestion>(origins_per_message, [&] {
    OriginQuestion question;
    question.ticket = in.integer<std::uint32_t>();
    question.protocol = in.enumerator(Protocol::tcp);
    question.client = in.endpoint();
    question.local = in.endpoint();
    return question;
  });
  if (!in.is_complete()) return fail(MessageFault::malformed);
  return questions;
}

std::vector<std::uint8_t> write_origin_answers(std::span<const OriginAnswer> answers) {
  check(answers.size() <= origins_per_message);
  WireWriter out;
  out.list(answers, [&](const OriginAnswer& answer) {
    out.integer(answer.ticket);
    out.integer(static_cast<std::uint8_t>(answer.original.has_value()));
    if (answer.original) out.endpoint(*answer.original);
  });
  return out.take();
}

Result<std::vector<OriginAnswer>, MessageFault> parse_origin_answers(std::span<const std::uint8_t> octets) {
  WireReader in(octets);
  auto answers = in.list<OriginAnswer>(origins_per_message, [&] {
    OriginAnswer answer;
    answer.ticket = in.integer<std::uint32_t>();
    if (in.boolean()) answer.original = in.endpoint();
    return answer;
  });
  if (!in.is_complete()) return fail(MessageFault::malformed);
  return answers;
}

}  // namespace doline::redirect

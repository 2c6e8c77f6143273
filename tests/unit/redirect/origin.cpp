#include "redirect/origin.h"

#include <doctest/doctest.h>

#include <vector>

using namespace doline;
using namespace doline::redirect;

namespace {

const std::vector<OriginQuestion> questions{
    {.ticket = 1,
     .protocol = Protocol::udp,
     .client = *Endpoint::parse("192.168.50.31:40000", 0),
     .local = *Endpoint::parse("192.168.50.1:5399", 0)},
    {.ticket = 0xffffffff,
     .protocol = Protocol::tcp,
     .client = *Endpoint::parse("[2001:db8:50::31]:40001", 0),
     .local = *Endpoint::parse("[2001:db8:50::1]:5399", 0)},
};

const std::vector<OriginAnswer> answers{
    {.ticket = 1, .original = *Endpoint::parse("114.114.114.114:53", 0)},
    {.ticket = 0xffffffff, .original = std::nullopt},
};

}  // namespace

TEST_CASE("Questions and answers come out as they went in") {
  CHECK(parse_origin_questions(write_origin_questions(questions)) == questions);
  CHECK(parse_origin_answers(write_origin_answers(answers)) == answers);
  CHECK(parse_origin_questions(write_origin_questions({}))->empty());
}

TEST_CASE("A full message is read, one question more is not") {
  const std::vector<OriginQuestion> full(origins_per_message, questions[0]);
  auto octets = write_origin_questions(full);
  CHECK(parse_origin_questions(octets) == full);
  const std::size_t one = (octets.size() - 2) / origins_per_message;
  octets.insert(octets.end(), octets.end() - static_cast<std::ptrdiff_t>(one), octets.end());
  ++octets[1];
  CHECK_FALSE(parse_origin_questions(octets));
}

TEST_CASE("What is cut short or too long is malformed") {
  const auto asked = write_origin_questions(questions);
  for (std::size_t length = 0; length < asked.size(); ++length)
    CHECK_FALSE(parse_origin_questions(std::span(asked).first(length)));
  const auto told = write_origin_answers(answers);
  for (std::size_t length = 0; length < told.size(); ++length)
    CHECK_FALSE(parse_origin_answers(std::span(told).first(length)));
  auto octets = write_origin_answers(answers);
  octets.push_back(0);
  CHECK(parse_origin_answers(octets).error() == MessageFault::malformed);
}

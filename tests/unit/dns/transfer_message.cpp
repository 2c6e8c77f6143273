#include "dns/transfer_message.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "dns/writer.h"

namespace doline::dns {
namespace {

Name name(std::string_view text) {
  return Name::parse(text).value();
}

std::vector<std::uint8_t> written(bool has_question, int answers) {
  std::vector<std::uint8_t> octets(message_octets_max);
  MessageWriter writer(octets);
  writer.header(7, {.authoritative = true}, ResponseCode::noerror);
  if (has_question) CHECK(writer.question({name("rpz.example"), RecordType::axfr}));
  for (int number = 0; number < answers; ++number)
    REQUIRE(writer.record(Section::answer, name("n" + std::to_string(number) + ".rpz.example"), RecordType::cname,
                          RecordClass::in, 60, name("target.example")));
  octets.resize(writer.size());
  return octets;
}

MessageFault fault_of(const std::vector<std::uint8_t>& octets) {
  const auto read = read_transfer_message(octets);
  REQUIRE_FALSE(read.has_value());
  return read.error();
}

TEST_CASE("a message of a transfer has a question or none, and records by the thousand") {
  for (const bool has_question : {true, false}) {
    const auto read = read_transfer_message(written(has_question, 2'000));
    REQUIRE(read.has_value());
    CHECK(read->id == 7);
    CHECK(read->question.has_value() == has_question);
    REQUIRE(read->answers.size() == 2'000);
    CHECK(read->answers[1'999].owner == name("n1999.rpz.example"));
    const auto target = name("target.example");
    CHECK(read->answers[1'999].rdata == std::vector<std::uint8_t>(target.wire().begin(), target.wire().end()));
    CHECK_FALSE(read->tsig.has_value());
  }
}

TEST_CASE("only the answers are kept, but all is checked") {
  std::array<std::uint8_t, 512> octets{};
  MessageWriter writer(octets);
  writer.header(7, {}, ResponseCode::noerror);
  const std::array<std::uint8_t, 4> address{192, 0, 2, 1};
  REQUIRE(writer.record(Section::authority, name("a.example"), RecordType::a, RecordClass::in, 60, address));
  REQUIRE(writer.record(Section::additional, name("b.example"), RecordType::a, RecordClass::in, 60, address));
  REQUIRE(writer.opt({}));
  std::vector<std::uint8_t> message(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(writer.size()));
  const auto read = read_transfer_message(message);
  REQUIRE(read.has_value());
  CHECK(read->answers.empty());
  message[header_octets + 11 + 9] = 5;  // an address of five octets
  CHECK(fault_of(message) != MessageFault::too_short);
}

TEST_CASE("what is cut off, hangs over or is no response is refused") {
  const auto whole = written(true, 3);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(read_transfer_message(Octets(whole).first(size)).has_value());
  auto changed = whole;
  changed.push_back(0);
  CHECK(fault_of(changed) == MessageFault::trailing_octets);
  changed = whole;
  changed[2] &= 0x7f;
  CHECK(fault_of(changed) == MessageFault::not_a_response);
  changed = whole;
  changed[2] |= 0x28;
  CHECK(fault_of(changed) == MessageFault::opcode_unknown);
  changed = whole;
  changed[5] = 2;
  CHECK(fault_of(changed) == MessageFault::question_count);
}

TEST_CASE("the numbers of an SOA record are those behind its names") {
  const auto record = parse_record("rpz.example. SOA a. b.c. 7 3600 600 86400 60", 0);
  REQUIRE(record.has_value());
  CHECK(read_soa(record->rdata) == SoaNumbers{7, 3600, 600, 86400});
  CHECK_FALSE(read_soa(Octets(record->rdata).first(10)).has_value());
  CHECK_FALSE(read_soa({}).has_value());
}

}  // namespace
}  // namespace doline::dns

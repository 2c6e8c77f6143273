#include "transfer/tsig.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "transfer/incoming_zone.h"

namespace doline::transfer {
namespace {

// Made by another program (Python's hmac) after RFC 8945, with the secret and at the time below.
constexpr std::string_view signed_query =
    "1234000000010000000000010372707a076578616d706c650000fc000106646f6c696e65076578616d706c650000fa00ff00"
    "000000003d0b686d61632d7368613235360000006553f100012c00207c4feb05d1eec90af6b8f1053ee25b387c00cf652357"
    "390df6c17875e3dd81b5123400000000";
constexpr std::string_view first_answer =
    "1234840000010001000000010372707a076578616d706c650000fc00010372707a076578616d706c6500000600010000003c"
    "001600000000000700000e1000000258000151800000003c06646f6c696e65076578616d706c650000fa00ff00000000003d"
    "0b686d61632d7368613235360000006553f101012c0020241deccbfdb16ea6dbb82901fcd993cd05241fa77c7e4371733031"
    "9919248e03123400000000";
constexpr std::string_view second_answer =  // unsigned
    "1234840000000001000000000161076578616d706c650372707a076578616d706c6500000100010000003c0004c0000201";
constexpr std::string_view third_answer =
    "1234840000000001000000010372707a076578616d706c6500000600010000003c001600000000000700000e100000025800"
    "0151800000003c06646f6c696e65076578616d706c650000fa00ff00000000003d0b686d61632d7368613235360000006553"
    "f102012c002057ddd6700d09d07b16a7c30e44fe2c72a40a5f2f7681423b08267df33dbfa427123400000000";
constexpr std::string_view bad_key =
    "1234840900010000000000010372707a076578616d706c650000fc000106646f6c696e65076578616d706c650000fa00ff00"
    "000000001d0b686d61632d7368613235360000006553f100012c0000123400110000";
constexpr std::string_view bad_signature =
    "1234840900010000000000010372707a076578616d706c650000fc000106646f6c696e65076578616d706c650000fa00ff00"
    "000000001d0b686d61632d7368613235360000006553f100012c0000123400100000";
constexpr WallTime signing_time{seconds(1'700'000'000)};

std::vector<std::uint8_t> octets_of(std::string_view hex) {
  std::vector<std::uint8_t> octets;
  for (std::size_t at = 0; at < hex.size(); at += 2)
    octets.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  return octets;
}

TsigKey the_key() {
  return {*dns::Name::parse("doline.example"), Algorithm::hmac_sha256, *parse_secret("YSBzZWNyZXQgb2YgdGhlIHRlc3Rz")};
}

/// A conversation that has begun.
TsigConversation asked(TsigKey key = the_key()) {
  TsigConversation conversation(std::move(key));
  auto query = make_transfer_query(0x1234, *dns::Name::parse("rpz.example"), std::nullopt);
  REQUIRE(conversation.sign(query, signing_time).has_value());
  return conversation;
}

/// What check() says of the message: "signed", "unsigned so far", or why it is not believed.
std::string check_of(TsigConversation& conversation, const std::vector<std::uint8_t>& message,
                     WallTime now = signing_time) {
  const auto read = dns::read_transfer_message(message);
  REQUIRE(read.has_value());
  const auto checked = conversation.check(message, *read, now);
  if (!checked) return checked.error();
  return *checked ? "signed" : "unsigned so far";
}

TEST_CASE("a query is signed as another implementation signs it") {
  TsigConversation conversation(the_key());
  auto query = make_transfer_query(0x1234, *dns::Name::parse("rpz.example"), std::nullopt);
  REQUIRE(conversation.sign(query, signing_time).has_value());
  CHECK(query == octets_of(signed_query));
}

TEST_CASE("the messages of an answer are verified, those without a signature with the next that has one") {
  TsigConversation conversation = asked();
  CHECK(check_of(conversation, octets_of(first_answer)) == "signed");
  CHECK(check_of(conversation, octets_of(second_answer)) == "unsigned so far");
  CHECK(check_of(conversation, octets_of(third_answer)) == "signed");
}

TEST_CASE("a message that was changed, left out or comes twice is found out") {
  for (const std::size_t at : {std::size_t{2}, std::size_t{20}, std::size_t{50}}) {
    TsigConversation conversation = asked();
    auto changed = octets_of(first_answer);
    changed[at] ^= 1;
    if (dns::read_transfer_message(changed)) CHECK(check_of(conversation, changed).starts_with("its "));
  }
  TsigConversation without = asked();
  CHECK(check_of(without, octets_of(first_answer)) == "signed");
  CHECK(check_of(without, octets_of(third_answer)) == "its signature is not that of the key doline.example");
  TsigConversation twice = asked();
  CHECK(check_of(twice, octets_of(first_answer)) == "signed");
  CHECK(check_of(twice, octets_of(first_answer)) == "its signature is not that of the key doline.example");
  TsigConversation unsigned_first = asked();
  CHECK(check_of(unsigned_first, octets_of(second_answer)) == "its answer is not signed");
}

TEST_CASE("another secret, another key, another digest and another time are refused") {
  TsigKey key = the_key();
  key.secret.push_back(1);
  TsigConversation other_secret = asked(key);
  CHECK(check_of(other_secret, octets_of(first_answer)) == "its signature is not that of the key doline.example");
  key = the_key();
  key.name = *dns::Name::parse("other.example");
  TsigConversation other_key = asked(key);
  CHECK(check_of(other_key, octets_of(first_answer)) == "its answer is not signed with the key other.example");
  key = the_key();
  key.algorithm = Algorithm::hmac_sha512;
  TsigConversation other_digest = asked(key);
  CHECK(check_of(other_digest, octets_of(first_answer)) == "its answer is not signed with the key doline.example");
  TsigConversation late = asked();
  CHECK(check_of(late, octets_of(first_answer), signing_time + seconds(302)) ==
        "its clock and ours are too far apart (BADTIME)");
}

TEST_CASE("what a primary says of our key is told") {
  TsigConversation unknown = asked();
  CHECK(check_of(unknown, octets_of(bad_key)) == "it does not know the key doline.example (BADKEY)");
  TsigConversation wrong = asked();
  CHECK(check_of(wrong, octets_of(bad_signature)) == "it has another secret for the key doline.example (BADSIG)");
}

TEST_CASE("no more than a hundred messages go without a signature") {
  TsigConversation conversation = asked();
  CHECK(check_of(conversation, octets_of(first_answer)) == "signed");
  for (int message = 0; message < unsigned_messages_max; ++message)
    REQUIRE(check_of(conversation, octets_of(second_answer)) == "unsigned so far");
  CHECK(check_of(conversation, octets_of(second_answer)) == "too much of its answer is not signed");
}

TEST_CASE("a secret is base64, in lines or not, and there is one") {
  CHECK(parse_secret("aGVsbG8=") == std::vector<std::uint8_t>{'h', 'e', 'l', 'l', 'o'});
  CHECK(parse_secret(" aGVs\n bG8=\r\n") == std::vector<std::uint8_t>{'h', 'e', 'l', 'l', 'o'});
  for (const char* text : {"", "\n", "a", "aGVsbG8", "aGVs=bG8", "a.b=", "===="}) CHECK_FALSE(parse_secret(text));
  CHECK_FALSE(parse_secret(std::string(4 * secret_octets_max, 'A')));
}

}  // namespace
}  // namespace doline::transfer

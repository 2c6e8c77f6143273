#include "transfer/notification.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "dns/transfer_message.h"

namespace doline::transfer {
namespace {

// Made by another program (Python's hmac) after RFC 1996 and RFC 8945, with the secret and at the time below; the
// first one tells of an SOA record too, as primaries do.
constexpr std::string_view plain_query =
    "4321240000010001000000000372707a076578616d706c650000060001c00c0006000100000000002f096c6f63616c686f73"
    "740004726f6f74096c6f63616c686f7374000000000800000e1000000258000151800000003c";
constexpr std::string_view plain_response = "4321a40000010000000000000372707a076578616d706c650000060001";
constexpr std::string_view signed_query =
    "4321240000010001000000010372707a076578616d706c650000060001c00c0006000100000000002f096c6f63616c686f73"
    "740004726f6f74096c6f63616c686f7374000000000800000e1000000258000151800000003c06646f6c696e65076578616d"
    "706c650000fa00ff00000000003d0b686d61632d7368613235360000006553f100012c00208cf9187a44c828aae2290b806a"
    "8272d020a0e241d5ea9d5af222a9125d7a8fb4432100000000";
constexpr std::string_view signed_response =
    "4321a40000010000000000010372707a076578616d706c65000006000106646f6c696e65076578616d706c650000fa00ff00"
    "000000003d0b686d61632d7368613235360000006553f100012c0020118676dcb25f935696d643a99096e54563381d6df277"
    "0c9ed92ac3ddf867583e432100000000";
constexpr WallTime signing_time{seconds(1'700'000'000)};
const IpAddress primary = IpAddress::v4(192, 0, 2, 1), other_primary = IpAddress::v4(192, 0, 2, 2);

std::vector<std::uint8_t> octets_of(std::string_view hex) {
  std::vector<std::uint8_t> octets;
  for (std::size_t at = 0; at < hex.size(); at += 2)
    octets.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  return octets;
}

NotificationBook book(bool has_key, const char* zone = "rpz.example",
                      const char* secret = "YSBzZWNyZXQgb2YgdGhlIHRlc3Rz") {
  NotifiedZone one{*dns::Name::parse(zone), {{primary, 53}, {other_primary, 5353}}, std::nullopt};
  if (has_key) one.key = TsigKey{*dns::Name::parse("doline.example"), Algorithm::hmac_sha256, *parse_secret(secret)};
  return NotificationBook({one});
}

struct Told {
  std::vector<std::uint8_t> response;
  std::string zone;  // empty: nothing is to be looked at

  [[nodiscard]] int code() const { return response.empty() ? -1 : response[3] & 0x0f; }
};

Told tell(const NotificationBook& to, const std::vector<std::uint8_t>& message, const IpAddress& client = primary,
          WallTime now = signing_time, std::size_t room = 512) {
  std::vector<std::uint8_t> out(room);
  const auto heard = to.take(client, message, now, out);
  out.resize(heard.octets);
  return {out, heard.zone ? heard.zone->to_string() : ""};
}

constexpr int noerror = 0, formerr = 1, refused = 5, notauth = 9;

TEST_CASE("a primary's word counts, from any port and in any letters, and is answered with its question") {
  const auto query = octets_of(plain_query);
  const Told told = tell(book(false), query);
  CHECK(told.code() == noerror);
  CHECK(told.zone == "rpz.example");
  CHECK(told.response == octets_of(plain_response));
  CHECK(tell(book(false), query, other_primary).zone == "rpz.example");
  auto shouted = query;
  shouted[13] = 'R';
  CHECK(tell(book(false), shouted).zone == "rpz.example");
  CHECK(tell(book(false), shouted).response[13] == 'R');
}

TEST_CASE("others, other zones and other types are told no") {
  const auto query = octets_of(plain_query);
  for (const Told& told :
       {tell(book(false), query, IpAddress::v4(192, 0, 2, 3)), tell(book(true), query, IpAddress())}) {
    CHECK(told.code() == refused);
    CHECK(told.zone.empty());
  }
  CHECK(tell(book(false, "other.example"), query).code() == notauth);
  CHECK(tell(book(false, "example"), query).zone.empty());
  auto of_type = query;
  of_type[12 + 13 + 1] = 1;
  CHECK(tell(book(false), of_type).code() == notauth);
  CHECK(tell(book(false), of_type).zone.empty());
}

TEST_CASE("with a key only what is signed with it counts, and the response is signed too") {
  const auto query = octets_of(signed_query);
  const Told told = tell(book(true), query);
  CHECK(told.zone == "rpz.example");
  CHECK(told.response == octets_of(signed_response));
  const auto is_denied = [](const Told& one) {
    return one.code() == notauth && one.zone.empty() && one.response[11] == 0;
  };
  CHECK(is_denied(tell(book(true), octets_of(plain_query))));
  CHECK(is_denied(tell(book(true, "rpz.example", "YW5vdGhlciBzZWNyZXQ="), query)));
  CHECK(is_denied(tell(book(true), query, primary, signing_time + seconds(301))));
  CHECK(is_denied(tell(book(false), query)));  // we know no key
  auto changed = query;
  changed[38] ^= 1;  // a TTL
  CHECK(is_denied(tell(book(true), changed)));
  CHECK(tell(book(true), query, IpAddress::v4(192, 0, 2, 3)).code() == refused);
}

TEST_CASE("what cannot be read is a format error, and what is no notification gets no response") {
  auto cut = octets_of(plain_query);
  cut.pop_back();
  CHECK(tell(book(false), cut).code() == formerr);
  CHECK(tell(book(false), cut).response.size() == 12);
  CHECK(tell(book(false), cut).zone.empty());
  cut.resize(11);
  CHECK(tell(book(false), cut).response.empty());
  auto query = octets_of(plain_query);
  query[2] = 0;  // QUERY
  CHECK(tell(book(false), query).response.empty());
  // No room, nothing is said.
  CHECK(tell(book(false), octets_of(plain_query), primary, signing_time, 12).response.empty());
  // Responses are nobody's business.
  query = octets_of(plain_query);
  query[2] |= 0x80;
  CHECK(tell(book(false), query).zone.empty());
}

}  // namespace
}  // namespace doline::transfer

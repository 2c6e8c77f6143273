#include "dns/presentation.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "dns/writer.h"

namespace doline::dns {
namespace {

Name name(std::string_view text) {
  return Name::parse(text).value();
}

/// RDATA of one line of zone-file text, as text again.
std::string there_and_back(const std::string& line) {
  const auto record = parse_record(line, 0);
  REQUIRE_MESSAGE(record.has_value(), line);
  return rdata_to_string(record->type, record->rdata);
}

TEST_CASE("a line of zone-file text becomes a record") {
  const auto record = parse_record("Nas.Home. 300 IN A 192.0.2.1", 60);
  REQUIRE(record.has_value());
  CHECK(*record == Record{name("Nas.Home"), RecordType::a, RecordClass::in, 300, {192, 0, 2, 1}});
  CHECK(record->owner.to_string() == "Nas.Home");
}

TEST_CASE("a line without TTL has the default one, without class it is IN") {
  const auto record = parse_record("nas.home. AAAA 2001:db8::1", 60);
  REQUIRE(record.has_value());
  CHECK(record->ttl == 60);
  CHECK(record->record_class == RecordClass::in);
  CHECK(record->rdata.size() == 16);
}

TEST_CASE("RDATA prints as a zone file shows it") {
  CHECK(there_and_back("a. A 192.0.2.1") == "192.0.2.1");
  CHECK(there_and_back("a. AAAA 2001:DB8:0:0::1") == "2001:db8::1");
  CHECK(there_and_back("a. CNAME Other.Example.") == "Other.Example.");
  CHECK(there_and_back("a. MX 10 mail.example.") == "10 mail.example.");
  CHECK(there_and_back("a. SRV 1 2 853 dot.example.") == "1 2 853 dot.example.");
  CHECK(there_and_back("a. TXT \"two words\" \"\" \"a \\\"quote\\\"\"") == "\"two words\" \"\" \"a \\\"quote\\\"\"");
  CHECK(there_and_back("a. SOA ns.example. host.example. 1 3600 600 86400 10") ==
        "ns.example. host.example. 1 3600 600 86400 10");
  CHECK(there_and_back("a. CAA 0 issue \"ca.example\"") == "0 issue \"ca.example\"");
  CHECK(there_and_back("a. HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1") == "1 . alpn=h2,h3 ipv4hint=192.0.2.1");
}

TEST_CASE("types that nobody knows travel as RFC 3597 says") {
  const auto record = parse_record("a. TYPE65280 \\# 3 0a0b0c", 0);
  REQUIRE(record.has_value());
  CHECK(record->type == RecordType{65280});
  CHECK(record->rdata == std::vector<std::uint8_t>{0x0a, 0x0b, 0x0c});
  CHECK(there_and_back("a. TYPE65280 \\# 3 0a0b0c") == "\\# 3 0a0b0c");
}

TEST_CASE("RDATA that is not its type's prints as octets, and never fails") {
  const std::uint8_t three[] = {1, 2, 3};
  CHECK(rdata_to_string(RecordType::a, three) == "\\# 3 010203");
  CHECK(rdata_to_string(RecordType::a, {}) == "\\# 0");
  const std::uint8_t pointer[] = {0xc0, 12};
  CHECK(rdata_to_string(RecordType::cname, pointer) == "\\# 2 c00c");
  // Every type with RDATA of every length up to 40, all zeros and all ones: printable ASCII comes back.
  for (int type = 1; type < 300; ++type)
    for (std::size_t size = 0; size <= 40; ++size)
      for (const int fill : {0x00, 0x07, 0xff}) {
        const std::vector<std::uint8_t> rdata(size, static_cast<std::uint8_t>(fill));
        const std::string text = rdata_to_string(static_cast<RecordType>(type), rdata);
        bool is_printable = !text.empty();
        for (const char character : text) is_printable = is_printable && character >= 0x20 && character <= 0x7e;
        CHECK_MESSAGE(is_printable, "type " << type << ", " << size << " octets of " << fill << ": " << text);
      }
}

TEST_CASE("control characters and octets beyond ASCII cannot leave through a text") {
  const std::uint8_t bell[] = {5, 'a', 0x07, 0x1b, 0xe2, 'b'};
  CHECK(rdata_to_string(RecordType::txt, bell) == "\"a\\007\\027\\226b\"");
}

TEST_CASE("what is not a record is a fault with ldns's sentence") {
  for (const char* line : {"", "   ", "; a comment", "nas.home.", "nas.home. A", "nas.home. A not-an-address",
                           "nas.home. A 192.0.2.1 192.0.2.2", "nas.home. MX mail.example.", "a..b. A 192.0.2.1",
                           "nas.home. TYPE65280 \\# 3 0a0b", "$ORIGIN example."}) {
    const auto record = parse_record(line, 60);
    REQUIRE_MESSAGE(!record.has_value(), line);
    CHECK_FALSE(record.error().empty());
  }
  const std::string with_nul("nas.home. A 192.0.2.1\0 x", 24);
  CHECK_FALSE(parse_record(with_nul, 60).has_value());
  CHECK_FALSE(parse_record(std::string(70'000, 'a') + ". A 192.0.2.1", 60).has_value());
}

TEST_CASE("a record of a response owns its parts, names decompressed") {
  std::vector<std::uint8_t> space(512);
  MessageWriter writer(space);
  writer.header(0, {}, ResponseCode::noerror);
  REQUIRE(writer.question({name("www.Example.com"), RecordType::mx, RecordClass::in}));
  REQUIRE(writer.record(Section::answer, name("www.example.com"), RecordType::cname, RecordClass::in, 60,
                        name("mail.example.com")));
  const auto mail = parse_record("mail.example.com. 30 MX 10 mx.example.com.", 0);
  REQUIRE(mail.has_value());
  REQUIRE(writer.record(Section::answer, mail->owner, mail->type, RecordClass::in, 30, mail->rdata));
  const auto view = ResponseView::parse({space.data(), writer.size()});
  REQUIRE(view.has_value());

  auto record = view->begin();
  CHECK(record->rdata.size() == 7);  // compressed on the wire: `mail` and a pointer
  const Record alias = to_record(*view, *record);
  CHECK(alias.owner.to_string() == "www.Example.com");
  CHECK(alias.ttl == 60);
  CHECK(rdata_to_string(alias.type, alias.rdata) == "mail.Example.com.");
  ++record;
  CHECK(to_record(*view, *record) == *mail);
}

}  // namespace
}  // namespace doline::dns

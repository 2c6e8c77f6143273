#include "dns/writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace doline::dns {
namespace {

Name name(std::string_view text) {
  return Name::parse(text).value();
}
const Question www{name("www.Example.com"), RecordType::a, RecordClass::in};
constexpr std::uint8_t address[] = {192, 0, 2, 1};

struct Message {
  explicit Message(std::size_t octets = 512) : space(octets), writer(space) {
    writer.header(0x1234, {}, ResponseCode::noerror);
  }
  Octets octets() const { return {space.data(), writer.size()}; }
  std::vector<std::uint8_t> space;
  MessageWriter writer;
};

TEST_CASE("a query is a header with RD and its question, and parses as such") {
  const auto octets = make_query(0x1234, www);
  const auto query = QueryView::parse(octets);
  REQUIRE(query);
  CHECK(query->id() == 0x1234);
  CHECK(query->recursion_desired());
  CHECK(query->question() == www);
  CHECK_FALSE(query->edns());
  CHECK(octets.size() == header_octets + www.qname.size() + 4);
}

TEST_CASE("the header carries every flag to its bit") {
  Message message;
  message.writer.header(0xabcd,
                        {.response = true,
                         .opcode = Opcode::notify,
                         .authoritative = true,
                         .truncated = true,
                         .recursion_desired = true,
                         .recursion_available = true,
                         .authentic_data = true,
                         .checking_disabled = true},
                        ResponseCode::refused);
  const std::uint8_t expected[] = {0xab, 0xcd, 0xa7, 0xb5, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK(std::ranges::equal(message.octets(), expected));
}

TEST_CASE("names are compressed against earlier ones, without case, and keep the earlier case") {
  Message message;
  CHECK(message.writer.question(www));
  CHECK(message.writer.record(Section::answer, name("WWW.example.com"), RecordType::cname, RecordClass::in, 60,
                              name("mail.example.COM")));
  CHECK(message.writer.record(Section::answer, name("mail.example.com"), RecordType::a, RecordClass::in, 60, address));
  const auto view = ResponseView::parse(message.octets());
  REQUIRE(view.has_value());
  CHECK(message.octets().size() == 12 + 17 + 4 + (2 + 10 + 7) + (2 + 10 + 4));
  auto record = view->begin();
  CHECK(view->owner(*record).to_string() == "www.Example.com");
  CHECK(view->rdata_name(*record, 0).to_string() == "mail.Example.com");
  ++record;
  CHECK(view->owner(*record) == name("mail.example.com"));
}

TEST_CASE("names in the RDATA of newer types are not compressed, nor are they where they came compressed") {
  Message message;
  CHECK(message.writer.question(www));
  CHECK(message.writer.record(Section::answer, www.qname, RecordType::dname, RecordClass::in, 60,
                              name("www.example.com")));
  CHECK(ResponseView::parse(message.octets())->begin()->rdata.size() == 17);

  // SRV 1 2 3 with a pointer to the question as its target.
  std::vector<std::uint8_t> srv{0x12, 0x34, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'a', 0, 0, 33, 0,    1, 0xc0,
                                12,   0,    33,   0, 1, 0, 0, 0, 9, 0, 8, 0, 1, 0,   2, 0, 3,  0xc0, 12};
  const auto from = ResponseView::parse(srv);
  REQUIRE(from.has_value());
  Message copy;
  CHECK(copy.writer.question(from->question()));
  CHECK(copy.writer.copy(Section::answer, *from, *from->begin(), 5));
  const auto view = ResponseView::parse(copy.octets());
  REQUIRE(view.has_value());
  CHECK(view->begin()->rdata.size() == 9);
  CHECK(view->begin()->ttl == 5);
  CHECK(view->rdata_name(*view->begin(), 6).to_string() == "a");
}

TEST_CASE("a normal record is copied to the octets that it would be written anew to, or not begun") {
  Message from;
  REQUIRE(from.writer.question(www));
  REQUIRE(from.writer.record(Section::answer, www.qname, RecordType::a, RecordClass::in, 60, address));
  const std::vector<std::uint8_t> text{2, 'a', 'b', 0};
  REQUIRE(from.writer.record(Section::additional, www.qname, RecordType::txt, RecordClass::in, 70, text));
  REQUIRE(from.writer.record(Section::additional, www.qname, RecordType::cname, RecordClass::in, 80, www.qname));
  REQUIRE(from.writer.record(Section::additional, name("Example.com"), RecordType::a, RecordClass::in, 90, address));
  const auto view = ResponseView::parse(from.octets());
  REQUIRE(view.has_value());
  Message anew, whole;
  REQUIRE(anew.writer.question(www));
  REQUIRE(whole.writer.question(www));
  std::size_t normal = 0;
  for (const RecordView& record : *view) {
    if (!record.is_normal) continue;
    ++normal;
    REQUIRE(anew.writer.copy(record.section, *view, record, 5));
    REQUIRE(whole.writer.copy_normal(*view, record, 5));
    CHECK(whole.writer.last_ttl_offset() == anew.writer.last_ttl_offset());
  }
  CHECK(normal == 2);
  CHECK(std::ranges::equal(whole.octets(), anew.octets()));
  Message small(12 + 17 + 4 + 15);
  REQUIRE(small.writer.question(www));
  CHECK_FALSE(small.writer.copy_normal(*view, *view->begin(), 5));
  CHECK(small.writer.size() == 12 + 17 + 4);
  CHECK(ResponseView::parse(small.octets())->record_count() == 0);
}

TEST_CASE("a record that does not fit is not begun, whatever its size") {
  const Name target = name("somewhere.else.invalid");
  const std::size_t before = 12 + 17 + 4, after = before + 12 + target.size();
  for (std::size_t space = before; space <= after; ++space) {
    Message message(space);
    REQUIRE(message.writer.question(www));
    const bool fits = message.writer.record(Section::answer, www.qname, RecordType::cname, RecordClass::in, 60, target);
    CHECK(fits == (space == after));
    CHECK(message.writer.size() == (fits ? after : before));
    CHECK(ResponseView::parse(message.octets())->record_count() == (fits ? 1 : 0));
  }
  Message small(12 + 17 + 3);
  CHECK_FALSE(small.writer.question(www));
  CHECK(small.writer.size() == 12);
}

TEST_CASE("a name that was rolled back is not pointed at") {
  Message message(12 + 21 + 40);
  CHECK(message.writer.question(www));
  const std::vector<std::uint8_t> large(40);
  CHECK_FALSE(message.writer.record(Section::answer, name("b.c"), RecordType{65280}, RecordClass::in, 60, large));
  CHECK(message.writer.record(Section::answer, name("a.b.c"), RecordType::a, RecordClass::in, 60, address));
  const auto view = ResponseView::parse(message.octets());
  REQUIRE(view.has_value());
  CHECK(view->owner(*view->begin()) == name("a.b.c"));
}

TEST_CASE("chains of pointers stay as short as our own reader follows them") {
  Message message(65'535);
  CHECK(message.writer.question({name("a"), RecordType::a, RecordClass::in}));
  std::string text = "a";
  std::vector<Name> owners;
  for (int i = 0; i < 60; ++i) {
    text = "b." + text;
    owners.push_back(name(text));
    REQUIRE(message.writer.record(Section::answer, owners.back(), RecordType::a, RecordClass::in, 60, address));
  }
  const auto view = ResponseView::parse(message.octets());
  REQUIRE(view.has_value());
  std::size_t i = 0;
  for (const RecordView& record : *view) CHECK(view->owner(record) == owners[i++]);
  CHECK(i == owners.size());
}

TEST_CASE("pointers reach 16 KiB and names beyond are written whole") {
  Message message(65'535);
  CHECK(message.writer.question(www));
  const std::vector<std::uint8_t> filler(16'400);
  CHECK(message.writer.record(Section::answer, name("x"), RecordType{65280}, RecordClass::in, 60, filler));
  CHECK(message.writer.record(Section::answer, name("far.away"), RecordType::a, RecordClass::in, 60, address));
  CHECK(message.writer.record(Section::answer, name("far.away"), RecordType::a, RecordClass::in, 60, address));
  const auto view = ResponseView::parse(message.octets());
  REQUIRE(view.has_value());
  auto record = view->begin();
  CHECK(view->owner(*++record) == name("far.away"));
  CHECK(view->owner(*++record) == name("far.away"));
}

TEST_CASE("OPT carries the upper bits of the code, DO, cookie and extended error") {
  Message message;
  message.writer.header(1, {}, ResponseCode::badvers);
  CHECK(message.writer.question(www));
  const std::vector<std::uint8_t> cookie(24, 7);
  CHECK(
      message.writer.opt({.dnssec_ok = true, .error = ExtendedError::blocked, .error_text = "why", .cookie = cookie}));
  const auto view = ResponseView::parse(message.octets());
  REQUIRE(view.has_value());
  CHECK(view->code() == ResponseCode::badvers);
  CHECK(view->edns()->dnssec_ok);
  CHECK(view->edns()->udp_payload_size == 1232);
  CHECK(view->edns()->cookie->size() == 24);
  const std::uint8_t error[] = {0, 15, 0, 5, 0, 15, 'w', 'h', 'y'};
  CHECK(std::ranges::equal(message.octets().last(9), error));
}

TEST_CASE("options that do not fit are left out, the text first and between characters") {
  const std::size_t bare = 12 + 17 + 4 + 11;
  const auto size_in = [&](std::size_t space) {
    Message message(space);
    REQUIRE(message.writer.question(www));
    const bool fits =
        message.writer.opt({.error = ExtendedError::blocked, .error_text = "a\xc3\xa4\xc3\xb6", .cookie = {}});
    CHECK(ResponseView::parse(message.octets())->edns().has_value() == fits);
    return message.writer.size();
  };
  CHECK(size_in(bare - 1) == bare - 11);
  CHECK(size_in(bare) == bare);
  CHECK(size_in(bare + 5) == bare);
  CHECK(size_in(bare + 6) == bare + 6);
  CHECK(size_in(bare + 7) == bare + 7);
  CHECK(size_in(bare + 8) == bare + 7);
  CHECK(size_in(bare + 9) == bare + 9);
  CHECK(size_in(bare + 100) == bare + 11);
}

TEST_CASE("ID and TC are changed in place, and the last TTL is found") {
  Message message;
  CHECK(message.writer.question(www));
  CHECK(message.writer.record(Section::answer, www.qname, RecordType::a, RecordClass::in, 0x01020304, address));
  CHECK(message.octets()[message.writer.last_ttl_offset()] == 1);
  CHECK(message.octets()[message.writer.last_ttl_offset() + 3] == 4);
  message.writer.set_truncated();
  patch_id(message.space, 0xbeef);
  const auto view = ResponseView::parse(message.octets());
  CHECK(view->is_truncated());
  CHECK(view->id() == 0xbeef);
}

}  // namespace
}  // namespace doline::dns

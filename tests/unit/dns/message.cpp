#include "dns/message.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "dns/writer.h"

namespace doline::dns {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes header(std::uint8_t flags, int questions, int answers = 0, int authorities = 0, int additionals = 0) {
  Bytes octets{0x12, 0x34, flags, 0};
  for (const int count : {questions, answers, authorities, additionals}) {
    octets.push_back(static_cast<std::uint8_t>(count >> 8));
    octets.push_back(static_cast<std::uint8_t>(count));
  }
  return octets;
}
Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}
const Bytes www_a{3, 'w', 'W', 'w', 2, 'd', 'e', 0, 0, 1, 0, 1};

/// Owner at the question, class IN, TTL 60.
Bytes record(std::uint16_t type, const Bytes& rdata) {
  return Bytes{
             0xc0, 12, static_cast<std::uint8_t>(type >> 8),         static_cast<std::uint8_t>(type),        0, 1, 0, 0,
             0,    60, static_cast<std::uint8_t>(rdata.size() >> 8), static_cast<std::uint8_t>(rdata.size())} +
         rdata;
}
Bytes opt(const Bytes& options, std::uint8_t version = 0, std::uint8_t flags = 0x80, std::uint8_t code = 0) {
  return Bytes{0,
               0,
               41,
               0x10,
               0,
               code,
               version,
               flags,
               0,
               static_cast<std::uint8_t>(options.size() >> 8),
               static_cast<std::uint8_t>(options.size())} +
         options;
}
MessageFault query_fault(const Bytes& octets) {
  const auto view = QueryView::parse(octets);
  REQUIRE_FALSE(view.has_value());
  return view.error();
}
MessageFault response_fault(const Bytes& octets) {
  const auto view = ResponseView::parse(octets);
  REQUIRE_FALSE(view.has_value());
  return view.error();
}
bool accepts(std::uint16_t type, const Bytes& rdata) {
  return ResponseView::parse(header(0x80, 1, 1) + www_a + record(type, rdata)).has_value();
}

TEST_CASE("a query is read with its flags and its question in the case that was sent") {
  const Bytes octets = header(0x01, 1) + www_a;
  const auto view = QueryView::parse(octets);
  REQUIRE(view.has_value());
  CHECK(view->id() == 0x1234);
  CHECK(view->recursion_desired());
  CHECK_FALSE(view->checking_disabled());
  CHECK(view->question().qname.to_string() == "wWw.de");
  CHECK(view->question().qtype == RecordType::a);
  CHECK_FALSE(view->edns().has_value());
}

TEST_CASE("what stands behind the last record is not read: devices send whole buffers") {
  const Bytes octets = header(0, 1, 0, 0, 1) + www_a + opt({}) + Bytes(40, 0xff);
  const auto query = QueryView::parse(octets);
  REQUIRE(query.has_value());
  CHECK(query->edns().has_value());
}

TEST_CASE("EDNS is read: size, DO, version and the options that we know") {
  const Bytes octets = header(0x01, 1, 0, 0, 1) + www_a +
                       opt({0,    10,   0, 8, 1,   2,  3, 4, 5, 6, 7, 8,  // cookie
                            0,    8,    0, 4, 0,   1,  0, 0,              // client subnet
                            0,    10,   0, 8, 9,   9,  9, 9, 9, 9, 9, 9,  // a second cookie does not count
                            0xfd, 0xe9, 0, 2, 'h', 'i'});
  const auto view = QueryView::parse(octets);
  REQUIRE(view.has_value());
  REQUIRE(view->edns().has_value());
  CHECK(view->edns()->udp_payload_size == 4096);
  CHECK(view->edns()->dnssec_ok);
  CHECK(view->edns()->version == 0);
  CHECK(view->edns()->cookie->size() == 8);
  CHECK((*view->edns()->cookie)[0] == 1);
  CHECK(view->edns()->client_subnet->size() == 4);
  CHECK((*view->edns()->client_id)[1] == 'i');
}

TEST_CASE("of what a router says about its client, the hardware address counts most and the house least") {
  const Bytes raw = {0xfd, 0xe9, 0, 1, 'm'}, text = {0xfe, 0x31, 0, 1, 't'}, house = {0xfe, 0x32, 0, 1, 'h'};
  const auto said = [](const Bytes& options) {
    const Bytes octets = header(0x01, 1, 0, 0, 1) + www_a + opt(options);
    return static_cast<char>(QueryView::parse(octets)->edns()->client_id->front());
  };
  CHECK(said(house + text + raw) == 'm');
  CHECK(said(raw + text + house) == 'm');
  CHECK(said(house + text) == 't');
  CHECK(said(text + house) == 't');
  CHECK(said(house) == 'h');
}

TEST_CASE("a payload size below 512 counts as 512") {
  Bytes small = opt({});
  small[3] = 0;
  small[4] = 100;
  const Bytes octets = header(0x01, 1, 0, 0, 1) + www_a + small;
  CHECK(QueryView::parse(octets)->edns()->udp_payload_size == 512);
}

TEST_CASE("EDNS version 1 parses whatever its options look like, so that BADVERS can be said") {
  const Bytes octets = header(0x01, 1, 0, 0, 1) + www_a + opt({1, 2, 3}, 1);
  const auto view = QueryView::parse(octets);
  REQUIRE(view.has_value());
  CHECK(view->edns()->version == 1);
}

TEST_CASE("each way in which a query is malformed has its fault") {
  CHECK(query_fault({}) == MessageFault::too_short);
  CHECK(query_fault(Bytes(11)) == MessageFault::too_short);
  CHECK(query_fault(header(0x80, 1) + www_a) == MessageFault::not_a_query);
  CHECK(query_fault(header(0x28, 1) + www_a) == MessageFault::opcode_unknown);
  CHECK(query_fault(header(0, 0)) == MessageFault::question_count);
  CHECK(query_fault(header(0, 2) + www_a + www_a) == MessageFault::question_count);
  CHECK(query_fault(header(0, 1)) == MessageFault::truncated);
  CHECK(query_fault(header(0, 1) + Bytes{3, 'w'}) == MessageFault::truncated);
  CHECK(query_fault(header(0, 1) + Bytes{0, 0, 1, 0}) == MessageFault::truncated);
  CHECK(query_fault(header(0, 1) + Bytes{0xc0, 12, 0, 1, 0, 1}) == MessageFault::bad_name);
  CHECK(query_fault(header(0, 1) + Bytes{0xc0, 0, 0, 1, 0, 1}) == MessageFault::bad_name);
  CHECK(query_fault(header(0, 1) + Bytes{0x41, 0, 0, 1, 0, 1}) == MessageFault::bad_name);
  CHECK(query_fault(header(0, 1, 1) + www_a + record(1, {1, 2, 3, 4})) == MessageFault::unexpected_records);
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a) == MessageFault::truncated);
  CHECK(query_fault(header(0, 1, 0, 0, 2) + www_a + opt({}) + opt({})) == MessageFault::several_opt);
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + opt({0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9})) ==
        MessageFault::bad_opt);
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + opt({0, 3, 0, 1})) == MessageFault::bad_opt);
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + record(41, {})) == MessageFault::bad_opt);
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + record(250, {})) == MessageFault::signed_message);
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + record(24, {0, 0, 1})) == MessageFault::signed_message);
}

TEST_CASE("ANY, AXFR and IXFR with its SOA are queries: whether they are answered is not dns's to say") {
  for (const std::uint8_t type : {255, 252, 251}) {
    Bytes question = www_a;
    question[9] = type;
    CHECK(QueryView::parse(header(0, 1) + question).has_value());
    const Bytes soa(20, 0);
    const bool is_ixfr = type == 251;
    CHECK(QueryView::parse(header(0, 1, 0, 1) + question + record(6, Bytes{0, 0} + soa)).has_value() == is_ixfr);
  }
}

TEST_CASE("a hundred EDNS options are read and no more") {
  Bytes options;
  for (int i = 0; i < edns_options_max; ++i) options = options + Bytes{0, 200, 0, 0};
  CHECK(QueryView::parse(header(0, 1, 0, 0, 1) + www_a + opt(options)).has_value());
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + opt(options + Bytes{0, 200, 0, 0})) == MessageFault::bad_opt);
  Bytes many;
  for (int i = 0; i < 16'000; ++i) many.insert(many.end(), {0, 200, 0, 0});
  CHECK(query_fault(header(0, 1, 0, 0, 1) + www_a + opt(many)) == MessageFault::bad_opt);
}

TEST_CASE("records are met in message order with their sections, without OPT, names decompressed") {
  const Bytes octets = header(0x84, 1, 2, 1, 2) + www_a + record(5, {4, 'm', 'a', 'i', 'l', 0xc0, 16}) +
                       record(1, {192, 0, 2, 1}) + record(2, {2, 'n', 's', 0xc0, 12}) + opt({}, 0, 0, 1) +
                       record(15, {0, 10, 0xc0, 12});
  const auto view = ResponseView::parse(octets);
  REQUIRE(view.has_value());
  CHECK(view->is_authoritative());
  CHECK(view->code() == ResponseCode::badvers);
  CHECK(view->record_count() == 4);
  std::vector<RecordView> records;
  for (const RecordView& met : *view) records.push_back(met);
  REQUIRE(records.size() == 4);
  CHECK(view->owner(records[0]).to_string() == "wWw.de");
  CHECK(view->rdata_name(records[0], 0).to_string() == "mail.de");
  CHECK(records[0].section == Section::answer);
  CHECK(records[0].ttl == 60);
  CHECK(octets[records[0].ttl_offset + 3u] == 60);
  CHECK(records[1].rdata.size() == 4);
  CHECK(records[1].rdata.data() == octets.data() + records[1].rdata_offset);
  CHECK(records[2].section == Section::authority);
  CHECK(view->rdata_name(records[2], 0).to_string() == "ns.wWw.de");
  CHECK(records[3].section == Section::additional);
  CHECK(view->rdata_name(records[3], 2).to_string() == "wWw.de");
}

TEST_CASE("few or many, all are met, and nothing behind them") {
  for (const int answers : {0, 1, 7, 8, 9, 30}) {
    Bytes octets = header(0x80, 1, answers, 0, 3) + www_a;
    for (int i = 0; i < answers; ++i) octets = octets + record(1, {192, 0, 2, static_cast<std::uint8_t>(i)});
    octets = octets + opt({}) + record(2, {2, 'n', 's', 0xc0, 12}) + record(1, {192, 0, 2, 99});
    const auto view = ResponseView::parse(octets);
    REQUIRE(view.has_value());
    int met = 0;
    for (const RecordView& each : *view) {
      CHECK(each.section == (met < answers ? Section::answer : Section::additional));
      CHECK(each.type == (met == answers ? RecordType::ns : RecordType::a));
      CHECK(each.is_normal == (met != answers && met < 8));
      CHECK(each.rdata.back() == (met == answers ? 12 : met < answers ? met : 99));
      CHECK(each.rdata.data() == octets.data() + each.rdata_offset);
      CHECK(octets[each.ttl_offset + 3u] == each.ttl);
      ++met;
    }
    CHECK(met == answers + 2);
    CHECK(view->may_have(RecordType::ns));
    CHECK_FALSE(view->may_have(RecordType::cname));
  }
}

TEST_CASE("a pointer leads before the labels that it ends, at most sixteen times") {
  // Each owner is a pointer to the owner before it.
  const auto chain = [](int records) {
    Bytes octets = header(0x80, 1, records) + www_a;
    std::size_t target = 12;
    for (int i = 0; i < records; ++i) {
      const std::size_t here = octets.size();
      octets = octets + record(1, {1, 2, 3, 4});
      octets[here] = static_cast<std::uint8_t>(0xc0 | target >> 8);
      octets[here + 1] = static_cast<std::uint8_t>(target);
      target = here;
    }
    return octets;
  };
  CHECK(ResponseView::parse(chain(pointers_max)).has_value());
  CHECK(response_fault(chain(pointers_max + 1)) == MessageFault::bad_name);
  Bytes to_itself = chain(1);
  to_itself[25] = 24;
  CHECK(response_fault(to_itself) == MessageFault::bad_name);
  Bytes forward = chain(1);
  forward[25] = 36;
  CHECK(response_fault(forward + Bytes{}) == MessageFault::bad_name);
  // Labels, then a pointer to these labels: a loop.
  const Bytes loop = header(0x80, 1, 1) + www_a + Bytes{1, 'a', 0xc0, 24, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
  CHECK(response_fault(loop) == MessageFault::bad_name);
}

TEST_CASE("a compressed name may have 255 octets when it is whole, not more") {
  Bytes question{63};
  question.resize(64, 'a');
  Bytes name = question + question + question;  // 192 octets
  const auto message = [&](std::size_t label) {
    Bytes owner{static_cast<std::uint8_t>(label)};
    owner.resize(label + 1, 'b');
    return header(0x80, 1, 1) + name + Bytes{0, 0, 1, 0, 1} + owner + record(1, {1, 2, 3, 4});
  };
  CHECK(ResponseView::parse(message(61)).has_value());  // 62 + 193
  CHECK(response_fault(message(62)) == MessageFault::bad_name);
}

TEST_CASE("RDATA of known types must parse") {
  CHECK(accepts(1, {1, 2, 3, 4}));
  CHECK_FALSE(accepts(1, {1, 2, 3}));
  CHECK_FALSE(accepts(1, {}));
  CHECK_FALSE(accepts(28, {1, 2, 3, 4}));
  CHECK(accepts(5, {0xc0, 12}));
  CHECK_FALSE(accepts(5, {0xc0, 12, 0}));
  CHECK_FALSE(accepts(5, {3, 'w', 'w'}));
  CHECK(accepts(15, {0, 1, 0}));
  CHECK_FALSE(accepts(15, {0, 1}));
  CHECK(accepts(6, Bytes{0, 0} + Bytes(20)));
  CHECK_FALSE(accepts(6, Bytes{0, 0} + Bytes(19)));
  CHECK(accepts(16, {1, 'a', 0}));
  CHECK_FALSE(accepts(16, {}));
  CHECK_FALSE(accepts(16, {2, 'a'}));
  CHECK(accepts(33, {0, 1, 0, 2, 0, 3, 0}));
  CHECK(accepts(35, {0, 1, 0, 2, 1, 'u', 0, 0, 0}));
  CHECK_FALSE(accepts(35, {0, 1, 0, 2, 1, 'u', 0, 0}));
  CHECK(accepts(43, {0, 1, 8, 2, 9}));
  CHECK_FALSE(accepts(43, {0, 1, 8, 2}));
  CHECK(accepts(46, Bytes{0, 1, 8, 2} + Bytes(12) + Bytes{0, 1, 0, 9}));
  CHECK_FALSE(accepts(46, Bytes{0, 1, 8, 2} + Bytes(12) + Bytes{0, 1, 0}));
  CHECK(accepts(47, {0, 0, 1, 0x40, 1, 2, 1, 1}));
  CHECK_FALSE(accepts(47, {0, 1, 1, 0x40, 0, 1, 1}));  // windows descend
  CHECK_FALSE(accepts(47, {0, 0, 0}));                 // an empty window
  CHECK_FALSE(accepts(47, {0, 0, 2, 0x40}));
  CHECK(accepts(50, {1, 0, 0, 1, 1, 7, 2, 8, 8}));
  CHECK_FALSE(accepts(50, {1, 0, 0, 1, 1, 7, 0}));  // no hash
  CHECK(accepts(257, {0, 5, 'i', 's', 's', 'u', 'e', 'x'}));
  CHECK_FALSE(accepts(257, {0, 0, 'x'}));
  CHECK_FALSE(accepts(257, {0, 1, '-', 'x'}));
  CHECK(accepts(65280, {}));
  CHECK(accepts(65280, {1, 2, 3}));
  CHECK_FALSE(accepts(255, {}));  // a QTYPE is no type
}

TEST_CASE("SvcParams ascend and have their formats") {
  CHECK(accepts(65, {0, 1, 0}));
  CHECK(accepts(65, {0, 1, 0, 0, 1, 0, 3, 2, 'h', '2', 0, 4, 0, 4, 1, 2, 3, 4}));
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 4, 0, 4, 1, 2, 3, 4, 0, 1, 0, 3, 2, 'h', '2'}));
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 3, 0, 2, 0, 1, 0, 3, 0, 2, 0, 1}));  // twice
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 3, 0, 1, 0}));
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 4, 0, 3, 1, 2, 3}));
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 1, 0, 2, 2, 'h'}));
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 0, 0, 2, 0, 0}));
  CHECK(accepts(65, {0, 1, 0, 0, 0, 0, 2, 0, 1, 0, 1, 0, 3, 2, 'h', '3'}));
  CHECK_FALSE(accepts(65, {0, 1, 0, 0, 9}));
}

TEST_CASE("a response is refused where a query is due and the other way round") {
  CHECK(response_fault(header(0x00, 1) + www_a) == MessageFault::not_a_response);
  CHECK(response_fault(header(0x80, 1, 0, 1) + www_a + opt({})) == MessageFault::bad_opt);
  CHECK(response_fault(header(0x80, 1, 0, 0, 1) + www_a + record(250, {})) == MessageFault::signed_message);
}

}  // namespace
}  // namespace doline::dns

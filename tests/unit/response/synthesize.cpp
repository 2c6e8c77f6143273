#include "response/synthesize.h"

#include "asked.h"

namespace doline::response {
namespace {

using dns::ExtendedError;
using dns::RecordType;
using dns::ResponseCode;
using dns::Section;
using Lines = std::vector<std::string>;

const std::string soa = " 10 SOA doline.invalid. hostmaster.doline.invalid. 1 3600 600 86400 10";

/// What comes back for one action; `view` borrows `octets`.
struct Said {
  Said(const Asked& asked, const policy::Action& action, const BlockSettings& block = {}, Fit fit = {},
       const policy::RewriteTarget* rewrite = nullptr, std::string_view text = {}) {
    size = synthesize(asked.view(), action, rewrite, block, fit, text, octets);
    if (size == 0) return;
    const auto parsed = dns::ResponseView::parse({octets.data(), size});
    REQUIRE(parsed.has_value());
    view = *parsed;
  }
  [[nodiscard]] Lines answer() const { return records_of(*view, Section::answer); }
  [[nodiscard]] Lines authority() const { return records_of(*view, Section::authority); }

  std::array<std::uint8_t, 65'535> octets{};
  std::size_t size = 0;
  std::optional<dns::ResponseView> view;
};

/// EDE of a response: its code, and its text behind it.
std::string error_of(dns::Octets message) {
  for (std::size_t at = 12; at + 6 <= message.size(); ++at)
    if (message[at] == 0 && message[at + 1] == 15) {
      const std::size_t length = static_cast<std::size_t>(message[at + 2] << 8 | message[at + 3]);
      if (at + 4 + length != message.size()) continue;  // it is the last option that we write
      return std::to_string(message[at + 4] << 8 | message[at + 5]) + ' ' +
             std::string(message.begin() + static_cast<std::ptrdiff_t>(at + 6), message.end());
    }
  return "";
}

TEST_CASE("a blocked name has the null address of the family asked for, and no other data") {
  const Said v4(Asked("Ads.Example"), policy::Sinkhole{});
  CHECK(v4.view->code() == ResponseCode::noerror);
  CHECK(v4.answer() == Lines{"Ads.Example 10 A 0.0.0.0"});
  CHECK(Said(Asked("ads.example", RecordType::aaaa), policy::Sinkhole{}).answer() == Lines{"ads.example 10 AAAA ::"});
  for (const RecordType type :
       {RecordType::https, RecordType::svcb, RecordType::mx, RecordType::txt, RecordType::any}) {
    const Said other(Asked("ads.example", type), policy::Sinkhole{});
    CHECK(other.view->code() == ResponseCode::noerror);
    CHECK(other.answer().empty());
    CHECK(other.authority() == Lines{"ads.example" + soa});
  }
}

TEST_CASE("the header is the client's: ID, RD, CD and question with its case, and never AD or AA") {
  const Said said(Asked("aDs.eXample"), policy::Sinkhole{});
  CHECK(said.view->id() == 0x1234);
  CHECK(said.view->question().qname.to_string() == "aDs.eXample");
  CHECK((said.octets[2] & 0x01) == 0x01);
  CHECK((said.octets[3] & 0x10) == 0x10);
  CHECK((said.octets[3] & 0x80) == 0x80);
  CHECK_FALSE(said.view->authentic_data());
  CHECK_FALSE(said.view->is_authoritative());
}

TEST_CASE("every block response that the configuration names") {
  BlockSettings block;
  block.response = BlockResponse::nxdomain;
  const Said nxdomain(Asked("ads.example"), policy::Sinkhole{}, block);
  CHECK(nxdomain.view->code() == ResponseCode::nxdomain);
  CHECK(nxdomain.authority() == Lines{"example" + soa});
  block.response = BlockResponse::nodata;
  CHECK(Said(Asked("ads.example"), policy::Sinkhole{}, block).authority() == Lines{"ads.example" + soa});
  block.response = BlockResponse::refused;
  CHECK(Said(Asked("ads.example"), policy::Sinkhole{}, block).view->code() == ResponseCode::refused);
  block.response = BlockResponse::drop;
  CHECK(Said(Asked("ads.example"), policy::Sinkhole{}, block).size == 0);
  block.response = BlockResponse::address;
  block.v4 = IpAddress::v4(192, 0, 2, 9);
  block.ttl_seconds = 60;
  CHECK(Said(Asked("ads.example"), policy::Sinkhole{}, block).answer() == Lines{"ads.example 60 A 192.0.2.9"});
  CHECK(Said(Asked("ads.example", RecordType::aaaa), policy::Sinkhole{}, block).answer().empty());
}

TEST_CASE("NXDOMAIN of the root and of a top-level name has a well-formed SOA") {
  CHECK(Said(Asked("."), policy::NxDomain{}).authority() == Lines{"." + soa});
  CHECK(Said(Asked("lan"), policy::NxDomain{}).authority() == Lines{"." + soa});
}

TEST_CASE("rules may say nodata, refuse and drop") {
  CHECK(Said(Asked("a.example"), policy::NoData{}).view->code() == ResponseCode::noerror);
  CHECK(Said(Asked("a.example"), policy::Refuse{}).view->code() == ResponseCode::refused);
  CHECK(Said(Asked("a.example"), policy::Drop{}).size == 0);
}

TEST_CASE("a rewrite answers with the addresses of the family asked for, or with the name") {
  policy::RewriteTarget target;
  target.addresses = {IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 0, 2, 2), *IpAddress::parse("2001:db8::1")};
  CHECK(Said(Asked("nas.home"), policy::Rewrite{}, {}, {}, &target).answer() ==
        Lines{"nas.home 10 A 192.0.2.1", "nas.home 10 A 192.0.2.2"});
  CHECK(Said(Asked("nas.home", RecordType::aaaa), policy::Rewrite{}, {}, {}, &target).answer() ==
        Lines{"nas.home 10 AAAA 2001:db8::1"});
  CHECK(Said(Asked("nas.home", RecordType::mx), policy::Rewrite{}, {}, {}, &target).answer().empty());
  target.cname = dns::Name::parse("other.example").value();
  CHECK(Said(Asked("nas.home"), policy::Rewrite{}, {}, {}, &target).answer() ==
        Lines{"nas.home 10 CNAME other.example."});
}

TEST_CASE("with EDNS the response says why, echoes DO and carries the cookie, and without it there is no OPT") {
  Fit fit;
  fit.octets_max = 1'232;
  fit.has_edns = true;
  fit.dnssec_ok = true;
  fit.cookie_octets = 24;
  fit.cookie.fill(7);
  const Said said(Asked("ads.example"), policy::Sinkhole{}, {}, fit, nullptr, "list ads");
  REQUIRE(said.view->edns().has_value());
  CHECK(said.view->edns()->udp_payload_size == udp_octets_max);
  CHECK(said.view->edns()->dnssec_ok);
  REQUIRE(said.view->edns()->cookie.has_value());
  CHECK(said.view->edns()->cookie->size() == 24);
  CHECK(error_of({said.octets.data(), said.size}) == "15 list ads");
  CHECK_FALSE(Said(Asked("ads.example"), policy::Sinkhole{}).view->edns().has_value());
}

TEST_CASE("what does not fit is left out, TC says so, and the message fits") {
  policy::RewriteTarget target;
  for (int i = 0; i < 200; ++i) target.addresses.push_back(IpAddress::v4(192, 0, 2, static_cast<std::uint8_t>(i)));
  Fit fit;
  fit.has_edns = true;
  const Said said(Asked("nas.home"), policy::Rewrite{}, {}, fit, &target, "a text that gives way");
  CHECK(said.size <= 512);
  CHECK(said.view->is_truncated());
  CHECK(said.view->edns().has_value());
  CHECK(said.answer().size() > 20);
}

TEST_CASE("refusals carry their code, its upper bits in OPT") {
  const Asked asked("a.example");
  std::array<std::uint8_t, 512> octets{};
  Fit fit;
  fit.has_edns = true;
  const std::size_t size = refuse(asked.view(), ResponseCode::badvers, std::nullopt, {}, fit, octets);
  const auto view = dns::ResponseView::parse({octets.data(), size});
  REQUIRE(view.has_value());
  CHECK(view->code() == ResponseCode::badvers);
  const std::size_t failed =
      refuse(asked.view(), ResponseCode::servfail, ExtendedError::network_error, "nobody answers", fit, octets);
  CHECK(error_of({octets.data(), failed}) == "23 nobody answers");
}

TEST_CASE("what could not be parsed is rejected: NOTIMP for another opcode, else FORMERR") {
  std::array<std::uint8_t, 512> octets{};
  std::array<std::uint8_t, 12> update{0xab, 0xcd, 0x29, 0x10, 0, 0, 0, 0, 0, 0, 0, 0};
  REQUIRE(reject(update, dns::MessageFault::opcode_unknown, octets) == 12);
  CHECK(octets[0] == 0xab);
  CHECK(octets[2] == 0xa9);  // QR, UPDATE, RD
  CHECK(octets[3] == 0x94);  // RA, CD, NOTIMP
  update[2] = 0x01;
  REQUIRE(reject(update, dns::MessageFault::question_count, octets) == 12);
  CHECK((octets[3] & 0x0f) == 1);
}

TEST_CASE("what must not be answered is not") {
  std::array<std::uint8_t, 512> octets{};
  const Asked asked("a.example");
  CHECK(reject({asked.octets.data(), asked.size}, dns::MessageFault::not_a_query, octets) == 0);
  CHECK(reject({asked.octets.data(), 3}, dns::MessageFault::too_short, octets) == 0);
}

TEST_CASE("a rejection carries the question where that can be read, and fits") {
  Asked asked("wWw.Example");
  asked.octets[7] = 1;  // an answer in a query
  std::array<std::uint8_t, 512> octets{};
  const dns::Octets whole{asked.octets.data(), asked.size};
  REQUIRE(reject(whole, dns::MessageFault::unexpected_records, octets) == asked.size);
  const auto view = dns::ResponseView::parse({octets.data(), asked.size});
  REQUIRE(view.has_value());
  CHECK(view->id() == 0x1234);
  CHECK(view->code() == ResponseCode::formerr);
  CHECK(view->question().qname.to_string() == "wWw.Example");
  CHECK_FALSE(view->edns().has_value());
  // Cut short anywhere, or into too little space: the header alone.
  for (std::size_t size = dns::header_octets; size < asked.size; ++size)
    CHECK(reject(whole.first(size), dns::MessageFault::truncated, octets) == dns::header_octets);
  CHECK(reject(whole, dns::MessageFault::unexpected_records, std::span(octets).first(20)) == dns::header_octets);
  CHECK(octets[5] == 0);
  asked.octets[12] = 0xc0;  // a pointer is no question's beginning
  CHECK(reject(whole, dns::MessageFault::bad_name, octets) == dns::header_octets);
}

TEST_CASE("who speaks EDNS is rejected with EDNS, where that can be seen (RFC 6891 section 6.1.1)") {
  const Asked asked("www.example");
  std::vector<std::uint8_t> query(asked.octets.begin(), asked.octets.begin() + static_cast<std::ptrdiff_t>(asked.size));
  const std::array<std::uint8_t, 11> opt{0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0};
  for (int twice = 0; twice < 2; ++twice) query.insert(query.end(), opt.begin(), opt.end());
  query[11] = 2;
  std::array<std::uint8_t, 512> octets{};
  const auto told_with_opt = [&](dns::MessageFault fault) {
    const auto view = dns::ResponseView::parse({octets.data(), reject(query, fault, octets)});
    return view && view->edns();
  };
  CHECK(told_with_opt(dns::MessageFault::several_opt));
  query[2] |= 0x20;  // NOTIFY
  std::size_t size = reject(query, dns::MessageFault::opcode_unknown, octets);
  CHECK(size == asked.size + opt.size());
  query[7] = 1;  // the first is in the answer section
  query[11] = 0;
  size = reject(query, dns::MessageFault::opcode_unknown, octets);
  CHECK(size == asked.size);
}

TEST_CASE("what upstream says of A is told as AAAA, of every prefix, without its signature, behind a CNAME of ours") {
  const Asked asked("www.example", RecordType::aaaa);
  const dns::Name target = *dns::Name::parse("safe.example");
  std::array<std::uint8_t, 1'024> words{};
  dns::MessageWriter writer(words);
  writer.header(0, {.authentic_data = true}, ResponseCode::noerror);
  REQUIRE(writer.question({target, RecordType::a, dns::RecordClass::in}));
  for (const char* line :
       {"safe.example 300 CNAME edge.example", "edge.example 60 A 8.8.8.8", "edge.example 900 A 10.0.0.1",
        "edge.example 60 RRSIG A 8 2 60 20270101000000 20260101000000 1 example. AAAA"}) {
    const auto record = dns::parse_record(line, 0);
    REQUIRE_MESSAGE(record.has_value(), line);
    REQUIRE(
        writer.record(Section::answer, record->owner, record->type, record->record_class, record->ttl, record->rdata));
  }
  const Dns64 dns64{{*IpPrefix::parse("64:ff9b::/96"), *IpPrefix::parse("2001:db8::/32")}, {}, {}, nullptr};
  std::array<std::uint8_t, 65'535> octets{};
  const Retelling how{
      .target = &target, .target_ttl_seconds = 10, .dns64 = &dns64, .ipv6_ttl_seconds_max = 500, .age_seconds = 20};
  const std::size_t size = retell(asked.view().question(), dns::Octets(words).first(writer.size()), how, octets);
  const auto view = dns::ResponseView::parse({octets.data(), size});
  REQUIRE(view.has_value());
  CHECK_FALSE(view->authentic_data());
  CHECK(view->question() == asked.view().question());
  CHECK(records_of(*view, Section::answer) ==
        Lines{"www.example 10 CNAME safe.example.", "safe.example 280 CNAME edge.example.",
              "edge.example 40 AAAA 64:ff9b::808:808",
              "edge.example 40 AAAA 2001:db8:808:808::", "edge.example 500 AAAA 2001:db8:a00:1::"});
}

TEST_CASE("AAAA records that DNS64 excludes are left out, with the signature that no longer holds") {
  const Asked asked("www.example", RecordType::aaaa);
  std::array<std::uint8_t, 1'024> words{};
  dns::MessageWriter writer(words);
  writer.header(0, {.authentic_data = true}, ResponseCode::noerror);
  REQUIRE(writer.question(asked.view().question()));
  for (const char* line : {"www.example 300 AAAA ::ffff:8.8.8.8", "www.example 300 AAAA 2001:db8::1",
                           "www.example 300 RRSIG AAAA 8 2 300 20270101000000 20260101000000 1 example. AAAA"}) {
    const auto record = dns::parse_record(line, 0);
    REQUIRE_MESSAGE(record.has_value(), line);
    REQUIRE(
        writer.record(Section::answer, record->owner, record->type, record->record_class, record->ttl, record->rdata));
  }
  const Dns64 dns64{{*IpPrefix::parse("64:ff9b::/96")}, {}, {}, nullptr};
  const Dns64 strict{{*IpPrefix::parse("64:ff9b::/96")}, {}, {*IpPrefix::parse("::/0")}, nullptr};
  const dns::Octets said = dns::Octets(words).first(writer.size());
  CHECK(has_excluded(said, dns64));
  std::array<std::uint8_t, 65'535> octets{};
  const auto retold = [&](const Dns64& how) {
    const std::size_t size = retell(asked.view().question(), said, {.dns64 = &how}, octets);
    return dns::ResponseView::parse({octets.data(), size});
  };
  REQUIRE(retold(dns64).has_value());
  CHECK(records_of(*retold(dns64), Section::answer) == Lines{"www.example 300 AAAA 2001:db8::1"});
  CHECK_FALSE(retold(dns64)->authentic_data());
  CHECK_FALSE(has_excluded({octets.data(), retell(asked.view().question(), said, {.dns64 = &dns64}, octets)}, dns64));
  CHECK(records_of(*retold(strict), Section::answer).empty());
}

TEST_CASE("a local name that has only IPv4 addresses has AAAA records by DNS64, where the prefix may stand for them") {
  const auto owner = *dns::Name::parse("nas.example");
  const LocalName nas{owner, false, {address_record(*IpAddress::parse("192.168.1.10"))}};
  LocalRecords::Builder builder;
  builder.add_source({&nas, 1});
  const auto all = builder.build();
  const auto told = [&](const char* prefix, RecordType type) {
    const Dns64 dns64{{*IpPrefix::parse(prefix)}, {}, {}, nullptr};
    const Asked asked("nas.example", type);
    std::array<std::uint8_t, 512> octets{};
    const std::size_t size = answer_locally(asked.view(), *all, all->find(owner), {}, &dns64, {}, octets);
    const auto view = dns::ResponseView::parse({octets.data(), size});
    REQUIRE(view.has_value());
    return records_of(*view, Section::answer);
  };
  CHECK(told("2001:db8::/96", RecordType::aaaa) == Lines{"nas.example 60 AAAA 2001:db8::c0a8:10a"});
  CHECK(told("2001:db8::/96", RecordType::a) == Lines{"nas.example 60 A 192.168.1.10"});
  CHECK(told("64:ff9b::/96", RecordType::aaaa).empty());
}

}  // namespace
}  // namespace doline::response

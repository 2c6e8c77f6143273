#include "upstream/accept.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dns/writer.h"

namespace doline::upstream {
namespace {

using dns::Name;
using dns::RecordClass;
using dns::RecordType;
using dns::ResponseCode;
using dns::Section;

Name name_of(std::string_view text) {
  return Name::parse(text).value();
}
const dns::Question asked_a{name_of("wWw.Example"), RecordType::a};

/// A response as a server would write it.
class Server {
 public:
  explicit Server(const dns::Question& question = asked_a, ResponseCode code = ResponseCode::noerror,
                  dns::Flags flags = {})
      : octets_(65'535), writer_(octets_) {
    writer_.header(0x1234, flags, code);
    REQUIRE(writer_.question(question));
  }
  Server& a(std::string_view owner, std::uint8_t last = 1, std::uint32_t ttl = 300, Section section = Section::answer) {
    return raw(section, owner, RecordType::a, ttl, {192, 0, 2, last});
  }
  Server& name(Section section, std::string_view owner, RecordType type, std::string_view target,
               std::uint32_t ttl = 300) {
    REQUIRE(writer_.record(section, name_of(owner), type, RecordClass::in, ttl, name_of(target)));
    return *this;
  }
  Server& cname(std::string_view owner, std::string_view target, std::uint32_t ttl = 300) {
    return name(Section::answer, owner, RecordType::cname, target, ttl);
  }
  Server& soa(std::string_view owner, std::uint32_t ttl = 900, std::uint8_t minimum = 60) {
    return raw(Section::authority, owner, RecordType::soa, ttl,
               {1, 'm', 0, 1, 'h', 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, minimum});
  }
  Server& signature(Section section, std::string_view owner, RecordType covered, std::string_view signer,
                    std::uint8_t algorithm = 13) {
    std::vector<std::uint8_t> rdata{
        0, static_cast<std::uint8_t>(covered), algorithm, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    const Name name = name_of(signer);
    rdata.insert(rdata.end(), name.wire().begin(), name.wire().end());
    rdata.insert(rdata.end(), 8, 0x55);
    return raw(section, owner, RecordType::rrsig, 300, rdata);
  }
  Server& nsec(std::string_view owner, std::string_view next) {
    const Name name = name_of(next);
    std::vector<std::uint8_t> rdata(name.wire().begin(), name.wire().end());
    rdata.insert(rdata.end(), {0, 1, 0x40});
    return raw(Section::authority, owner, RecordType::nsec, 300, rdata);
  }
  Server& raw(Section section, std::string_view owner, RecordType type, std::uint32_t ttl,
              const std::vector<std::uint8_t>& rdata, RecordClass record_class = RecordClass::in) {
    REQUIRE(writer_.record(section, name_of(owner), type, record_class, ttl, rdata));
    return *this;
  }
  Server& opt(ResponseCode) {
    REQUIRE(writer_.opt({}));
    return *this;
  }
  [[nodiscard]] std::vector<std::uint8_t> octets() const {
    return {octets_.begin(), octets_.begin() + static_cast<std::ptrdiff_t>(writer_.size())};
  }

 private:
  std::vector<std::uint8_t> octets_;
  dns::MessageWriter writer_;
};

struct Outcome {
  Result<Accepted, AcceptFault> result;
  std::vector<std::uint8_t> words;

  /// Each record as `section owner type`, in order.
  [[nodiscard]] std::vector<std::string> records() const {
    REQUIRE(result.has_value());
    const auto view = dns::ResponseView::parse(words);
    REQUIRE(view.has_value());
    std::vector<std::string> lines;
    for (const auto& record : *view)
      lines.push_back(std::string(record.section == Section::answer      ? "answer "
                                  : record.section == Section::authority ? "authority "
                                                                         : "additional ") +
                      view->owner(record).to_string() + " " + to_string(record.type));
    return lines;
  }
};
using Lines = std::vector<std::string>;

Outcome judge(const std::vector<std::uint8_t>& response, const dns::Question& asked = asked_a, bool exact_case = true,
              std::size_t room = 65'535) {
  std::vector<std::uint8_t> out(room);
  const dns::Question plain{asked.qname.lowered(), asked.qtype, asked.qclass};
  Outcome outcome{accept(response, plain, exact_case ? asked.qname.wire() : dns::Octets(), out), {}};
  if (outcome.result)
    outcome.words.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(outcome.result->size));
  return outcome;
}
Outcome judge(const Server& server, const dns::Question& asked = asked_a) {
  return judge(server.octets(), asked);
}
AcceptFault fault_of(const Outcome& outcome) {
  REQUIRE_FALSE(outcome.result.has_value());
  return outcome.result.error();
}

TEST_CASE("the RRset asked for is taken, and nothing beside it") {
  const auto outcome =
      judge(Server()
                .a("www.example", 1, 300)
                .a("other.example", 9)
                .a("www.example", 2, 200)
                .raw(Section::answer, "www.example", RecordType::txt, 5, {1, 'x'})
                .raw(Section::answer, "www.example", RecordType::a, 5, {1, 2, 3, 4}, RecordClass::chaos)
                .name(Section::authority, "example", RecordType::ns, "ns.example", 1)
                .soa("example")
                .a("ns.example", 7, 1, Section::additional));
  CHECK(outcome.records() == Lines{"answer www.example A", "answer www.example A"});
  CHECK(outcome.result->ttl == seconds(200));
  CHECK_FALSE(outcome.result->is_negative);
  CHECK(outcome.result->code == ResponseCode::noerror);
}

TEST_CASE("the words have a header of ours and the question as it was asked, not as it was sent") {
  const auto outcome = judge(
      Server(asked_a, ResponseCode::noerror,
             {.authoritative = true, .recursion_desired = true, .authentic_data = true, .checking_disabled = true})
          .a("www.example"));
  REQUIRE(outcome.result.has_value());
  CHECK(outcome.result->authentic_data);
  const std::vector<std::uint8_t> head(outcome.words.begin(), outcome.words.begin() + 4);
  CHECK(head == std::vector<std::uint8_t>{0, 0, 0x80, 0xa0});
  CHECK(dns::ResponseView::parse(outcome.words)->question().qname.to_string() == "www.example");
}

TEST_CASE("only an answer to this question is one") {
  CHECK(fault_of(judge(Server({name_of("wwx.example"), RecordType::a}).a("wwx.example"))) ==
        AcceptFault::other_question);
  CHECK(fault_of(judge(Server({asked_a.qname, RecordType::aaaa}))) == AcceptFault::other_question);
  CHECK(fault_of(judge(Server({asked_a.qname, RecordType::a, RecordClass::chaos}))) == AcceptFault::other_question);
  CHECK(fault_of(judge(Server({name_of("www.example.com"), RecordType::a}))) == AcceptFault::other_question);
  // Failure or TC: what does not echo the question says nothing about it.
  CHECK(fault_of(judge(Server({name_of("wwx.example"), RecordType::a}, ResponseCode::servfail))) ==
        AcceptFault::other_question);
  CHECK(fault_of(judge(Server({name_of("wwx.example"), RecordType::a}, ResponseCode::noerror, {.truncated = true}))) ==
        AcceptFault::other_question);
}

TEST_CASE("the case of the question must come back as sent, where that is asked for") {
  const auto other_case = Server({name_of("www.example"), RecordType::a}).a("www.example").octets();
  CHECK(fault_of(judge(other_case)) == AcceptFault::other_question);
  CHECK(judge(other_case, asked_a, false).result.has_value());
}

TEST_CASE("a chain of CNAMEs is followed in whatever order it comes, and written in its own") {
  const Lines chain{"answer www.example CNAME", "answer a.example CNAME", "answer b.test A"};
  const auto forwards =
      judge(Server().cname("www.example", "a.example", 50).cname("a.example", "b.test", 40).a("b.test"));
  CHECK(forwards.records() == chain);
  CHECK(forwards.result->ttl == seconds(40));
  const auto backwards =
      judge(Server().a("c.test").a("b.test").cname("a.example", "b.test").cname("www.example", "a.example"));
  CHECK(backwards.records() == chain);
}

TEST_CASE("of two CNAMEs of one name the first counts") {
  const auto outcome =
      judge(Server().cname("www.example", "a.example").cname("www.example", "b.example").a("a.example").a("b.example"));
  CHECK(outcome.records() == Lines{"answer www.example CNAME", "answer a.example A"});
}

TEST_CASE("a chain has an end") {
  const auto chain_of = [](int links) {
    Server server;
    std::string name = "www.example";
    for (int i = 1; i <= links; ++i) {
      const std::string next = "n" + std::to_string(i) + ".example";
      server.cname(name, next);
      name = next;
    }
    server.a(name);
    return judge(server);
  };
  CHECK(chain_of(cname_max).result.has_value());
  CHECK(fault_of(chain_of(cname_max + 1)) == AcceptFault::chain_too_long);
  CHECK(fault_of(judge(Server().cname("www.example", "www.example"))) == AcceptFault::chain_too_long);
  CHECK(fault_of(judge(Server().cname("www.example", "a.example").cname("a.example", "WWW.example"))) ==
        AcceptFault::chain_too_long);
}

TEST_CASE("who asks for the CNAME gets it and no more") {
  const dns::Question asked{name_of("www.example"), RecordType::cname};
  const auto outcome = judge(Server(asked).cname("www.example", "a.example").a("a.example"), asked);
  CHECK(outcome.records() == Lines{"answer www.example CNAME"});
}

TEST_CASE("a DNAME leads on, and the CNAME beside it is written anew") {
  const dns::Question asked{name_of("www.old.example"), RecordType::a};
  const auto outcome = judge(Server(asked)
                                 .name(Section::answer, "old.example", RecordType::dname, "new.test", 70)
                                 .cname("www.old.example", "evil.test", 0)
                                 .a("www.new.test")
                                 .a("evil.test"),
                             asked);
  CHECK(outcome.records() ==
        Lines{"answer old.example DNAME", "answer www.old.example CNAME", "answer www.new.test A"});
  CHECK(outcome.result->ttl == seconds(70));
  // Not the name itself (RFC 6672 §2.3), nor a name beside it.
  const dns::Question itself{name_of("old.example"), RecordType::a};
  CHECK(judge(Server(itself).name(Section::answer, "old.example", RecordType::dname, "new.test").a("new.test"), itself)
            .records()
            .empty());
}

TEST_CASE("a DNAME that makes too long a name ends the chain") {
  const std::string long_label(60, 'x');
  const std::string target = long_label + "." + long_label + "." + long_label + "." + long_label;
  const dns::Question asked{name_of("a-long-label-of-www.old.example"), RecordType::a};
  const auto outcome =
      judge(Server(asked, ResponseCode{6}).name(Section::answer, "old.example", RecordType::dname, target, 70), asked);
  CHECK(outcome.records() == Lines{"answer old.example DNAME"});
  CHECK(outcome.result->code == ResponseCode{6});
}

TEST_CASE("NXDOMAIN and NODATA live as long as their SOA says") {
  const auto nxdomain = judge(Server(asked_a, ResponseCode::nxdomain).soa("example", 900, 60));
  CHECK(nxdomain.records() == Lines{"authority example SOA"});
  CHECK(nxdomain.result->ttl == seconds(60));
  CHECK(dns::ResponseView::parse(nxdomain.words)->begin()->ttl == 60);  // who caches behind us keeps it no longer
  CHECK(nxdomain.result->is_negative);
  CHECK(nxdomain.result->code == ResponseCode::nxdomain);
  const auto nodata = judge(Server().soa("example", 30, 60));
  CHECK(nodata.result->ttl == seconds(30));
  CHECK(nodata.result->is_negative);
  CHECK(nodata.result->code == ResponseCode::noerror);
}

TEST_CASE("a negative answer without SOA, or with that of another zone, is told but not to be cached") {
  for (const auto& server :
       {Server(asked_a, ResponseCode::nxdomain), Server(asked_a, ResponseCode::nxdomain).soa("test"), Server(),
        Server().soa("sub.www.example")}) {
    const auto outcome = judge(server);
    CHECK(outcome.records().empty());
    CHECK(outcome.result->is_negative);
    CHECK(outcome.result->ttl == seconds(0));
  }
}

TEST_CASE("a chain may end in a negative answer, whose SOA is of the last name's zone") {
  const auto outcome = judge(Server(asked_a, ResponseCode::nxdomain)
                                 .cname("www.example", "gone.test", 20)
                                 .soa("example", 900, 90)
                                 .soa("test", 900, 60));
  CHECK(outcome.records() == Lines{"answer www.example CNAME", "authority test SOA"});
  CHECK(outcome.result->ttl == seconds(20));
  CHECK(outcome.result->is_negative);
}

TEST_CASE("a referral is no answer") {
  CHECK(fault_of(judge(Server().name(Section::authority, "example", RecordType::ns, "ns.example"))) ==
        AcceptFault::referral);
}

TEST_CASE("NXDOMAIN for a name that is answered is not believed") {
  CHECK(fault_of(judge(Server(asked_a, ResponseCode::nxdomain).a("www.example"))) == AcceptFault::contradiction);
}

TEST_CASE("signatures go with what they sign, proofs with their zone") {
  const auto outcome = judge(Server(asked_a, ResponseCode::nxdomain)
                                 .signature(Section::answer, "www.example", RecordType::a, "example")
                                 .soa("example")
                                 .signature(Section::authority, "example", RecordType::soa, "example")
                                 .signature(Section::authority, "example", RecordType::ns, "example")
                                 .nsec("v.example", "x.example")
                                 .signature(Section::authority, "v.example", RecordType::nsec, "example")
                                 .signature(Section::authority, "v.example", RecordType::nsec, "example", 8)
                                 .nsec("unsigned.example", "z.example")
                                 .nsec("v.test", "x.test")
                                 .signature(Section::authority, "v.test", RecordType::nsec, "test")
                                 .nsec("w.test", "x.test")
                                 .signature(Section::authority, "w.test", RecordType::nsec, "example"));
  CHECK(outcome.records() == Lines{"authority example SOA", "authority example RRSIG", "authority v.example NSEC",
                                   "authority v.example RRSIG", "authority v.example RRSIG"});
}

TEST_CASE("a positive answer keeps its signatures, and the proof of its wildcard") {
  const auto outcome = judge(Server()
                                 .a("www.example")
                                 .signature(Section::answer, "www.example", RecordType::a, "example")
                                 .signature(Section::answer, "www.example", RecordType::txt, "example")
                                 .signature(Section::answer, "other.example", RecordType::a, "example")
                                 .nsec("v.example", "x.example")
                                 .signature(Section::authority, "v.example", RecordType::nsec, "example"));
  CHECK(outcome.records() == Lines{"answer www.example A", "answer www.example RRSIG", "authority v.example NSEC",
                                   "authority v.example RRSIG"});
}

TEST_CASE("ANY takes all of the name") {
  const dns::Question asked{name_of("www.example"), RecordType::any};
  const auto outcome = judge(Server(asked)
                                 .a("www.example")
                                 .raw(Section::answer, "www.example", RecordType::txt, 5, {1, 'x'})
                                 .a("other.example"),
                             asked);
  CHECK(outcome.records() == Lines{"answer www.example A", "answer www.example TXT"});
}

TEST_CASE("names in RDATA are written anew") {
  const dns::Question asked{name_of("www.example"), RecordType::mx};
  const auto view_of = [](const Outcome& outcome) { return dns::ResponseView::parse(outcome.words); };
  // MX 5 mail.<pointer to example>
  const auto outcome = judge(
      Server(asked).raw(Section::answer, "www.example", RecordType::mx, 60, {0, 5, 4, 'm', 'a', 'i', 'l', 0xc0, 16}),
      asked);
  REQUIRE(outcome.result.has_value());
  const auto view = view_of(outcome);
  REQUIRE(view.has_value());
  CHECK(view->rdata_name(*view->begin(), 2).to_string() == "mail.example");
}

TEST_CASE("TTLs are raised and cut to the bounds, those of negative answers to theirs") {
  const TtlBounds bounds{30, 100, 50};
  std::vector<std::uint8_t> words(512);
  const auto told = [&](const Server& server) {
    const auto accepted = accept(server.octets(), {asked_a.qname.lowered()}, {}, words, bounds);
    REQUIRE(accepted.has_value());
    const auto view = dns::ResponseView::parse(dns::Octets(words).first(accepted->size));
    std::vector<std::uint32_t> ttls{static_cast<std::uint32_t>(accepted->ttl.count())};
    for (const auto& record : *view) ttls.push_back(record.ttl);
    return ttls;
  };
  using Ttls = std::vector<std::uint32_t>;
  CHECK(told(Server().cname("www.example", "a.example", 7).a("a.example", 1, 300)) == Ttls{30, 30, 100});
  CHECK(told(Server().a("www.example", 1, 60)) == Ttls{60, 60});
  CHECK(told(Server().soa("example", 900, 60)) == Ttls{50, 50});
  CHECK(told(Server().soa("example", 900, 5)) == Ttls{30, 30});
  CHECK(told(Server()) == Ttls{0});
}

TEST_CASE("a TTL with its top bit set is 0") {
  const auto outcome = judge(Server().a("www.example", 1, 0x80000001));
  REQUIRE(outcome.result.has_value());
  CHECK(outcome.result->ttl == seconds(0));
  CHECK(dns::ResponseView::parse(outcome.words)->begin()->ttl == 0);
}

TEST_CASE("TC is seen before the records are read") {
  auto octets = Server(asked_a, ResponseCode::noerror, {.truncated = true}).a("www.example").octets();
  octets.resize(octets.size() - 2);
  CHECK(fault_of(judge(octets)) == AcceptFault::truncated);
}

TEST_CASE("a server that failed has failed, with or without the question") {
  for (const auto code : {ResponseCode::servfail, ResponseCode::refused, ResponseCode::notimp, ResponseCode::formerr}) {
    CHECK(fault_of(judge(Server(asked_a, code))) == AcceptFault::server_failed);
    CHECK(fault_of(judge(std::vector<std::uint8_t>{0x12, 0x34, 0x80, static_cast<std::uint8_t>(code), 0, 0, 0, 0, 0, 0,
                                                   0, 0})) == AcceptFault::server_failed);
  }
  auto badvers = Server().opt(ResponseCode::badvers).octets();
  badvers[badvers.size() - 6] = 1;  // the OPT record's upper bits of RCODE 16
  CHECK(fault_of(judge(badvers)) == AcceptFault::server_failed);
  CHECK(fault_of(judge(std::vector<std::uint8_t>{0x12, 0x34, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0})) ==
        AcceptFault::other_question);
}

TEST_CASE("what does not parse is malformed") {
  CHECK(fault_of(judge(std::vector<std::uint8_t>{})) == AcceptFault::malformed);
  CHECK(fault_of(judge(std::vector<std::uint8_t>(11, 0x80))) == AcceptFault::malformed);
  auto query = Server().octets();
  query[2] = 0;
  CHECK(fault_of(judge(query)) == AcceptFault::malformed);
  auto notify = Server().octets();
  notify[2] = 0xa0;
  CHECK(fault_of(judge(notify)) == AcceptFault::malformed);
  const auto good = Server().a("www.example").octets();
  auto longer = good;
  longer.push_back(0);
  CHECK(fault_of(judge(longer)) == AcceptFault::malformed);
  auto shorter = good;
  shorter.pop_back();
  CHECK(fault_of(judge(shorter)) == AcceptFault::malformed);
  CHECK(fault_of(judge(Server().raw(Section::answer, "www.example", RecordType::a, 60, {1, 2, 3}))) ==
        AcceptFault::malformed);
  CHECK(fault_of(judge(Server().a("www.example").raw(Section::additional, "x", RecordType::aaaa, 60, {1, 2, 3}))) ==
        AcceptFault::malformed);
}

TEST_CASE("words that do not fit are not begun to be believed") {
  Server server;
  for (std::uint8_t last = 0; last < 100; ++last) server.a("www.example", last);
  CHECK(fault_of(judge(server.octets(), asked_a, true, 512)) == AcceptFault::too_large);
  CHECK(judge(server.octets(), asked_a, true, 2'000).result.has_value());
  CHECK(fault_of(judge(Server().a("www.example").octets(), asked_a, true, 12)) == AcceptFault::too_large);
}

}  // namespace
}  // namespace doline::upstream

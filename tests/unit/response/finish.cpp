#include "response/finish.h"

#include "asked.h"

namespace doline::response {
namespace {

using dns::ExtendedError;
using dns::RecordType;
using dns::ResponseCode;
using dns::Section;
using Lines = std::vector<std::string>;

dns::Name name(std::string_view text) {
  return dns::Name::parse(text).value();
}

/// Words as accept() makes them: small letters, ID 0, no OPT.
struct Words {
  explicit Words(const std::string& qname, RecordType qtype = RecordType::a, bool authentic_data = true)
      : writer(octets) {
    writer.header(0, {.authentic_data = authentic_data}, ResponseCode::noerror);
    REQUIRE(writer.question({name(qname), qtype, dns::RecordClass::in}));
  }
  Words& add(const std::string& line, Section section = Section::answer) {
    const auto record = dns::parse_record(line, 300);
    REQUIRE(record.has_value());
    REQUIRE(writer.record(section, record->owner, record->type, record->record_class, record->ttl, record->rdata));
    return *this;
  }
  [[nodiscard]] dns::Octets get() const { return {octets.data(), writer.size()}; }

  std::array<std::uint8_t, 65'535> octets{};
  dns::MessageWriter writer;
};

struct Finished {
  Finished(const Asked& asked, const Words& words, const Touches& touches = {}, const Fit& fit = {}) {
    size = finish(asked.view(), words.get(), touches, fit, octets);
    CHECK(size <= fit.octets_max);
    const auto parsed = dns::ResponseView::parse({octets.data(), size});
    REQUIRE(parsed.has_value());
    view = *parsed;
  }
  [[nodiscard]] Lines answer() const { return records_of(*view, Section::answer); }

  std::array<std::uint8_t, 65'535> octets{};
  std::size_t size = 0;
  std::optional<dns::ResponseView> view;
};

Fit with_edns(bool dnssec_ok) {
  Fit fit;
  fit.octets_max = 1'232;
  fit.has_edns = true;
  fit.dnssec_ok = dnssec_ok;
  return fit;
}

TEST_CASE("the client gets its ID, its flags, and its question in its own case, in the answer's owner too") {
  const Words words = Words("www.example").add("www.example. 300 IN A 192.0.2.1");
  const Finished finished(Asked("wWw.EXample"), words);
  CHECK(finished.view->id() == 0x1234);
  CHECK(finished.view->question().qname.to_string() == "wWw.EXample");
  CHECK(finished.answer() == Lines{"wWw.EXample 300 A 192.0.2.1"});
  CHECK((finished.octets[2] & 0x01) == 1);
  CHECK((finished.octets[3] & 0x90) == 0x90);
}

TEST_CASE("every TTL ages, not below zero, or is replaced") {
  const Words words = Words("www.example")
                          .add("www.example. 300 IN CNAME a.example.")
                          .add("a.example. 20 IN A 192.0.2.1")
                          .add("example. 100 IN NS ns.example.", Section::authority);
  const Finished aged(Asked("www.example"), words, {.age_seconds = 30});
  CHECK(aged.answer() == Lines{"www.example 270 CNAME a.example.", "a.example 0 A 192.0.2.1"});
  CHECK(records_of(*aged.view, Section::authority) == Lines{"example 70 NS ns.example."});
  const Finished stale(Asked("www.example"), words, {.age_seconds = 9'000, .ttl_seconds = 30});
  CHECK(stale.answer() == Lines{"www.example 30 CNAME a.example.", "a.example 30 A 192.0.2.1"});
}

TEST_CASE("AD comes only to those who understand it") {
  const Words words = Words("www.example").add("www.example. 300 IN A 192.0.2.1");
  CHECK_FALSE(Finished(Asked("www.example"), words).view->authentic_data());
  CHECK(Finished(Asked("www.example", RecordType::a, true), words).view->authentic_data());
  CHECK(Finished(Asked("www.example"), words, {}, with_edns(true)).view->authentic_data());
  const Words unsure = Words("www.example", RecordType::a, false).add("www.example. 300 IN A 192.0.2.1");
  CHECK_FALSE(Finished(Asked("www.example", RecordType::a, true), unsure).view->authentic_data());
}

TEST_CASE("DNSSEC records come with DO, or where they are what is asked for") {
  const std::string signature =
      " 300 IN RRSIG A 8 2 300 20300101000000 20200101000000 12345 example. AAAAAAAAAAAAAAAAAAAAAA==";
  const Words words = Words("www.example")
                          .add("www.example." + signature)
                          .add("www.example. 300 IN A 192.0.2.1")
                          .add("www.example. 300 IN NSEC z.example. A RRSIG NSEC", Section::authority);
  CHECK(Finished(Asked("www.example"), words, {.age_seconds = 1}).answer() == Lines{"www.example 299 A 192.0.2.1"});
  CHECK(records_of(*Finished(Asked("www.example"), words).view, Section::authority).empty());
  CHECK(Finished(Asked("www.example"), words, {}, with_edns(true)).answer().size() == 2);
  const Words asked_for = Words("www.example", RecordType::rrsig).add("www.example." + signature);
  CHECK(Finished(Asked("www.example", RecordType::rrsig), asked_for).answer().size() == 1);
}

TEST_CASE("what does not fit is a question with TC, and its code") {
  Words words("www.example", RecordType::txt);
  for (int i = 0; i < 10; ++i)
    words.add("www.example. 300 IN TXT \"" + std::string(100, static_cast<char>('a' + i)) + '"');
  const Finished cut(Asked("wWw.example", RecordType::txt), words);
  CHECK(cut.view->is_truncated());
  CHECK(cut.view->record_count() == 0);
  CHECK(cut.view->question().qname.to_string() == "wWw.example");
  Fit small = with_edns(false);
  small.octets_max = 512;
  const Finished cut_with_opt(Asked("www.example", RecordType::txt), words, {}, small);
  CHECK(cut_with_opt.view->is_truncated());
  CHECK(cut_with_opt.view->edns().has_value());
  Fit stream;
  stream.octets_max = 65'535;
  const Finished whole(Asked("www.example", RecordType::txt), words, {}, stream);
  CHECK_FALSE(whole.view->is_truncated());
  CHECK(whole.answer().size() == 10);
}

TEST_CASE("OPT comes with EDNS only, and a stale answer says that it is one, as far as there is room") {
  const Words words = Words("www.example").add("www.example. 300 IN A 192.0.2.1");
  CHECK_FALSE(Finished(Asked("www.example"), words).view->edns().has_value());
  const Touches stale{
      .ttl_seconds = 30, .error = ExtendedError::stale_answer, .error_text = "upstream does not answer"};
  const Finished finished(Asked("www.example"), words, stale, with_edns(false));
  REQUIRE(finished.view->edns().has_value());
  const std::string octets(finished.octets.begin(),
                           finished.octets.begin() + static_cast<std::ptrdiff_t>(finished.size));
  CHECK(octets.ends_with("upstream does not answer"));
}

TEST_CASE("a negative answer keeps its code and its SOA") {
  Words words("nothing.example");
  words.writer = dns::MessageWriter(words.octets);
  words.writer.header(0, {}, ResponseCode::nxdomain);
  REQUIRE(words.writer.question({name("nothing.example"), RecordType::a, dns::RecordClass::in}));
  words.add("example. 60 IN SOA ns.example. root.example. 1 2 3 4 60", Section::authority);
  const Finished finished(Asked("nothing.example"), words, {.age_seconds = 10});
  CHECK(finished.view->code() == ResponseCode::nxdomain);
  CHECK(records_of(*finished.view, Section::authority) == Lines{"example 50 SOA ns.example. root.example. 1 2 3 4 60"});
}

}  // namespace
}  // namespace doline::response

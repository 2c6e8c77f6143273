#include "response/local_records.h"

#include <doctest/doctest.h>

#include "asked.h"

namespace doline::response {

namespace {

using dns::RecordType;
using Lines = std::vector<std::string>;

dns::Name name_of(const char* text) {
  return *dns::Name::parse(text);
}

LocalName named(const char* owner, std::vector<LocalRecord> records, bool is_wildcard = false) {
  return {name_of(owner), is_wildcard, std::move(records)};
}

LocalRecord address(const char* text) {
  return address_record(*IpAddress::parse(text));
}

LocalRecord record(RecordType type, const char* target) {
  const dns::Name name = name_of(target);
  return {type, 60, {name.wire().begin(), name.wire().end()}};
}

std::shared_ptr<const LocalRecords> build(std::initializer_list<std::vector<LocalName>> sources) {
  LocalRecords::Builder builder;
  for (const auto& names : sources) builder.add_source(names);
  return builder.build();
}

struct Answered {
  std::array<std::uint8_t, 1'232> octets{};
  std::optional<dns::ResponseView> view;

  Answered(const LocalRecords& all, const char* name, RecordType type, const std::optional<LocalAnswer>& end = {}) {
    const Asked asked(name, type);
    const std::size_t size = answer_locally(asked.view(), all, all.find(name_of(name).lowered()), end, nullptr,
                                            {.octets_max = octets.size()}, octets);
    auto parsed = dns::ResponseView::parse({octets.data(), size});
    REQUIRE(parsed.has_value());
    view.emplace(std::move(*parsed));
  }
  [[nodiscard]] Lines answer() const { return records_of(*view, dns::Section::answer); }
  [[nodiscard]] Lines authority() const { return records_of(*view, dns::Section::authority); }
};

}  // namespace

TEST_CASE("Where nobody says anything there is no table") {
  CHECK(build({}) == nullptr);
  CHECK(build({{named("nas.home.arpa", {})}}) == nullptr);
}

TEST_CASE("A name has its own records and no others") {
  const auto all = build({{named("nas.home.arpa", {address("192.168.1.10"), address("fd00::10")})}});
  CHECK(all->find(name_of("nas.home.arpa")).size() == 2);
  for (const char* other : {".", "arpa", "home.arpa", "x.nas.home.arpa", "nas"})
    CHECK_MESSAGE(all->find(name_of(other)).empty(), other);
}

TEST_CASE("The way back follows from the addresses, for the first name, unless it is written") {
  const auto all = build({{named("nas.home.arpa", {address("192.168.1.10"), address("fd00::10")}),
                           named("files.home.arpa", {address("192.168.1.10"), address("192.168.1.11")}),
                           named("11.1.168.192.in-addr.arpa", {record(RecordType::ptr, "written.home.arpa")}),
                           named("dev.home.arpa", {address("192.168.1.12")}, true)}});
  const auto back = [&](const char* name) {
    const auto records = all->find(name_of(name));
    REQUIRE(records.size() == 1);
    CHECK(records[0].type == RecordType::ptr);
    return dns::Name::from_wire(records[0].rdata)->to_string();
  };
  CHECK(back("10.1.168.192.in-addr.arpa") == "nas.home.arpa");
  CHECK(back("11.1.168.192.in-addr.arpa") == "written.home.arpa");
  CHECK(back("0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa") == "nas.home.arpa");
  CHECK(all->find(name_of("12.1.168.192.in-addr.arpa")).empty());
}

TEST_CASE("The first source that has a name says all of it") {
  const auto all = build({{named("nas.home.arpa", {address("192.168.1.10")})},
                          {named("nas.home.arpa", {address("fd00::66"), address("192.168.1.66")}),
                           named("tv.home.arpa", {address("192.168.1.10"), address("192.168.1.20")})}});
  CHECK(all->find(name_of("nas.home.arpa")).size() == 1);
  CHECK(all->find(name_of("66.1.168.192.in-addr.arpa")).empty());
  CHECK(all->find(name_of("tv.home.arpa")).size() == 2);
  CHECK(all->find(name_of("10.1.168.192.in-addr.arpa"))[0] == record(RecordType::ptr, "nas.home.arpa"));
  CHECK(all->find(name_of("20.1.168.192.in-addr.arpa"))[0] == record(RecordType::ptr, "tv.home.arpa"));
}

TEST_CASE("A wildcard is for all below it that nothing nearer says anything of") {
  const auto all = build(
      {{named("dev.home.arpa", {address("192.168.1.11")}, true), named("own.dev.home.arpa", {address("192.168.1.12")}),
        named("a.dev.home.arpa", {address("192.168.1.13")}, true)}});
  CHECK(all->find(name_of("dev.home.arpa")).empty());
  CHECK(all->find(name_of("x.y.dev.home.arpa"))[0] == address("192.168.1.11"));
  CHECK(all->find(name_of("own.dev.home.arpa"))[0] == address("192.168.1.12"));
  CHECK(all->find(name_of("x.own.dev.home.arpa")).empty());
  CHECK(all->find(name_of("x.a.dev.home.arpa"))[0] == address("192.168.1.13"));
  CHECK(all->find(name_of("x.home.arpa")).empty());
}

TEST_CASE("A local CNAME to a name that is served here and does not exist is NXDOMAIN, by the zone of that name") {
  const auto all = build({{named("alias.home.arpa", {record(RecordType::cname, "gone.tv.home.arpa")})}});
  const LocalAnswer gone{LocalAnswer::Kind::nxdomain, 11, house_name_ttl_seconds};
  const Answered told(*all, "alias.home.arpa", RecordType::a, gone);
  CHECK(told.view->code() == dns::ResponseCode::nxdomain);
  CHECK(told.answer().size() == 1);
  REQUIRE(told.authority().size() == 1);
  CHECK(told.authority()[0].starts_with("home.arpa 60 SOA"));
}

TEST_CASE("Local answers are authoritative, another type is NODATA, ANY is all") {
  const auto all = build({{named("nas.home.arpa", {address("192.168.1.10"), address("fd00::10")})}});
  const Answered a(*all, "NAS.home.arpa", RecordType::a);
  CHECK(a.answer() == Lines{"NAS.home.arpa 60 A 192.168.1.10"});
  CHECK((a.octets[2] & 0x04) != 0);
  const Answered mx(*all, "nas.home.arpa", RecordType::mx);
  CHECK(mx.answer().empty());
  CHECK(mx.view->code() == dns::ResponseCode::noerror);
  CHECK(mx.authority() == Lines{"nas.home.arpa 60 SOA doline.invalid. hostmaster.doline.invalid. 1 3600 600 86400 60"});
  CHECK(Answered(*all, "nas.home.arpa", RecordType::any).answer().size() == 2);
}

TEST_CASE("A CNAME to a local name is answered wholly, one to another name says where to look") {
  const auto all = build({{named("a.home.arpa", {record(RecordType::cname, "b.home.arpa")}),
                           named("b.home.arpa", {record(RecordType::cname, "nas.home.arpa")}),
                           named("nas.home.arpa", {address("192.168.1.10")}),
                           named("far.home.arpa", {record(RecordType::cname, "www.example")})}});
  const Answered whole(*all, "a.home.arpa", RecordType::a);
  CHECK(whole.answer() == Lines{"a.home.arpa 60 CNAME b.home.arpa.", "b.home.arpa 60 CNAME nas.home.arpa.",
                                "nas.home.arpa 60 A 192.168.1.10"});
  CHECK(whole.authority().empty());
  const Answered none(*all, "b.home.arpa", RecordType::aaaa);
  CHECK(none.answer() == Lines{"b.home.arpa 60 CNAME nas.home.arpa."});
  CHECK(none.authority() ==
        Lines{"nas.home.arpa 60 SOA doline.invalid. hostmaster.doline.invalid. 1 3600 600 86400 60"});
  CHECK(Answered(*all, "a.home.arpa", RecordType::cname).answer() == Lines{"a.home.arpa 60 CNAME b.home.arpa."});

  CHECK(!all->find_target(all->find(name_of("a.home.arpa")), RecordType::a));
  const auto far = all->find_target(all->find(name_of("far.home.arpa")), RecordType::a);
  REQUIRE(far);
  CHECK(far->name == name_of("www.example"));
  CHECK(far->ttl_seconds == local_ttl_seconds);
  CHECK(!all->find_target(all->find(name_of("far.home.arpa")), RecordType::cname));
}

TEST_CASE("CNAMEs in a circle end") {
  const auto all = build({{named("a.home.arpa", {record(RecordType::cname, "b.home.arpa")}),
                           named("b.home.arpa", {record(RecordType::cname, "a.home.arpa")})}});
  CHECK(!all->find_target(all->find(name_of("a.home.arpa")), RecordType::a));
  CHECK(Answered(*all, "a.home.arpa", RecordType::a).answer() ==
        Lines{"a.home.arpa 60 CNAME b.home.arpa.", "b.home.arpa 60 CNAME a.home.arpa."});
}

TEST_CASE("A name is there where there are names below it") {
  LocalName wild = named("dev.home.arpa", {address("192.168.1.11")});
  wild.is_wildcard = true;
  const auto all = build({{named("a.b.home.arpa", {address("192.168.1.10")}), wild}});
  for (const char* above : {"b.home.arpa", "home.arpa", "dev.home.arpa", "arpa", "168.192.in-addr.arpa"})
    CHECK_MESSAGE(all->has_below(name_of(above)), above);
  for (const char* other : {"a.b.home.arpa", "x.b.home.arpa", "b.home", "x.dev.home.arpa"})
    CHECK_FALSE_MESSAGE(all->has_below(name_of(other)), other);
}

}  // namespace doline::response

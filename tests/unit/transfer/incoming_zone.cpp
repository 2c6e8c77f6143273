#include "transfer/incoming_zone.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace doline::transfer {
namespace {

dns::Name name(std::string_view text) {
  return dns::Name::parse(text).value();
}

dns::Record record(const std::string& line) {
  const auto read = dns::parse_record(line, 60);
  REQUIRE_MESSAGE(read.has_value(), line);
  return *read;
}

dns::Record soa(std::uint32_t serial) {
  return record("rpz.example. SOA localhost. root.localhost. " + std::to_string(serial) + " 3600 600 86400 60");
}

/// A message with these records; a number stands for an SOA record of this serial.
struct Piece {
  Piece(int serial) : made(soa(static_cast<std::uint32_t>(serial))) {}  // NOLINT(google-explicit-constructor)
  Piece(const char* line) : made(record(line)) {}                       // NOLINT(google-explicit-constructor)
  dns::Record made;
};

std::string take(IncomingZone& zone, const std::vector<Piece>& pieces) {
  dns::TransferMessage message;
  for (const Piece& piece : pieces) message.answers.push_back(piece.made);
  const auto taken = zone.take(message);
  if (!taken) return taken.error().text + (taken.error().may_come_whole ? " (whole?)" : "");
  return *taken ? "done" : "more";
}

std::string text_of(const std::vector<LineChange>& changes) {
  std::string text;
  for (const LineChange& change : changes) text += (change.is_added ? '+' : '-') + change.line;
  return text;
}

constexpr const char* one = "One.rpz.example. 60 IN CNAME .";
constexpr const char* two = "two.rpz.example. 60 IN A 192.0.2.1";
constexpr std::string_view soa_1 = "rpz.example. SOA localhost. root.localhost. 1 3600 600 86400 0\n";

TEST_CASE("a zone comes whole, over as many messages as it likes") {
  IncomingZone zone(name("rpz.example"), std::nullopt);
  CHECK(take(zone, {1}) == "more");
  CHECK(take(zone, {one}) == "more");
  CHECK(take(zone, {two, 1}) == "done");
  CHECK(zone.kind() == IncomingZone::Kind::whole);
  CHECK(zone.soa() == dns::SoaNumbers{1, 3600, 600, 86400});
  CHECK(zone.take_text() == std::string(soa_1) + "one.rpz.example. CNAME .\ntwo.rpz.example. A 192.0.2.1\n");
  CHECK(take(zone, {one}) == "records follow the zone's end");
}

TEST_CASE("who asks for a difference may be given one, the whole zone, or that nothing has changed") {
  IncomingZone unchanged(name("rpz.example"), 5);
  CHECK(take(unchanged, {5}) == "done");
  CHECK(unchanged.kind() == IncomingZone::Kind::unchanged);

  IncomingZone whole(name("rpz.example"), 5);
  CHECK(take(whole, {6, one, 6}) == "done");
  CHECK(whole.kind() == IncomingZone::Kind::whole);

  IncomingZone difference(name("rpz.example"), 5);
  CHECK(take(difference, {8, 5, one, 6, two}) == "more");
  CHECK(take(difference, {6, two, 8, one, 8}) == "done");
  CHECK(difference.kind() == IncomingZone::Kind::difference);
  CHECK(text_of(difference.take_changes()) ==
        "-one.rpz.example. CNAME .\n+two.rpz.example. A 192.0.2.1\n"
        "-two.rpz.example. A 192.0.2.1\n+one.rpz.example. CNAME .\n");
  CHECK(difference.soa().serial == 8);

  IncomingZone in_two(name("rpz.example"), 5);  // the first message holds the first SOA record alone
  CHECK(take(in_two, {6}) == "more");
  CHECK(take(in_two, {5, one, 6, two, 6}) == "done");
  CHECK(in_two.kind() == IncomingZone::Kind::difference);
}

TEST_CASE("serials wrap around") {
  IncomingZone newer(name("rpz.example"), 0xffff'fff0u);
  CHECK(take(newer, {3}) == "more");
  IncomingZone older(name("rpz.example"), 7);
  CHECK(take(older, {3}) == "it has serial 3, older than ours, 7");
}

TEST_CASE("a zone without a record but its own is empty, and whole") {
  IncomingZone zone(name("rpz.example"), std::nullopt);
  CHECK(take(zone, {1, 1}) == "done");
  CHECK(zone.kind() == IncomingZone::Kind::whole);
  CHECK(zone.take_text() == soa_1);
}

TEST_CASE("what contradicts itself is no zone") {
  const auto told = [](std::optional<std::uint32_t> have, const std::vector<Piece>& pieces) {
    IncomingZone zone(name("rpz.example"), have);
    return take(zone, pieces);
  };
  CHECK(told({}, {one}) == "its answer does not begin with the zone's SOA record");
  CHECK(told({}, {1, one, 2}) == "the zone has changed while it came");
  CHECK(told({}, {1, 2}) == "its SOA records contradict each other");
  CHECK(told(5, {8, 4}) == "its SOA records contradict each other (whole?)");
  CHECK(told(5, {8, 5, one, 6, two, 7}) == "the parts of its difference do not fit together (whole?)");
  CHECK(told({}, {1, one, "other.example. CNAME ."}) == "its answer holds what is not of the zone: other.example");
  CHECK(told({}, {1, "rpz.example. CH TXT x"}) == "its answer holds what is not of the zone: rpz.example");
  CHECK(told({}, {1, "sub.rpz.example. SOA a. b. 1 2 3 4 5"}) == "its SOA record is not the zone's");
  CHECK(told({}, {}) == "its answer is empty");
  CHECK(told(5, {}) == "its answer is empty (whole?)");
}

TEST_CASE("a refusal is told, and a difference that is refused may come whole") {
  dns::TransferMessage refusal;
  refusal.code = dns::ResponseCode::notimp;
  IncomingZone difference(name("rpz.example"), 5);
  CHECK(difference.take(refusal).error().text == "it answers NOTIMP");
  CHECK(difference.take(refusal).error().may_come_whole);
  IncomingZone whole(name("rpz.example"), std::nullopt);
  CHECK_FALSE(whole.take(refusal).error().may_come_whole);
  refusal = {};
  refusal.question = dns::Question{name("other.example"), dns::RecordType::axfr};
  CHECK(whole.take(refusal).error().text == "it answers for other.example");
}

TEST_CASE("a difference that is too large is given up") {
  IncomingZone zone(name("rpz.example"), 5);
  REQUIRE(take(zone, {8, 5}) == "more");
  const std::vector<Piece> many(10'000, Piece(two));
  std::string told = "more";
  for (int message = 0; message < 100 && told == "more"; ++message) told = take(zone, many);
  CHECK(told == "the difference is too large (whole?)");
}

TEST_CASE("equal records are equal lines, whatever their TTL and case, and one line each") {
  CHECK(to_line(record("A.RPZ.example. 5 IN CNAME Target.Example.")) == "a.rpz.example. CNAME target.example.\n");
  CHECK(to_line(record("a.rpz.example. 9 IN AAAA 2001:DB8::1")) == "a.rpz.example. AAAA 2001:db8::1\n");
  CHECK(to_line(record("*.a.rpz.example. CNAME *.")) == "*.a.rpz.example. CNAME *.\n");
  CHECK(to_line(record("a.rpz.example. TXT \"x\\010y;\" z")) == "a.rpz.example. TXT \\# 7 04780a793b017a\n");
  CHECK(to_line(record("a.rpz.example. TYPE65280 \\# 2 0aff")) == "a.rpz.example. TYPE65280 \\# 2 0aff\n");
  CHECK(to_line(record("a\\010b\\;.rpz.example. CNAME .")) == "a\\010b\\;.rpz.example. CNAME .\n");
}

TEST_CASE("changes are made to the copy that they were made for, and to no other") {
  const std::string copy = "soa 1\na\nb\nc\n";
  const auto made = [&](const std::vector<LineChange>& changes) {
    return apply_changes(copy, "soa 2\n", changes).value_or("does not fit");
  };
  CHECK(made({}) == "soa 2\na\nb\nc\n");
  CHECK(made({{false, "b\n"}, {true, "d\n"}}) == "soa 2\na\nc\nd\n");
  CHECK(made({{false, "b\n"}, {true, "b\n"}}) == copy.substr(0, 4) + "2\na\nb\nc\n");
  CHECK(made({{true, "d\n"}, {false, "d\n"}}) == "soa 2\na\nb\nc\n");
  CHECK(made({{true, "d\n"}, {false, "d\n"}, {true, "d\n"}}) == "soa 2\na\nb\nc\nd\n");
  CHECK(made({{false, "d\n"}}) == "does not fit");
  CHECK(made({{true, "a\n"}}) == "does not fit");
  CHECK(made({{false, "a\n"}, {false, "a\n"}}) == "does not fit");
  CHECK(made({{true, "d\n"}, {true, "d\n"}}) == "does not fit");
  CHECK(apply_changes("soa 1\na", "soa 2\n", {}) == "soa 2\na");
  CHECK(apply_changes("", "soa 2\n", {}) == "soa 2\n");
}

TEST_CASE("queries are what primaries expect") {
  const auto whole = make_transfer_query(7, name("rpz.example"), std::nullopt);
  CHECK(whole.size() == dns::header_octets + 13 + 4);
  CHECK(whole[whole.size() - 3] == 252);
  const auto difference = make_transfer_query(7, name("rpz.example"), 0x01020304);
  CHECK(difference[9] == 1);  // our SOA record
  const std::vector<std::uint8_t> serial(difference.end() - 20, difference.end() - 16);
  CHECK(serial == std::vector<std::uint8_t>{1, 2, 3, 4});
}

}  // namespace
}  // namespace doline::transfer

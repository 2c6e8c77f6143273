#include "control/sighting_book.h"

#include <doctest/doctest.h>

#include <string>

using namespace doline;
using namespace doline::control;
using device::MacAddress;
using Source = SightingBook::Source;

namespace {

const WallTime noon{seconds(1'795'000'000)};

MacAddress mac(unsigned number, std::uint8_t first = 0x94) {
  return {{first, 0x51, 0x3d, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
           static_cast<std::uint8_t>(number)}};
}
IpAddress v4(unsigned number) {
  return IpAddress::v4(10, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                       static_cast<std::uint8_t>(number));
}
device::Sighting seen(unsigned mac_number, unsigned address_number, std::string hostname = {}) {
  return {v4(address_number), mac(mac_number), std::move(hostname)};
}
std::shared_ptr<const device::Roster> roster_of(const SightingBook& book) {
  device::RosterBuilder builder;
  book.fill(builder);
  return builder.build();
}
std::string name_at(const SightingBook& book, unsigned address_number) {
  return roster_of(book)->identify(v4(address_number)).name;
}
device::VendorTable vendors() {
  const std::string_view text = "Registry,Assignment,Organization Name,Organization Address\nMA-L,94513D,Wyze Labs,\n";
  return device::VendorTable::read(std::span(&text, 1));
}

std::string text_of(const SightingBook& book) {
  return book.to_text([](const device::MacAddress&, const IpAddress&) { return true; });
}

}  // namespace

TEST_CASE("only what changes a roster says so") {
  SightingBook book;
  CHECK(book.note(seen(1, 1), Source::neighbour, noon));
  CHECK_FALSE(book.note(seen(1, 1), Source::neighbour, noon + seconds(1)));
  CHECK(book.note(seen(1, 1, "camera"), Source::lease, noon));
  CHECK_FALSE(book.note(seen(1, 1, "camera"), Source::lease, noon));
  CHECK_FALSE(book.note(seen(1, 1), Source::lease, noon));  // knows no name: the old one stays
  CHECK(book.note(seen(1, 2), Source::neighbour, noon));
  CHECK(name_at(book, 1) == "camera");
  CHECK(name_at(book, 2) == "camera");
  CHECK(name_at(book, 3) == "unknown");
  CHECK(book.knows(v4(2)));
  CHECK_FALSE(book.knows(v4(3)));
}

TEST_CASE("what can be no device's is passed over") {
  SightingBook book;
  const auto passes = [&](const char* address, MacAddress of) {
    return book.note({*IpAddress::parse(address), of, {}}, Source::neighbour, noon);
  };
  CHECK_FALSE(passes("10.0.0.1", {}));
  CHECK_FALSE(passes("10.0.0.1", mac(1, 0x01)));
  CHECK_FALSE(passes("192.0.2.54", *MacAddress::parse("02:d0:11:00:02:54")));  // `doline redirect verify`
  CHECK_FALSE(passes("127.0.0.1", mac(1)));
  CHECK_FALSE(passes("0.0.0.0", mac(1)));
  CHECK_FALSE(passes("ff02::1", mac(1)));
  CHECK(book.mac_count() == 0);
}

TEST_CASE("the addresses of both families of one MAC are one device") {
  SightingBook book;
  book.note(seen(1, 1), Source::neighbour, noon);
  book.note({*IpAddress::parse("fd00::1"), mac(1), {}}, Source::neighbour, noon);
  const auto roster = roster_of(book);
  CHECK(roster->devices().size() == 2);
  CHECK(roster->identify(v4(1)).id == roster->identify(*IpAddress::parse("fd00::1")).id);
}

TEST_CASE("an address is the MAC's that was seen there last, and a lease does not take it from one seen lately") {
  SightingBook book;
  book.note(seen(1, 1, "one"), Source::lease, noon);
  book.note(seen(2, 1, "two"), Source::lease, noon);
  CHECK(name_at(book, 1) == "two");
  book.note(seen(3, 1, "three"), Source::neighbour, noon);
  CHECK(name_at(book, 1) == "three");
  CHECK_FALSE(book.note(seen(2, 1, "two"), Source::lease, noon + neighbour_believed / 2));
  CHECK(name_at(book, 1) == "three");
  CHECK(book.note(seen(2, 1, "two"), Source::lease, noon + neighbour_believed));
  CHECK(name_at(book, 1) == "two");
  CHECK(book.address_count() == 1);
}

TEST_CASE("devices keep their order when they are seen again") {
  SightingBook book;
  for (unsigned i = 0; i < 5; ++i) book.note(seen(9 - i, i), Source::neighbour, noon + seconds(i));
  const auto before = roster_of(book);
  book.note(seen(9, 77), Source::neighbour, noon + seconds(100));
  book.note(seen(1, 78), Source::neighbour, noon + seconds(101));
  const auto after = roster_of(book);
  for (unsigned i = 0; i < 5; ++i) CHECK(before->identify(v4(i)).id == after->identify(v4(i)).id);
}

TEST_CASE("a vendor comes with the table, and stays without it") {
  SightingBook book;
  book.note({v4(3), mac(3, 0x96), {}}, Source::neighbour, noon);
  CHECK_FALSE(book.lacks_vendors());  // it made its MAC up
  book.note(seen(1, 1), Source::neighbour, noon);
  CHECK(name_at(book, 1) == "94:51:3d:00:00:01");
  CHECK(book.lacks_vendors());
  CHECK(book.set_vendors(vendors()));
  CHECK_FALSE(book.lacks_vendors());
  CHECK_FALSE(book.set_vendors(vendors()));
  CHECK(name_at(book, 1) == "Wyze Labs 00:00:01");
  book.note(seen(2, 2), Source::neighbour, noon);
  CHECK(name_at(book, 2) == "Wyze Labs 00:00:02");
  SightingBook later;
  later.read_text(text_of(book), noon);
  CHECK(name_at(later, 1) == "Wyze Labs 00:00:01");
  CHECK_FALSE(later.lacks_vendors());
}

TEST_CASE("what was not seen for long is forgotten, a made-up MAC sooner") {
  SightingBook book;
  book.note(seen(1, 1), Source::neighbour, noon);
  book.note({v4(2), mac(2, 0x96), {}}, Source::neighbour, noon);
  CHECK_FALSE(book.forget(noon + address_kept));
  CHECK(book.forget(noon + address_kept + seconds(1)));
  CHECK(book.address_count() == 0);
  CHECK(book.mac_count() == 1);
  CHECK_FALSE(book.forget(noon + mac_kept + seconds(1)));
  CHECK(book.mac_count() == 0);
}

TEST_CASE("a flood of made-up addresses and MACs stays within bounds, and who speaks again stays known") {
  SightingBook book;
  for (unsigned i = 0; i < device::addresses_per_mac_max * 3; ++i)
    book.note(seen(1, i), Source::neighbour, noon + seconds(i));
  CHECK(book.address_count() == device::addresses_per_mac_max);
  CHECK_FALSE(book.knows(v4(0)));
  for (unsigned i = 0; i < book_macs_max * 2; ++i) {
    book.note(seen(100 + i, 1000 + i), Source::neighbour, noon + seconds(1000 + i));
    if (i % 1000 == 0) book.note(seen(1, 1), Source::neighbour, noon + seconds(1000 + i));
  }
  CHECK(book.mac_count() <= book_macs_max);
  CHECK(book.address_count() <= book_addresses_max);
  CHECK(book.knows(v4(1)));
  SightingBook wide;
  for (unsigned i = 0; i < book_addresses_max + 10; ++i)
    wide.note(seen(i / 50, i), Source::neighbour, noon + seconds(i));
  CHECK(wide.address_count() <= book_addresses_max);
  CHECK(wide.address_count() > book_addresses_max / 2);
  CHECK(roster_of(wide)->devices().size() > 1000);
}

TEST_CASE("a book comes back from its text as it was") {
  SightingBook book;
  book.note(seen(1, 1, "camera"), Source::lease, noon);
  book.note({*IpAddress::parse("fe80::1"), mac(1), {}}, Source::neighbour, noon + seconds(5));
  book.note(seen(2, 2), Source::neighbour, noon + seconds(1));
  SightingBook again;
  again.read_text(text_of(book), noon + seconds(10));
  CHECK(text_of(again) == text_of(book));
  CHECK(again.mac_count() == 2);
  CHECK(name_at(again, 1) == "camera");
  // it is no word of the kernel's any more: a lease may move it
  CHECK(again.note(seen(3, 2, "tv"), Source::lease, noon + seconds(10)));
  CHECK(name_at(again, 2) == "tv");
}

TEST_CASE("the text tells of nobody who is not to be written down, and of the others only the day") {
  SightingBook book;
  book.note(seen(1, 1, "camera"), Source::lease, noon);
  book.note(seen(2, 2), Source::neighbour, noon);
  book.note(seen(2, 3), Source::neighbour, noon);
  book.note(seen(4, 4), Source::neighbour, noon);
  const std::string text =
      book.to_text([](const auto& of, const auto& at) { return of != mac(1) && at != v4(2) && of != mac(4); });
  SightingBook again;
  again.read_text(text, noon);
  CHECK(again.mac_count() == 1);
  CHECK_FALSE(again.knows(v4(2)));
  CHECK(again.knows(v4(3)));
  const auto day = std::chrono::floor<std::chrono::days>(noon).time_since_epoch();
  CHECK(text.find("\"last\": " + std::to_string(seconds(day).count())) != std::string::npos);
  SightingBook nowhere;
  nowhere.note(seen(1, 1), Source::neighbour, noon);
  CHECK(nowhere.forget(noon + address_kept + seconds(1)));
  CHECK(text_of(nowhere).find("94:51:3d:00:00:01") != std::string::npos);
  CHECK(nowhere.to_text([](const auto&, const auto&) { return false; }).find("94:51") == std::string::npos);
}

TEST_CASE("devices are forgotten by name, by time, or all") {
  SightingBook book;
  book.note(seen(1, 1, "camera"), Source::lease, noon);
  book.note(seen(2, 2, "tv"), Source::lease, noon + seconds(10));
  book.note(seen(3, 3, "phone"), Source::lease, noon);
  book.note(seen(3, 4, "phone"), Source::lease, noon + seconds(20));
  const auto forget = [&](const querylog::Forgetting& what) { return book.forget(what, *roster_of(book)); };
  CHECK(forget({{"fridge"}, {}}) == 0);
  CHECK(forget({{"camera"}, {}}) == 1);
  CHECK_FALSE(book.knows(v4(1)));
  CHECK(forget({{}, noon + seconds(10)}) == 0);
  CHECK_FALSE(book.knows(v4(3)));
  CHECK(book.knows(v4(4)));
  CHECK(forget({{"phone"}, noon + seconds(10)}) == 0);
  CHECK(forget({{}, noon + seconds(11)}) == 1);
  CHECK(book.mac_count() == 1);
  CHECK(forget({}) == 1);
  CHECK(book.address_count() == 0);

  SightingBook away;  // so long that no address is left
  away.note(seen(1, 1, "camera"), Source::lease, noon);
  CHECK(away.forget(noon + address_kept + seconds(1)));
  CHECK(away.forget({{"camera"}, {}}, *roster_of(away)) == 1);
}

TEST_CASE("a text that is none, or lies, does no harm") {
  SightingBook book;
  for (const char* text : {"", "{", "[]", "{}", R"({"devices": 3})",
                           R"({"devices": [3, null, {}, {"mac": "x"}, {"mac": "01:00:00:00:00:01"}]})",
                           R"({"devices": [{"mac": "94:51:3d:00:00:01", "addresses": [1, 2]}]})", "\xff"})
    book.read_text(text, noon);
  CHECK(book.address_count() == 0);
  book.read_text(R"({"devices": [
    {"mac": "94:51:3d:00:00:02", "hostname": "<script>", "vendor": 5, "last": 99999999999999,
     "addresses": {"10.0.0.2": 99999999999999, "127.0.0.1": 5, "no address": 1, "10.0.0.3": -1, "10.0.0.4": 1e300}},
    {"mac": "94:51:3d:00:00:03", "addresses": {"10.0.0.2": 1794999999}},
    {"mac": "94:51:3d:00:00:02", "addresses": {"10.0.0.9": 1794999999}}]})",
                 noon);
  CHECK(name_at(book, 2) == "script");
  CHECK_FALSE(book.knows(v4(3)));  // seen in 1970
  CHECK_FALSE(book.knows(v4(9)));
  CHECK(book.forget(noon + address_kept + seconds(1)));  // times to come were cut
  CHECK(book.address_count() == 0);
}

TEST_CASE("a name that is announced stands before one that was asked for, and behind a lease's") {
  using Hearing = SightingBook::Hearing;
  SightingBook book;
  CHECK_FALSE(book.note_name(mac(1), "nobody", Hearing::announcement));
  (void)book.note(seen(1, 1), Source::neighbour, noon);
  CHECK(book.holder_of(v4(1)) == mac(1));
  CHECK_FALSE(book.holder_of(v4(2)).has_value());
  CHECK(book.nameless() == std::vector{v4(1)});
  CHECK(book.note_name(mac(1), "pointed", Hearing::pointer));
  CHECK_FALSE(book.note_name(mac(1), "pointed", Hearing::pointer));
  CHECK_FALSE(book.note_name(mac(1), "", Hearing::pointer));
  CHECK(name_at(book, 1) == "pointed");
  CHECK(book.nameless().size() == 1);  // it may have another by now
  CHECK(book.note_name(mac(1), "announced", Hearing::announcement));
  CHECK(name_at(book, 1) == "announced");
  CHECK(book.nameless().empty());
  (void)book.note(seen(1, 1, "leased"), Source::lease, noon);
  CHECK(name_at(book, 1) == "leased");

  SightingBook again;
  again.read_text(text_of(book), noon + seconds(60));
  CHECK(name_at(again, 1) == "leased");
  CHECK(roster_of(again)->identify(v4(1)).heard_name == "announced");
}

TEST_CASE("the name of a lease that never ends is not replaced by a passing one") {
  SightingBook book;
  device::Sighting written = seen(1, 1, "printer");
  written.is_static = true;
  (void)book.note(written, Source::lease, noon);
  (void)book.note(seen(1, 2, "HP-1234"), Source::lease, noon + seconds(60));
  CHECK(name_at(book, 1) == "printer");
  (void)book.note(seen(1, 2, "HP-1234"), Source::lease, noon + static_name_believed);
  CHECK(name_at(book, 1) == "HP-1234");
}

TEST_CASE("where the kernel saw devices lately is told, and what leases say is not") {
  SightingBook book;
  (void)book.note(seen(1, 1), Source::neighbour, noon);
  (void)book.note(seen(2, 2), Source::lease, noon + seconds(5));
  (void)book.note(seen(3, 3), Source::neighbour, noon + seconds(10));
  REQUIRE(book.seen_after(noon).size() == 1);
  CHECK(book.seen_after(noon)[0].mac == mac(3));
  CHECK(book.seen_after(noon)[0].address == v4(3));
  CHECK(book.seen_after(noon - seconds(1)).size() == 2);
}

#include "redirect/wire.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace doline;
using namespace doline::redirect;

TEST_CASE("What is written is read again, and nothing is left") {
  WireWriter out;
  out.integer(std::uint8_t{0xfe});
  out.integer(std::uint64_t{0x0123456789abcdef});
  out.text("br-lan");
  out.address(*IpAddress::parse("114.114.114.114"));
  out.prefix(*IpPrefix::parse("2400:3200::/32"));
  out.endpoint(*Endpoint::parse("[2400:3200::1]:53", 53));
  out.mac(*device::MacAddress::parse("94:51:3d:13:9a:35"));
  out.list(std::vector<std::uint16_t>{53, 5353}, [&](std::uint16_t port) { out.integer(port); });
  const auto octets = out.take();

  WireReader in(octets);
  CHECK(in.integer<std::uint8_t>() == 0xfe);
  CHECK(in.integer<std::uint64_t>() == 0x0123456789abcdef);
  CHECK(in.text(15) == "br-lan");
  CHECK(in.address().to_string() == "114.114.114.114");
  CHECK(in.prefix().to_string() == "2400:3200::/32");
  CHECK(in.endpoint().to_string() == "[2400:3200::1]:53");
  CHECK(in.mac().to_string() == "94:51:3d:13:9a:35");
  CHECK_FALSE(in.is_complete());
  CHECK(in.list<std::uint16_t>(15, [&] { return in.integer<std::uint16_t>(); }) ==
        std::vector<std::uint16_t>{53, 5353});
  CHECK(in.is_complete());
}

TEST_CASE("Integers are big-endian") {
  WireWriter out;
  out.integer(std::uint32_t{0x01020304});
  CHECK(out.take() == std::vector<std::uint8_t>{1, 2, 3, 4});
}

TEST_CASE("After one failed read every read fails") {
  const std::vector<std::uint8_t> octets{0, 9, 'a', 'b'};
  WireReader in(octets);
  CHECK(in.text(100).empty());
  CHECK(in.integer<std::uint8_t>() == 0);
  CHECK_FALSE(in.is_complete());
}

TEST_CASE("A value out of its range fails") {
  enum class Colour : std::uint8_t { red, green };
  const std::vector<std::uint8_t> two{2};
  CHECK_FALSE([&] {
    WireReader in(two);
    static_cast<void>(in.boolean());
    return in.is_complete();
  }());
  CHECK_FALSE([&] {
    WireReader in(two);
    static_cast<void>(in.enumerator(Colour::green));
    return in.is_complete();
  }());

  WireWriter out;
  out.address(IpAddress::v4(10, 0, 0, 0));
  out.integer(std::uint8_t{33});
  const auto prefix = out.take();
  WireReader in(prefix);
  CHECK(in.prefix() == IpPrefix());
  CHECK_FALSE(in.is_complete());
}

TEST_CASE("A list or a text longer than its limit is not read at all") {
  WireWriter out;
  out.list(std::vector<std::uint8_t>(17), [&](std::uint8_t octet) { out.integer(octet); });
  const auto octets = out.take();
  WireReader in(octets);
  CHECK(in.list<std::uint8_t>(16, [&] { return in.integer<std::uint8_t>(); }).empty());
  CHECK_FALSE(in.is_complete());

  WireWriter text;
  text.text("sixteen-letters-");
  const auto letters = text.take();
  WireReader reader(letters);
  CHECK(reader.text(15).empty());
  CHECK_FALSE(reader.is_complete());
}

TEST_CASE("A text longer than its length can say is cut") {
  WireWriter out;
  out.text(std::string(70'000, 'x'));
  CHECK(out.take().size() == 2 + 65'535);
}

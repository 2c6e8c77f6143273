#include "flows/packet.h"

#include <doctest/doctest.h>

#include "packets.h"

using namespace doline;
using namespace doline::flows;
using namespace doline::flows::samples;

namespace {

const Tuple camera{IPPROTO_UDP, {address("192.168.50.31"), 56'159}, {address("120.24.59.150"), 10'240}};

}  // namespace

TEST_CASE("the reported packet tells its device's address, and to whom it goes") {
  const auto packet = parse_packet(v4("192.168.50.31", "120.24.59.150", IPPROTO_UDP, udp(56'159, 10'240)));
  REQUIRE(packet);
  CHECK(packet->tuple == camera);
  CHECK(packet->payload.empty());
}

TEST_CASE("ports are found behind extension headers, and not looked for in later fragments") {
  const Octets inner = extension(IPPROTO_UDP, udp(4'000, 10'240));
  const auto behind =
      parse_packet(v6("2001:db8:50::31", "2001:db8:bad::1", IPPROTO_HOPOPTS, extension(IPPROTO_DSTOPTS, inner)));
  REQUIRE(behind);
  CHECK(behind->tuple.protocol == IPPROTO_UDP);
  CHECK(behind->tuple.client == Endpoint{address("2001:db8:50::31"), 4'000});
  CHECK(behind->tuple.destination == Endpoint{address("2001:db8:bad::1"), 10'240});

  const auto first = parse_packet(v6("fd00::1", "fd00::2", IPPROTO_FRAGMENT, extension(IPPROTO_UDP, udp(1, 2), 1)));
  REQUIRE(first);
  CHECK(first->tuple.destination.port == 2);
  const auto later = parse_packet(v6("fd00::1", "fd00::2", IPPROTO_FRAGMENT, extension(IPPROTO_UDP, udp(1, 2), 8)));
  REQUIRE(later);
  CHECK(later->tuple.destination.port == 0);
  const auto later_v4 = parse_packet(v4("10.0.0.1", "10.0.0.2", IPPROTO_UDP, udp(1, 2), 185));
  REQUIRE(later_v4);
  CHECK(later_v4->tuple.destination.port == 0);
}

TEST_CASE("a chain of extension headers without end is no packet") {
  Octets chain = udp(1, 2);
  for (int headers = 0; headers < 100; ++headers) chain = extension(IPPROTO_DSTOPTS, chain);
  CHECK_FALSE(parse_packet(v6("fd00::1", "fd00::2", IPPROTO_DSTOPTS, chain)));
}

TEST_CASE("protocols without ports have none") {
  const Octets echo{8, 0, 0, 0, 0, 1, 0, 1};
  const auto ping = parse_packet(v4("192.168.50.31", "8.8.8.8", IPPROTO_ICMP, echo));
  REQUIRE(ping);
  CHECK(ping->tuple == Tuple{IPPROTO_ICMP, {address("192.168.50.31"), 0}, {address("8.8.8.8"), 0}});
}

TEST_CASE("what is cut anywhere is a packet or none, and never more than it was") {
  for (const Octets& whole :
       {v4("192.168.50.31", "120.24.59.150", IPPROTO_TCP, tcp(1, 53, with_length(query("a.example")))),
        v6("fd00::1", "2001:db8::1", IPPROTO_UDP, udp(1, 53, query("a.example")))})
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const Octets cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto packet = parse_packet(cut);
      if (!packet) continue;
      CHECK(packet->tuple == parse_packet(whole)->tuple);
      const auto questions = questions_of(*packet);
      CHECK(questions.size() == (size == whole.size() ? 1 : 0));
    }
}

TEST_CASE("octets behind the packet's own length are not its payload") {
  Octets padded = v4("192.168.50.31", "8.8.8.8", IPPROTO_UDP, udp(1, 53));
  append(padded, query("padding.example"));
  const auto packet = parse_packet(padded);
  REQUIRE(packet);
  CHECK(questions_of(*packet).empty());
}

TEST_CASE("questions are read from UDP, and from TCP with their lengths in front or apart") {
  const auto asked = [](const Octets& packet) {
    std::string names;
    for (const dns::Question& question : questions_of(parse_packet(packet).value()))
      names += question.to_string() + ";";
    return names;
  };
  const auto over_tcp = [](std::span<const std::uint8_t> payload) {
    return v4("192.168.50.31", "114.114.114.114", IPPROTO_TCP, tcp(40'000, 53, payload));
  };
  CHECK(asked(v4("192.168.50.31", "114.114.114.114", IPPROTO_UDP, udp(40'000, 53, query("api.wyzecam.com")))) ==
        "api.wyzecam.com A;");
  Octets two = with_length(query("one.example"));
  append(two, with_length(query("two.example", dns::RecordType::aaaa)));
  CHECK(asked(over_tcp(two)) == "one.example A;two.example AAAA;");
  CHECK(asked(over_tcp(query("apart.example"))) == "apart.example A;");
  CHECK(asked(over_tcp({})).empty());
  CHECK(asked(over_tcp(Octets{0, 12})).empty());
  CHECK(asked(over_tcp(Octets(100, 0xff))).empty());
}

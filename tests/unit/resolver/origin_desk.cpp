#include "resolver/origin_desk.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <asio/io_context.hpp>
#include <vector>

#include "redirect/origin.h"

using namespace doline;
using namespace doline::resolver;

namespace {

const Endpoint local{IpAddress::v4(192, 168, 1, 1), 5399};
const Endpoint foreign{IpAddress::v4(114, 114, 114, 114), 53};

Endpoint client(std::uint16_t port) {
  return {IpAddress::v4(192, 168, 1, 20), port};
}

/// The warden's end of the channel, played on this very thread.
struct Channel {
  Channel() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    ours = ends[0];
    warden = ends[1];
  }
  ~Channel() { close_warden(); }
  void close_warden() {
    if (warden >= 0) ::close(warden);
    warden = -1;
  }
  std::vector<redirect::OriginQuestion> next_packet() const {
    std::array<std::uint8_t, 65'536> octets;
    const ssize_t count = ::recv(warden, octets.data(), octets.size(), 0);
    if (count <= 0) return {};
    auto questions = redirect::parse_origin_questions({octets.data(), static_cast<std::size_t>(count)});
    REQUIRE(questions.has_value());
    return *questions;
  }
  void answer(const std::vector<redirect::OriginAnswer>& answers) const {
    const auto octets = redirect::write_origin_answers(answers);
    REQUIRE(::send(warden, octets.data(), octets.size(), 0) > 0);
  }
  int ours = -1, warden = -1;
};

}  // namespace

TEST_CASE("questions of one wake go in one packet, and each gets its own answer") {
  asio::io_context loop;
  Channel channel;
  OriginDesk desk(loop, channel.ours);
  std::vector<std::optional<Endpoint>> origins(3);
  std::size_t answered = 0;
  for (std::uint16_t i = 0; i < 3; ++i)
    REQUIRE(desk.ask(client(static_cast<std::uint16_t>(1000 + i)), local, [&, i](const auto& origin) {
      origins[i] = origin;
      ++answered;
    }));
  CHECK(answered == 0);
  loop.poll();
  const auto questions = channel.next_packet();
  REQUIRE(questions.size() == 3);
  CHECK(questions[1].client == client(1001));
  CHECK(questions[1].local == local);
  channel.answer({{questions[2].ticket, foreign}, {questions[0].ticket, std::nullopt}, {questions[1].ticket, foreign}});
  loop.poll();
  CHECK(answered == 3);
  CHECK_FALSE(origins[0].has_value());
  CHECK(origins[1] == foreign);
  CHECK(origins[2] == foreign);
  CHECK(desk.unknown() == 1);
}

TEST_CASE("a warden that dies, or talks nonsense, leaves nobody waiting") {
  asio::io_context loop;
  Channel channel;
  OriginDesk desk(loop, channel.ours);
  int without = 0;
  const auto take = [&](const std::optional<Endpoint>& origin) { without += !origin; };
  REQUIRE(desk.ask(client(1), local, take));
  REQUIRE(desk.ask(client(2), local, take));
  loop.poll();
  SUBCASE("dies") {
    channel.close_warden();
  }
  SUBCASE("nonsense") {
    REQUIRE(::send(channel.warden, "?", 1, 0) == 1);
  }
  loop.poll();
  CHECK(without == 2);
  CHECK_FALSE(desk.ask(client(3), local, take));
  CHECK(without == 2);
  CHECK(desk.unknown() == 3);
}

TEST_CASE("a warden that is silent is waited for no longer than patience says, and a late answer is nobody's") {
  asio::io_context loop;
  Channel channel;
  OriginDesk desk(loop, channel.ours);
  int answered = 0;
  REQUIRE(desk.ask(client(1), local, [&](const std::optional<Endpoint>& origin) {
    ++answered;
    CHECK_FALSE(origin.has_value());
  }));
  loop.run_for(origin_patience * 3);
  CHECK(answered == 1);
  const auto questions = channel.next_packet();
  REQUIRE(questions.size() == 1);
  channel.answer({{questions[0].ticket, foreign}});
  loop.restart();
  loop.poll();
  CHECK(answered == 1);
}

TEST_CASE("more questions than may be in flight are refused at once") {
  asio::io_context loop;
  Channel channel;
  OriginDesk desk(loop, channel.ours);
  std::size_t answered = 0;
  for (std::size_t i = 0; i < redirect::origins_in_flight_max; ++i)
    REQUIRE(desk.ask(client(static_cast<std::uint16_t>(1 + i)), local, [&](const auto&) { ++answered; }));
  CHECK_FALSE(desk.ask(client(60'000), local, [&](const auto&) { ++answered; }));
  loop.poll();
  std::size_t asked = 0;
  for (auto packet = channel.next_packet(); !packet.empty(); packet = channel.next_packet()) {
    CHECK(packet.size() <= redirect::origins_per_message);
    asked += packet.size();
    std::vector<redirect::OriginAnswer> answers;
    for (const auto& question : packet) answers.push_back({question.ticket, foreign});
    channel.answer(answers);
  }
  CHECK(asked == redirect::origins_in_flight_max);
  loop.poll();
  CHECK(answered == redirect::origins_in_flight_max);
}

TEST_CASE("without a warden there is nobody to ask") {
  asio::io_context loop;
  OriginDesk desk(loop, -1);
  CHECK_FALSE(desk.ask(client(1), local, [](const auto&) { FAIL("nobody can have answered"); }));
  loop.poll();
}

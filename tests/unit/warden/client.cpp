#include "warden/client.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <vector>

using namespace doline;
using namespace doline::redirect;
using warden::Client;

namespace {

/// This test in the warden's place.
class OtherEnd {
 public:
  OtherEnd() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    ours_ = ends[0];
    theirs_ = ends[1];
  }
  OtherEnd(const OtherEnd&) = delete;
  OtherEnd& operator=(const OtherEnd&) = delete;
  ~OtherEnd() { hang_up(); }

  [[nodiscard]] warden::Spawned spawned() const {
    return {.process = -1, .control = theirs_, .origins = {}, .admissions = {}};
  }
  Numbered<Request> next() const {
    std::vector<std::uint8_t> room(message_octets_max);
    const ssize_t size = recv(ours_, room.data(), room.size(), 0);
    REQUIRE(size > 0);
    return parse_request({room.data(), static_cast<std::size_t>(size)}).value();
  }
  void say(std::uint32_t number, const Reply& reply) const {
    const auto octets = write_reply({number, reply});
    REQUIRE(send(ours_, octets.data(), octets.size(), 0) == static_cast<ssize_t>(octets.size()));
  }
  void say(std::vector<std::uint8_t> octets) const { REQUIRE(send(ours_, octets.data(), octets.size(), 0) > 0); }
  void hang_up() {
    if (ours_ >= 0) close(ours_);
    ours_ = -1;
  }

 private:
  int ours_ = -1, theirs_ = -1;
};

}  // namespace

TEST_CASE("Each reply finds who asked for it, whatever comes between and in whatever order") {
  OtherEnd warden;
  Client client(warden.spawned());
  std::optional<Reply> first, second;
  client.ask(Verify{}, [&](std::optional<Reply> reply) { first = std::move(reply); });
  client.beat();
  client.ask(Remove{}, [&](std::optional<Reply> reply) { second = std::move(reply); });
  const auto asked_first = warden.next();
  CHECK(std::holds_alternative<Verify>(asked_first.body));
  CHECK(std::holds_alternative<Heartbeat>(warden.next().body));
  const auto asked_second = warden.next();
  CHECK(std::holds_alternative<Remove>(asked_second.body));

  warden.say({1, 2, 3});  // no message
  warden.say(12'345, Done{});
  warden.say(asked_second.number, Failed{{"no"}});
  client.read();
  CHECK_FALSE(first);
  CHECK(second == Reply(Failed{{"no"}}));
  warden.say(asked_first.number, Done{{"yes"}});
  client.read();
  CHECK(first == Reply(Done{{"yes"}}));
  // Once.
  warden.say(asked_first.number, Failed{});
  client.read();
  CHECK(first == Reply(Done{{"yes"}}));
}

TEST_CASE("When the warden is gone all who wait are told, and so is who asks later") {
  OtherEnd warden;
  Client client(warden.spawned());
  int told = 0;
  const auto count = [&](const std::optional<Reply>& reply) { told += reply ? 0 : 1; };
  client.ask(Verify{}, count);
  client.ask(Status{}, count);
  warden.hang_up();
  CHECK(told == 0);
  client.read();
  CHECK(told == 2);
  CHECK_FALSE(client.is_alive());
  CHECK(client.descriptor() == -1);
  client.ask(Status{}, count);
  CHECK(told == 3);
  client.beat();
  CHECK_FALSE(client.ask_and_wait(Status{}, milliseconds(1)));
}

TEST_CASE("Who asks a warden that has just gone is told at once, and so are the others") {
  OtherEnd warden;
  Client client(warden.spawned());
  int told = 0;
  const auto count = [&](const std::optional<Reply>& reply) { told += reply ? 0 : 1; };
  client.ask(Verify{}, count);
  warden.hang_up();
  client.ask(Status{}, count);
  CHECK(told == 2);
  CHECK_FALSE(client.is_alive());
}

TEST_CASE("A request that is too long for the channel is lost alone") {
  OtherEnd warden;
  const int octets = 8'192;
  REQUIRE(setsockopt(warden.spawned().control, SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets) == 0);
  Client client(warden.spawned());
  Restrictions restrictions;
  for (std::uint16_t i = 0; i < doh_networks_max; ++i)
    restrictions.doh_networks.emplace_back(
        IpAddress::v4(9, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)), 32);
  int told = 0;
  client.ask(Restrict{restrictions}, [&](const std::optional<Reply>& reply) { told += reply ? 0 : 1; });
  CHECK(told == 1);
  CHECK(client.is_alive());
  client.ask(Verify{}, [](const auto&) {});
  CHECK(std::holds_alternative<Verify>(warden.next().body));
}

TEST_CASE("An answer that does not come in time is nothing, and comes to nobody later") {
  OtherEnd warden;
  Client client(warden.spawned());
  CHECK_FALSE(client.ask_and_wait(Status{}, milliseconds(0)));
  const auto asked = warden.next();
  warden.say(asked.number, StatusReply{});
  client.read();
  CHECK(client.is_alive());
}

TEST_CASE("Who waits for one answer beats meanwhile and lets others have theirs") {
  OtherEnd warden;
  Client client(warden.spawned());
  std::optional<Reply> other;
  client.ask(Verify{}, [&](std::optional<Reply> reply) { other = std::move(reply); });
  // The numbers are the client's, one after the other.
  const auto asked = warden.next();
  warden.say(asked.number, Done{});
  warden.say(asked.number + 1, Failed{{"so"}});
  CHECK(client.ask_and_wait(Remove{}, milliseconds(20'000)) == Reply(Failed{{"so"}}));
  CHECK(other == Reply(Done{}));
  CHECK(std::holds_alternative<Remove>(warden.next().body));
  CHECK(std::holds_alternative<Heartbeat>(warden.next().body));
}

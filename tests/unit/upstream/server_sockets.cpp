#include "upstream/server_sockets.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <cerrno>
#include <map>
#include <set>
#include <vector>

#include "upstream/random_source.h"

namespace doline::upstream {
namespace {

using Udp = asio::ip::udp;
using Seat = ServerSockets::Seat;
const MonotonicTime noon{std::chrono::hours(1'000)};

/// A server of the kernel's loopback that answers only when told, and the sockets that ask it.
struct Bench {
  asio::io_context loop;
  RandomSource random;
  Udp::socket server;
  Udp::endpoint client;
  DatagramBatch batch;
  ServerSockets sockets;
  std::vector<ServerSockets::Asker> failed;
  std::vector<std::uint16_t> refused, readable;

  explicit Bench(bool is_v6 = false)
      : server(loop,
               {is_v6 ? asio::ip::address(asio::ip::address_v6::loopback()) : asio::ip::address_v4::loopback(), 0}),
        sockets(loop, {is_v6 ? *IpAddress::parse("::1") : IpAddress::v4(127, 0, 0, 1), server.local_endpoint().port()},
                random, [this](std::uint16_t socket) { readable.push_back(socket); }) {}

  Seat ask(ServerSockets::Asker asker, MonotonicTime now = noon,
           const std::function<void(ServerSockets::Asker)>& give_up = {}) {
    const auto seat = sockets.sit(asker, now, give_up);
    REQUIRE(seat.has_value());
    const auto room = sockets.room_for(12);
    std::fill(room.begin(), room.end(), std::uint8_t{0});
    room[0] = static_cast<std::uint8_t>(sockets.id(*seat) >> 8);
    room[1] = static_cast<std::uint8_t>(sockets.id(*seat));
    (void)sockets.queue(*seat, 12);
    return *seat;
  }
  void flush() {
    sockets.flush(
        batch, [&](ServerSockets::Asker asker) { failed.push_back(asker); },
        [&](std::uint16_t socket) { refused.push_back(socket); });
  }
  /// The ID of the next query that has arrived, from `client`.
  std::uint16_t hear() {
    std::array<std::uint8_t, 512> room{};
    REQUIRE(server.receive_from(asio::buffer(room), client) == 12);
    return static_cast<std::uint16_t>(room[0] << 8 | room[1]);
  }
  bool has_heard_all() { return server.available() == 0; }
};

int descriptors() {
  int count = 0;
  for (int descriptor = 0; descriptor < 1'024; ++descriptor) count += ::fcntl(descriptor, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

TEST_CASE("a query goes to the server and its answer leads back to who asked, from nobody else") {
  for (const bool is_v6 : {false, true}) {
    std::optional<Bench> made;
    try {
      made.emplace(is_v6);
    } catch (const std::system_error&) {
      MESSAGE("left out: no IPv6 loopback here");
      continue;
    }
    Bench& bench = *made;
    const Seat seat = bench.ask(42);
    CHECK(bench.has_heard_all());  // nothing leaves before flush()
    bench.flush();
    const std::uint16_t id = bench.hear();
    CHECK(id == bench.sockets.id(seat));
    CHECK(bench.client.port() >= 1'024);
    CHECK(bench.sockets.receive(seat.socket, bench.batch) == -EAGAIN);

    Udp::socket stranger(bench.loop, {bench.server.local_endpoint().address(), 0});
    stranger.send_to(asio::buffer(std::array<std::uint8_t, 3>{}), bench.client);
    bench.server.send_to(asio::buffer(std::array<std::uint8_t, 2>{8, 9}), bench.client);
    CHECK(bench.sockets.receive(seat.socket, bench.batch) == 1);
    CHECK(bench.batch.messages[0].msg_len == 2);
    CHECK(bench.batch.answers[0][0] == 8);
    CHECK(bench.sockets.find(seat.socket, id) == 42);
    CHECK(bench.sockets.find(seat.socket, static_cast<std::uint16_t>(id + 1)) == QuestionTable::nobody);
    bench.server.send_to(asio::buffer(std::vector<std::uint8_t>(answer_octets_max + 1)), bench.client);
    CHECK(bench.sockets.receive(seat.socket, bench.batch) == 1);
    CHECK((bench.batch.messages[0].msg_hdr.msg_flags & MSG_TRUNC) != 0);
  }
}

TEST_CASE("a socket is asked through for so many questions, then another port's turn comes") {
  Bench bench;
  std::set<std::uint16_t> ports, sockets;
  std::vector<Seat> seats;
  for (std::size_t i = 0; i < 4 * questions_per_socket_max; ++i) {
    seats.push_back(bench.ask(static_cast<ServerSockets::Asker>(i)));
    sockets.insert(seats.back().socket);
    bench.flush();
    (void)bench.hear();
    ports.insert(bench.client.port());
  }
  CHECK(sockets.size() == 4);
  CHECK(ports.size() == 4);
  CHECK(bench.sockets.open() == 4);
  CHECK(bench.failed.empty());
}

TEST_CASE("a socket is asked through for so long, and the old one is heard until nobody waits on it") {
  Bench bench;
  const Seat first = bench.ask(1), also_first = bench.ask(2, noon + socket_time - milliseconds(1));
  CHECK(first.socket == also_first.socket);
  bench.flush();
  const std::uint16_t id = bench.hear();
  const Udp::endpoint old = bench.client;
  const Seat second = bench.ask(3, noon + socket_time);
  bench.flush();
  (void)bench.hear();
  (void)bench.hear();
  CHECK(second.socket != first.socket);
  CHECK(bench.client.port() != old.port());
  CHECK(bench.sockets.open() == 2);

  bench.server.send_to(asio::buffer(std::array<std::uint8_t, 2>{}), old);
  CHECK(bench.sockets.receive(first.socket, bench.batch) == 1);
  CHECK(bench.sockets.find(first.socket, id) == 1);
  bench.sockets.watch(first.socket);
  bench.server.send_to(asio::buffer(std::array<std::uint8_t, 2>{}), old);
  bench.sockets.leave(first);
  CHECK(bench.sockets.open() == 2);
  bench.sockets.leave(also_first);
  CHECK(bench.sockets.open() == 1);
  bench.loop.poll();
  CHECK(bench.readable.empty());  // it was watched, and is closed
}

TEST_CASE("a watched socket tells once that it has something") {
  Bench bench;
  const Seat seat = bench.ask(1);
  bench.flush();
  (void)bench.hear();
  bench.sockets.watch(seat.socket);
  bench.sockets.watch(seat.socket);
  bench.loop.poll();
  CHECK(bench.readable.empty());
  bench.server.send_to(asio::buffer(std::array<std::uint8_t, 2>{}), bench.client);
  bench.loop.poll();
  CHECK(bench.readable == std::vector<std::uint16_t>{seat.socket});
  bench.loop.restart();
  bench.sockets.watch(seat.socket);  // still there
  bench.loop.poll();
  CHECK(bench.readable.size() == 2);
}

TEST_CASE("the socket of the hour stays open without questions, and gives way when its time is over") {
  Bench bench;
  bench.sockets.leave(bench.ask(1));
  CHECK(bench.sockets.open() == 1);
  bench.sockets.leave(bench.ask(2, noon + milliseconds(10)));
  CHECK(bench.sockets.open() == 1);
  const int before = descriptors();
  for (int i = 1; i < 50; ++i) {
    bench.sockets.leave(bench.ask(3, noon + i * socket_time));
    CHECK(bench.sockets.open() == 1);
  }
  CHECK(descriptors() == before);
}

TEST_CASE("more sockets than may be open are none: the oldest is given up") {
  Bench bench;
  std::map<ServerSockets::Asker, Seat> seats;
  std::vector<ServerSockets::Asker> given_up;
  for (ServerSockets::Asker i = 0; i < 3 * sockets_per_server_max; ++i) {
    const MonotonicTime now = noon + i * socket_time;
    seats[i] = bench.ask(i, now, [&](ServerSockets::Asker asker) {
      given_up.push_back(asker);
      bench.sockets.leave(seats.at(asker));
    });
    REQUIRE(bench.sockets.open() <= sockets_per_server_max);
  }
  REQUIRE(given_up.size() == 2 * sockets_per_server_max);
  CHECK(std::is_sorted(given_up.begin(), given_up.end()));
  CHECK(given_up.front() == 0);
}

TEST_CASE("a query whose asker has left is not sent, even where another one sits there now") {
  Bench bench;
  const Seat gone = bench.ask(1), stays = bench.ask(2);
  bench.sockets.leave(gone);
  bench.flush();
  CHECK(bench.hear() == bench.sockets.id(stays));
  CHECK(bench.has_heard_all());
  bench.sockets.leave(bench.ask(3));
  bench.sockets.leave(stays);
  const Seat later = bench.ask(4, noon + socket_time);  // on the same place of the table of sockets
  CHECK(later.socket == gone.socket);
  bench.flush();
  CHECK(bench.hear() == bench.sockets.id(later));
  CHECK(bench.has_heard_all());
}

TEST_CASE("many queries leave in order, over all their sockets") {
  Bench bench;
  asio::socket_base::receive_buffer_size room(4 << 20);
  bench.server.set_option(room);
  std::vector<std::uint16_t> sent;
  for (std::size_t i = 0; i < questions_per_socket_max + 30; ++i)
    sent.push_back(bench.sockets.id(bench.ask(static_cast<ServerSockets::Asker>(i))));
  bench.flush();
  std::vector<std::uint16_t> heard;
  while (heard.size() < sent.size()) heard.push_back(bench.hear());
  CHECK(heard == sent);
  CHECK(bench.has_heard_all());
}

TEST_CASE("that nobody listens is told, and the queries still go") {
  Bench bench;
  bench.server.close();
  const Seat first = bench.ask(1);
  bench.flush();
  CHECK(bench.sockets.receive(first.socket, bench.batch) == -ECONNREFUSED);
  for (ServerSockets::Asker i = 2; i < 6; ++i) (void)bench.ask(i);
  bench.flush();
  for (ServerSockets::Asker i = 6; i < 10; ++i) (void)bench.ask(i);
  bench.flush();
  CHECK(std::all_of(bench.refused.begin(), bench.refused.end(), [&](auto socket) { return socket == first.socket; }));
  CHECK_FALSE(bench.refused.empty());
  CHECK(bench.failed.empty());
  std::set<ServerSockets::Asker> askers;
  bench.sockets.each_on(first.socket, [&](ServerSockets::Asker asker) { askers.insert(asker); });
  CHECK(askers.size() == 9);
}

TEST_CASE("a server that cannot be reached is an error at once") {
  asio::io_context loop;
  RandomSource random;
  ServerSockets sockets(loop, {IpAddress::v4(255, 255, 255, 255), 53}, random, [](std::uint16_t) {});
  const int before = descriptors();
  const auto seat = sockets.sit(1, noon, [](ServerSockets::Asker) {});
  REQUIRE_FALSE(seat.has_value());
  CHECK(seat.error() != 0);
  CHECK(sockets.open() == 0);
  CHECK(descriptors() == before);
}

}  // namespace
}  // namespace doline::upstream

#include "upstream/datagram_socket.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <cerrno>

#include "upstream/random_source.h"

namespace doline::upstream {
namespace {

using Udp = asio::ip::udp;

void wait_readable(const DatagramSocket& socket) {
  pollfd entry{socket.get(), POLLIN, 0};
  REQUIRE(poll(&entry, 1, 10'000) == 1);
}

TEST_CASE("a datagram goes to the server and its answer comes back, from nobody else") {
  for (const bool is_v6 : {false, true}) {
    asio::io_context loop;
    const asio::ip::address address =
        is_v6 ? asio::ip::address(asio::ip::address_v6::loopback()) : asio::ip::address_v4::loopback();
    Udp::socket server(loop), stranger(loop);
    std::error_code error;
    server.open(is_v6 ? Udp::v6() : Udp::v4(), error);
    server.bind({address, 0}, error);
    if (error) {
      MESSAGE("left out: no IPv6 loopback here");
      continue;
    }
    stranger.open(is_v6 ? Udp::v6() : Udp::v4());
    stranger.bind({address, 0});

    RandomSource random;
    const IpAddress ip = is_v6 ? *IpAddress::parse("::1") : IpAddress::v4(127, 0, 0, 1);
    const auto socket = DatagramSocket::open({ip, server.local_endpoint().port()}, random);
    REQUIRE(socket.has_value());
    const std::array<std::uint8_t, 3> question{1, 2, 3};
    CHECK(socket->send(question) == 0);
    std::array<std::uint8_t, 16> room{};
    Udp::endpoint client;
    CHECK(server.receive_from(asio::buffer(room), client) == 3);
    CHECK(client.port() >= 1'024);

    CHECK(socket->receive(room) == -EAGAIN);
    stranger.send_to(asio::buffer(question), client);
    server.send_to(asio::buffer(std::array<std::uint8_t, 2>{8, 9}), client);
    wait_readable(*socket);
    CHECK(socket->receive(room) == 2);
    CHECK(room[0] == 8);
    CHECK(socket->receive(room) == -EAGAIN);
    server.send_to(asio::buffer(std::array<std::uint8_t, 100>{}), client);
    wait_readable(*socket);
    CHECK(socket->receive(room) == 100);  // more than there was room for
  }
}

TEST_CASE("that nobody listens is told by the next call") {
  asio::io_context loop;
  std::uint16_t port = 0;
  {
    const Udp::socket gone(loop, {asio::ip::address_v4::loopback(), 0});
    port = gone.local_endpoint().port();
  }
  RandomSource random;
  const auto socket = DatagramSocket::open({IpAddress::v4(127, 0, 0, 1), port}, random);
  REQUIRE(socket.has_value());
  CHECK(socket->send(std::array<std::uint8_t, 1>{1}) == 0);
  wait_readable(*socket);
  std::array<std::uint8_t, 16> room{};
  CHECK(socket->receive(room) == -ECONNREFUSED);
}

TEST_CASE("a server that cannot be reached is an error at once") {
  RandomSource random;
  const auto socket = DatagramSocket::open({IpAddress::v4(255, 255, 255, 255), 53}, random);
  REQUIRE_FALSE(socket.has_value());
  CHECK(socket.error() != 0);
}

TEST_CASE("a socket that was moved from is closed nowhere else") {
  RandomSource random;
  auto first = DatagramSocket::open({IpAddress::v4(127, 0, 0, 1), 53}, random);
  REQUIRE(first.has_value());
  const int descriptor = first->get();
  DatagramSocket second = std::move(*first);
  CHECK(second.get() == descriptor);
  CHECK_FALSE(first->is_open());
  second = DatagramSocket();
  CHECK_FALSE(second.is_open());
}

}  // namespace
}  // namespace doline::upstream

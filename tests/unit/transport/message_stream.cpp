#include "transport/message_stream.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/ip/address_v4.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <numeric>
#include <span>
#include <vector>

#include "pending.h"

namespace doline::transport {
namespace {

using asio::ip::tcp;
using test::Pending;
using test::settle;
using Message = std::vector<std::uint8_t>;

MonotonicTime long_ago() {
  return std::chrono::steady_clock::now() - seconds(1);
}

/// A stream and the plain socket at its other end, connected over loopback.
struct Connection {
  explicit Connection(std::size_t message_max = dns::message_octets_max) : stream(connect_to_peer(), message_max) {}

  void send(const Message& octets) { CHECK(asio::write(peer, asio::buffer(octets)) == octets.size()); }
  /// What arrives at the peer, until `size` octets are there.
  Message receive(std::size_t size) {
    Message octets(size);
    std::error_code error;
    octets.resize(asio::read(peer, asio::buffer(octets), error));
    return octets;
  }
  /// The peer goes away without a word: RST.
  void reset() {
    peer.set_option(tcp::socket::linger(true, 0));
    peer.close();
  }
  Result<Message, StreamFault> read(MonotonicTime deadline = never) {
    Pending pending(loop, stream.read(deadline));
    const auto octets = pending.wait();
    if (!octets) return fail(octets.error());
    return Message(octets->begin(), octets->end());
  }
  Result<void, StreamFault> write(const Message& frames, MonotonicTime deadline = never) {
    Pending pending(loop, stream.write(frames, deadline));
    return pending.wait();
  }

  asio::io_context loop;
  tcp::socket peer{loop};
  MessageStream stream;

 private:
  tcp::socket connect_to_peer() {
    tcp::acceptor acceptor(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket socket(loop);
    socket.connect(acceptor.local_endpoint());
    acceptor.accept(peer);
    return socket;
  }
};

Message frame(const Message& message) {
  Message frames;
  append_frame(frames, message);
  return frames;
}

Message counted(std::size_t size) {
  Message message(size);
  std::iota(message.begin(), message.end(), std::uint8_t{0});
  return message;
}

TEST_CASE("a frame is the message behind two octets of its length, and frames follow one another") {
  Message frames = frame({7, 8, 9});
  append_frame(frames, Message{});
  append_frame(frames, counted(300));
  CHECK(Message(frames.begin(), frames.begin() + 9) == Message{0, 3, 7, 8, 9, 0, 0, 1, 44});
  CHECK(frames.size() == 9 + 300);
}

TEST_CASE("messages come back one by one, however their octets arrive") {
  Connection connection;
  SUBCASE("all at once") {
    Message frames;
    for (const std::size_t size : {3u, 0u, 512u}) append_frame(frames, counted(size));
    connection.send(frames);
    for (const std::size_t size : {3u, 0u, 512u}) CHECK(connection.read() == counted(size));
  }
  SUBCASE("octet by octet") {
    for (int times = 0; times < 2; ++times) {
      Pending pending(connection.loop, connection.stream.read(never));
      for (const std::uint8_t octet : frame(counted(20))) {
        CHECK_FALSE(pending.is_done());
        connection.send({octet});
        settle(connection.loop);
      }
      const auto message = pending.wait();
      REQUIRE(message.has_value());
      CHECK(std::ranges::equal(*message, counted(20)));
    }
  }
  SUBCASE("the longest there is, between two short ones") {
    Message frames = frame({1});
    append_frame(frames, counted(dns::message_octets_max));
    append_frame(frames, Message{2});
    connection.send(frames);
    CHECK(connection.read() == Message{1});
    CHECK(connection.read() == counted(dns::message_octets_max));
    CHECK(connection.read() == Message{2});
  }
}

TEST_CASE("a stream tells whether more has arrived than was read") {
  Connection connection;
  CHECK_FALSE(connection.stream.has_buffered());
  Message frames = frame({1});
  append_frame(frames, Message{2});
  connection.send(frames);
  CHECK(connection.read() == Message{1});
  CHECK(connection.stream.has_buffered());
  CHECK(connection.read() == Message{2});
  CHECK_FALSE(connection.stream.has_buffered());
}

TEST_CASE("writes and reads may overlap") {
  Connection connection;
  Pending reading(connection.loop, connection.stream.read(never));
  Message frames = frame({1, 2});
  append_frame(frames, Message{3});
  CHECK(connection.write(frames).has_value());
  CHECK(connection.receive(frames.size()) == frames);
  CHECK_FALSE(reading.is_done());
  connection.send(frame({4}));
  const auto message = reading.wait();
  REQUIRE(message.has_value());
  CHECK(std::ranges::equal(*message, Message{4}));
}

TEST_CASE("the ways a connection ends are told apart") {
  Connection connection;
  SUBCASE("between messages: the ordinary end, also to those who read on") {
    connection.send(frame({1}));
    connection.peer.close();
    CHECK(connection.read() == Message{1});
    CHECK(connection.read().error() == StreamFault::closed);
    CHECK(connection.read().error() == StreamFault::closed);
  }
  SUBCASE("inside a message") {
    connection.send({0, 3, 1});
    connection.peer.close();
    CHECK(connection.read().error() == StreamFault::truncated);
  }
  SUBCASE("inside the length of one") {
    connection.send({0});
    connection.peer.close();
    CHECK(connection.read().error() == StreamFault::truncated);
  }
  SUBCASE("by a reset, to the one who reads and the one who writes") {
    connection.reset();
    CHECK(connection.read().error() == StreamFault::broken);
    CHECK(connection.write(frame({1})).error() == StreamFault::broken);
  }
}

TEST_CASE("a message beyond the limit is refused as soon as its length is known") {
  Connection connection(512);
  connection.send(frame(counted(512)));
  CHECK(connection.read() == counted(512));
  connection.send({2, 1});
  CHECK(connection.read().error() == StreamFault::too_large);
}

TEST_CASE("a deadline that passes ends the read and closes the stream") {
  Connection connection;
  CHECK(connection.read(long_ago()).error() == StreamFault::timeout);
  CHECK_FALSE(connection.stream.is_open());
  CHECK(connection.receive(1).empty());  // the peer sees the end
}

TEST_CASE("what has arrived is read whatever the deadline") {
  Connection connection;
  Message frames = frame({1});
  append_frame(frames, Message{2});
  connection.send(frames);
  CHECK(connection.read() == Message{1});
  CHECK(connection.read(long_ago()) == Message{2});
  CHECK(connection.stream.is_open());
}

TEST_CASE("the deadline of a pending read moves either way") {
  Connection connection;
  SUBCASE("nearer") {
    Pending reading(connection.loop, connection.stream.read(never));
    CHECK_FALSE(reading.is_done());
    connection.stream.set_read_deadline(long_ago());
    CHECK(reading.wait().error() == StreamFault::timeout);
  }
  SUBCASE("away, so that the timer of the first finds nobody late") {
    const MonotonicTime first = std::chrono::steady_clock::now() + milliseconds(50);
    Pending reading(connection.loop, connection.stream.read(first));
    connection.stream.set_read_deadline(never);
    while (std::chrono::steady_clock::now() <= first) {
      connection.loop.restart();
      connection.loop.run_one_for(milliseconds(60));
    }
    settle(connection.loop);
    CHECK_FALSE(reading.is_done());
    connection.send(frame({1}));
    CHECK(reading.wait().has_value());
  }
  SUBCASE("without a pending read nothing happens") {
    connection.stream.set_read_deadline(long_ago());
    settle(connection.loop);
    CHECK(connection.stream.is_open());
  }
}

TEST_CASE("a peer that takes nothing holds a write until its deadline") {
  Connection connection;
  const Message frames(32 << 20);  // more than the kernel keeps for us
  CHECK(connection.write(frames, std::chrono::steady_clock::now() + milliseconds(20)).error() == StreamFault::timeout);
  CHECK_FALSE(connection.stream.is_open());
}

TEST_CASE("close() ends what is pending, and what comes later") {
  Connection connection;
  Pending reading(connection.loop, connection.stream.read(never));
  connection.stream.close();
  CHECK(reading.wait().error() == StreamFault::closed);
  CHECK_FALSE(connection.stream.is_open());
  connection.stream.close();
  CHECK(connection.read().error() == StreamFault::closed);
  CHECK(connection.write(frame({1})).error() == StreamFault::closed);
}

TEST_CASE("a stream connects by itself") {
  asio::io_context loop;
  tcp::acceptor acceptor(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const tcp::endpoint endpoint = acceptor.local_endpoint();
  MessageStream stream{tcp::socket(loop)};
  SUBCASE("where somebody listens") {
    Pending connecting(loop, stream.connect(endpoint, never));
    CHECK(connecting.wait().has_value());
    CHECK(stream.is_open());
    CHECK(stream.socket().remote_endpoint() == endpoint);
  }
  SUBCASE("not where nobody does") {
    acceptor.close();
    Pending connecting(loop, stream.connect(endpoint, never));
    CHECK(connecting.wait().error() == StreamFault::broken);
  }
  SUBCASE("and gives up where nobody accepts") {
    // A queue of one, and it is full: the kernel drops what else knocks.
    REQUIRE(listen(acceptor.native_handle(), 0) == 0);
    tcp::socket first(loop);
    first.connect(endpoint);
    Pending connecting(loop, stream.connect(endpoint, std::chrono::steady_clock::now() + milliseconds(20)));
    CHECK(connecting.wait().error() == StreamFault::timeout);
    CHECK_FALSE(stream.is_open());
  }
}

TEST_CASE("a stream may go away while its timer runs") {
  asio::io_context loop;
  {
    const MessageStream stream{tcp::socket(loop)};
  }
  Connection connection;
  {
    MessageStream taken(std::move(connection.stream.socket()));
    Pending reading(connection.loop, taken.read(std::chrono::steady_clock::now() + seconds(3600)));
    taken.close();
    CHECK(reading.wait().error() == StreamFault::closed);
  }
  settle(connection.loop);
  CHECK(connection.receive(1).empty());
}

TEST_CASE("every fault has its sentence") {
  for (const StreamFault fault :
       {StreamFault::closed, StreamFault::truncated, StreamFault::timeout, StreamFault::broken, StreamFault::too_large})
    CHECK(to_string(fault) != "unknown fault");
}

}  // namespace
}  // namespace doline::transport

#include "transport/lookout.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <utility>

#include "pending.h"

namespace doline::transport {
namespace {

/// A socket that is looked out for, and its peer. Each call of the handler reads all there is, as a listener does.
struct Post {
  explicit Post(asio::io_context& loop_in) : loop(loop_in), lookout(std::in_place, loop_in) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    lookout->open(ends[0]);
    peer = ends[1];
  }
  ~Post() { ::close(peer); }
  Post(const Post&) = delete;
  Post& operator=(const Post&) = delete;

  void await() {
    lookout->await([this] {
      ++calls;
      std::size_t count = 0;
      char octet = 0;
      while (::recv(lookout->socket(), &octet, 1, MSG_DONTWAIT) == 1) ++count;
      lookout->note(count);
      read += count;
      if (is_kept_up) await();
    });
  }
  void send(std::size_t datagrams) const {
    for (std::size_t sent = 0; sent < datagrams; ++sent) REQUIRE(::send(peer, "x", 1, MSG_DONTWAIT) == 1);
  }
  void take_turn() const {
    loop.restart();
    loop.run_one_for(std::chrono::seconds(10));
  }

  asio::io_context& loop;
  std::optional<Lookout> lookout;
  int peer = -1;
  int calls = 0;
  std::size_t read = 0;
  bool is_kept_up = true;
};

constexpr std::size_t few = 3;
static_assert(few < busy_datagrams);

TEST_CASE("a quiet socket is watched: its handler is called when something has come, and only then") {
  asio::io_context loop;
  Post post(loop);
  post.await();
  test::settle(loop);
  CHECK(post.lookout->is_watched());
  const int before = post.calls;
  test::settle(loop);
  CHECK(post.calls == before);
  post.send(few);
  test::settle(loop);
  CHECK(post.calls == before + 1);
  CHECK(post.read == few);
  CHECK(post.lookout->is_watched());
}

TEST_CASE("a busy socket is not watched until it has had nothing for a while, and nothing is lost meanwhile") {
  asio::io_context loop;
  Post post(loop);
  post.await();
  test::settle(loop);
  for (std::size_t round = 1; round <= 2; ++round) {
    post.send(busy_datagrams);
    post.take_turn();
    CHECK_FALSE(post.lookout->is_watched());
    post.send(few);
    post.take_turn();
    CHECK_FALSE(post.lookout->is_watched());
    CHECK(post.read == round * (busy_datagrams + few));
    const int before = post.calls;
    test::settle(loop);
    CHECK(post.lookout->is_watched());
    CHECK(post.calls == before + idle_turns);
  }
}

TEST_CASE("what comes while a busy socket goes back to be watched is told") {
  asio::io_context loop;
  Post post(loop);
  post.await();
  test::settle(loop);
  post.send(busy_datagrams);
  for (int turn = 0; turn < idle_turns; ++turn) post.take_turn();
  post.is_kept_up = false;
  post.take_turn();
  post.send(few);  // after its last look, and before it is watched
  post.await();
  REQUIRE(post.lookout->is_watched());
  test::settle(loop);
  CHECK(post.read == busy_datagrams + few);
}

TEST_CASE("a busy socket stays so while another of the loop has something") {
  asio::io_context loop;
  Post busy(loop), other(loop);
  busy.await();
  other.await();
  test::settle(loop);
  busy.send(busy_datagrams);
  busy.take_turn();
  for (int turn = 0; turn < 3 * idle_turns; ++turn) {
    other.send(1);
    while (other.read <= static_cast<std::size_t>(turn)) busy.take_turn();
    CHECK_FALSE(busy.lookout->is_watched());
    CHECK(other.lookout->is_watched());
  }
  test::settle(loop);
  CHECK(busy.lookout->is_watched());
}

TEST_CASE("where the system will not watch a socket it is looked at each turn until it does") {
  asio::io_context loop;
  Post post(loop);
  const int socket = post.lookout->socket();
  const int kept = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  ::close(socket);  // epoll says EBADF
  post.await();
  for (int turn = 0; turn < 3; ++turn) {
    post.take_turn();
    CHECK_FALSE(post.lookout->is_watched());
    CHECK(post.calls == turn + 1);
  }
  REQUIRE(::dup3(kept, socket, O_CLOEXEC) == socket);
  ::close(kept);
  post.send(few);
  test::settle(loop);
  CHECK(post.read == few);
  CHECK(post.lookout->is_watched());
}

TEST_CASE("a lookout closes its socket, watched or not, and may be opened on another") {
  asio::io_context loop;
  for (const std::size_t datagrams : {few, busy_datagrams}) {
    Post post(loop);
    post.await();
    test::settle(loop);
    post.send(datagrams);
    post.take_turn();
    CHECK(post.lookout->is_watched() == (datagrams == few));
    post.is_kept_up = false;
    const int was = post.lookout->socket();
    post.lookout->close();
    CHECK(post.lookout->socket() == -1);
    CHECK(::fcntl(was, F_GETFD) == -1);
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ::close(std::exchange(post.peer, ends[1]));
    post.lookout->open(ends[0]);
    test::settle(loop);
    const std::size_t before = post.read;
    post.is_kept_up = true;
    post.await();
    post.send(1);
    test::settle(loop);
    CHECK(post.read == before + 1);
    CHECK(post.lookout->is_watched());
    post.lookout.reset();
    test::settle(loop);  // what waited was called off
  }
}

}  // namespace
}  // namespace doline::transport

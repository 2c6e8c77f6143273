#include "listener/socket_watch.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "listener/sockets.h"

namespace doline::listener {
namespace {

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ours = Socket(ends[0]);
    theirs = Socket(ends[1]);
  }
  void say() const { REQUIRE(write(theirs.get(), "x", 1) == 1); }
  Socket ours, theirs;
};

std::vector<SocketWatch::News> news_of(SocketWatch& watch) {
  std::vector<SocketWatch::News> all;
  watch.take_news([&](const SocketWatch::News& news) { all.push_back(news); });
  return all;
}

bool has_news(const SocketWatch& watch) {
  pollfd waited{.fd = watch.descriptor(), .events = POLLIN, .revents = 0};
  return poll(&waited, 1, 0) == 1;
}

TEST_CASE("a socket is reported by its number for as long as there is something to read") {
  SocketWatch watch;
  const Pair one, other;
  REQUIRE(watch.add(one.ours.get(), 7, {.to_read = true}));
  REQUIRE(watch.add(other.ours.get(), 8, {.to_read = true}));
  CHECK_FALSE(has_news(watch));
  CHECK(news_of(watch).empty());

  other.say();
  for (int again = 0; again < 2; ++again) {
    CHECK(has_news(watch));
    const auto news = news_of(watch);
    REQUIRE(news.size() == 1);
    CHECK(news[0].number == 8);
    CHECK(news[0].can_read);
    CHECK_FALSE(news[0].can_write);
    CHECK_FALSE(news[0].is_over);
  }
  char octet;
  REQUIRE(read(other.ours.get(), &octet, 1) == 1);
  CHECK_FALSE(has_news(watch));
}

TEST_CASE("only what is wished for is told, and wishes change") {
  SocketWatch watch;
  const Pair pair;
  REQUIRE(watch.add(pair.ours.get(), 1, {}));
  pair.say();
  CHECK(news_of(watch).empty());
  watch.change(pair.ours.get(), 1, {.to_read = false, .to_write = true});
  auto news = news_of(watch);
  REQUIRE(news.size() == 1);
  CHECK(news[0].can_write);
  CHECK_FALSE(news[0].can_read);
  watch.change(pair.ours.get(), 1, {.to_read = true, .to_write = true});
  news = news_of(watch);
  REQUIRE(news.size() == 1);
  CHECK(news[0].can_write);
  CHECK(news[0].can_read);
}

TEST_CASE("an end is told even without a wish, and a closed socket is watched no longer") {
  SocketWatch watch;
  Pair pair;
  REQUIRE(watch.add(pair.ours.get(), 1, {}));
  pair.theirs = {};
  const auto news = news_of(watch);
  REQUIRE(news.size() == 1);
  CHECK(news[0].is_over);
  pair.ours = {};
  CHECK_FALSE(has_news(watch));
  CHECK(news_of(watch).empty());
}

TEST_CASE("what cannot be watched is said") {
  SocketWatch watch;
  CHECK_FALSE(watch.add(-1, 1, {.to_read = true}));
}

}  // namespace
}  // namespace doline::listener

#include "upstream/server_state.h"

#include <doctest/doctest.h>

#include <string>

namespace doline::upstream {
namespace {

constexpr MonotonicTime start{std::chrono::hours(1)};
ServerState a_server() {
  return ServerState({IpAddress::v4(192, 0, 2, 1), 53});
}
/// Every time for another name.
void silence(ServerState& server, int times, MonotonicTime now) {
  static int names = 0;
  for (int i = 0; i < times; ++i)
    server.note_silence(now, now - milliseconds(400), dns::Name::parse("n" + std::to_string(names++)).value());
}

TEST_CASE("the first answer is the round trip, later ones move it by an eighth") {
  ServerState server = a_server();
  CHECK(server.round_trip() == microseconds(0));
  server.note_answer(start, milliseconds(80));
  CHECK(server.round_trip() == milliseconds(80));
  server.note_answer(start, milliseconds(160));
  CHECK(server.round_trip() == milliseconds(90));
  server.note_answer(start, milliseconds(10));
  CHECK(server.round_trip() == milliseconds(80));
  server.note_answer(start, std::chrono::nanoseconds(-5));
  CHECK(server.round_trip() > microseconds(0));
}

TEST_CASE("the wait grows with the round trip and with every attempt, within bounds") {
  ServerState server = a_server();
  CHECK(server.retry_timeout(0) == retry_timeout_unknown);
  CHECK(server.retry_timeout(1) == 2 * retry_timeout_unknown);
  CHECK(server.retry_timeout(100) == retry_timeout_max);
  server.note_answer(start, milliseconds(1));
  CHECK(server.retry_timeout(0) == retry_timeout_min);
  for (int i = 0; i < 100; ++i) server.note_answer(start, milliseconds(300));
  CHECK(server.retry_timeout(0) >= milliseconds(300));
  CHECK(server.retry_timeout(0) <= milliseconds(400));
}

TEST_CASE("a server is down after some silence, not after a burst of it") {
  ServerState server = a_server();
  silence(server, 100, start);
  CHECK(server.is_up());  // all asked at the same moment
  silence(server, 1, start + down_silence);
  CHECK_FALSE(server.is_up());
  server.note_answer(start, milliseconds(5));
  CHECK(server.is_up());
  silence(server, down_after - 1, start + std::chrono::hours(1));
  server.note_answer(start, milliseconds(5));
  silence(server, down_after - 1, start + std::chrono::hours(2));
  CHECK(server.is_up());
}

TEST_CASE("a name that a server never answers says nothing of it, however often it is asked for") {
  ServerState server = a_server();
  const dns::Name one = dns::Name::parse("one.example").value(), two = dns::Name::parse("two.example").value();
  for (int i = 0; i < 100; ++i) server.note_silence(start + seconds(i), start, one);
  CHECK(server.is_up());
  server.note_silence(start + seconds(100), start, two);
  CHECK(server.is_up());
  server.note_answer(start, milliseconds(5));
  for (int i = 0; i < down_after; ++i) {
    CHECK(server.is_up());
    server.note_silence(start + seconds(i), start, i % 2 == 0 ? one : two);
  }
  CHECK_FALSE(server.is_up());
}

TEST_CASE("what is known of a server is as old as its last answer, or the silence that shows it down") {
  ServerState server = a_server();
  CHECK(server.known_at() == MonotonicTime());
  server.note_answer(start, milliseconds(5));
  CHECK(server.known_at() == start);
  MonotonicTime now = start + seconds(10);
  silence(server, down_after - 1, now);
  CHECK(server.known_at() == start);
  for (int i = 0; i < 2; ++i) {
    now += down_silence;
    silence(server, 1, now);
    CHECK_FALSE(server.is_up());
    CHECK(server.known_at() == now);
  }
}

TEST_CASE("a server that is down is probed with growing pauses") {
  ServerState server = a_server();
  CHECK_FALSE(server.take_probe(start));  // it is up
  silence(server, down_after, start);
  silence(server, 1, start + down_silence);
  REQUIRE_FALSE(server.is_up());
  MonotonicTime now = start + down_silence, last = now;
  milliseconds pause = probe_pause_min;
  for (int probes = 0; probes < 10; ++probes) {
    CHECK_FALSE(server.take_probe(last + pause - milliseconds(1)));
    now = last + pause;
    CHECK(server.take_probe(now));
    CHECK_FALSE(server.take_probe(now));
    last = now;
    pause = std::min(2 * pause, probe_pause_max);
  }
  CHECK(pause == probe_pause_max);
}

}  // namespace
}  // namespace doline::upstream

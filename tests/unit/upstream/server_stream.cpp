#include "upstream/server_stream.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "fake_server.h"
#include "upstream/random_source.h"

namespace doline::upstream {
namespace {

using tests::address_of;
using tests::FakeServer;
using tests::Heard;
using tests::Message;
using Messages = std::vector<Message>;

Message query_of(const std::string& name) {
  Message octets(512);
  dns::MessageWriter writer(octets);
  writer.header(0, {.response = false, .recursion_available = false}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({dns::Name::parse(name).value(), dns::RecordType::a}));
  octets.resize(writer.size());
  return octets;
}

struct Bench {
  asio::io_context loop{1};
  RandomSource random;
  std::map<std::uint64_t, std::optional<ServerStreamFault>> told;
  std::map<std::uint64_t, std::uint8_t> last;
  std::unique_ptr<ServerStream> stream;

  void open(const Endpoint& server) {
    stream = std::make_unique<ServerStream>(
        loop, server, random, [this](std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
          CHECK_FALSE(told.contains(ticket));
          told[ticket] = message ? std::nullopt : std::optional(message.error());
          if (message) last[ticket] = message->back();
        });
  }
  bool ask(const Message& query, std::uint64_t ticket, MonotonicTime deadline = MonotonicTime::max()) const {
    return stream->ask(query, ticket, deadline);
  }
  void run_until(std::size_t count) {
    while (told.size() < count) REQUIRE(loop.run_one() == 1);
  }
};

TEST_CASE("questions share a connection, and answers find their question in any order") {
  Bench bench;
  std::vector<Heard> kept;
  FakeServer server(bench.loop, [&](const Heard& heard, dns::Octets) {
    kept.push_back(heard);
    Messages all;
    if (kept.size() == 10)
      for (std::uint8_t i = 10; i-- > 0;) all.push_back(address_of(kept[i], i));
    return all;
  });
  bench.open(server.endpoint());
  for (std::uint64_t ticket = 0; ticket < 10; ++ticket)
    CHECK(bench.ask(query_of("n" + std::to_string(ticket)), ticket));
  CHECK(bench.told.empty());
  bench.run_until(10);
  for (std::uint64_t ticket = 0; ticket < 10; ++ticket) CHECK(bench.last[ticket] == ticket);
  CHECK(server.connections() == 1);
}

TEST_CASE("messages that answer nothing are ignored") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    Heard other = heard;
    other.id = static_cast<std::uint16_t>(heard.id + 1);
    return Messages{address_of(other, 66), Message{}, Message{1, 2, 3}, address_of(heard, 7), address_of(heard, 66)};
  });
  bench.open(server.endpoint());
  CHECK(bench.ask(query_of("www.example"), 5));
  bench.run_until(1);
  CHECK(bench.last[5] == 7);
  bench.loop.run_for(milliseconds(20));
  CHECK(bench.told.size() == 1);
}

TEST_CASE("where no connection is made all are told so") {
  Bench bench;
  Endpoint nobody;
  {
    const FakeServer gone(bench.loop, nullptr);
    nobody = gone.endpoint();
  }
  bench.open(nobody);
  CHECK(bench.ask(query_of("one.example"), 1));
  CHECK(bench.ask(query_of("two.example"), 2));
  bench.run_until(2);
  CHECK(bench.told[1] == ServerStreamFault::unreachable);
  CHECK(bench.told[2] == ServerStreamFault::unreachable);
}

TEST_CASE("on a connection that ends without an answer nothing is asked twice") {
  Bench bench;
  FakeServer server(bench.loop, nullptr);
  server.set_respond([&](const Heard&, dns::Octets) {
    server.close_connections();
    return Messages{};
  });
  bench.open(server.endpoint());
  CHECK(bench.ask(query_of("www.example"), 1));
  bench.run_until(1);
  CHECK(bench.told[1] == ServerStreamFault::broken);
  CHECK(server.heard().size() == 1);
}

TEST_CASE("what a connection that ends leaves without an answer is asked again, as long as each gives one") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) { return Messages{address_of(heard, 7)}; });
  server.close_after(3);
  bench.open(server.endpoint());
  constexpr std::uint64_t questions = 40;
  for (std::uint64_t ticket = 0; ticket < questions; ++ticket)
    CHECK(bench.ask(query_of("n" + std::to_string(ticket) + ".example"), ticket));
  bench.run_until(questions);
  for (std::uint64_t ticket = 0; ticket < questions; ++ticket) CHECK(bench.last[ticket] == 7);
  CHECK(server.connections() == 14);
}

TEST_CASE("a question that ends every connection is asked twice") {
  Bench bench;
  FakeServer server(bench.loop, nullptr);
  server.set_respond([&](const Heard& heard, dns::Octets) {
    if (heard.question.qname == dns::Name::parse("one.example").value()) return Messages{address_of(heard, 7)};
    server.close_connections();
    return Messages{};
  });
  bench.open(server.endpoint());
  CHECK(bench.ask(query_of("one.example"), 1));
  CHECK(bench.ask(query_of("two.example"), 2));
  bench.run_until(2);
  CHECK(bench.last[1] == 7);
  CHECK(bench.told[2] == ServerStreamFault::broken);
  CHECK(server.heard().size() == 3);
}

TEST_CASE("a question whose time is up is not asked again") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) { return Messages{address_of(heard, 7)}; });
  server.close_after(1);
  bench.open(server.endpoint());
  CHECK(bench.ask(query_of("one.example"), 1));
  CHECK(bench.ask(query_of("two.example"), 2, std::chrono::steady_clock::now()));
  bench.run_until(1);
  CHECK(bench.last[1] == 7);
  bench.loop.run_for(milliseconds(50));
  CHECK(bench.told.size() == 1);
  CHECK(server.connections() == 1);
}

TEST_CASE("a connection that turns dumb is left for another, however steadily questions come") {
  Bench bench;
  FakeServer server(bench.loop, nullptr);
  server.set_respond([&](const Heard& heard, dns::Octets) {
    const bool is_lost = server.connections() == 1 && server.heard().size() > 1;
    return is_lost ? Messages{} : Messages{address_of(heard, 7)};
  });
  bench.open(server.endpoint());
  CHECK(bench.ask(query_of("first.example"), 0));
  bench.run_until(1);
  std::uint64_t ticket = 1;
  for (; ticket < 100 && bench.told.size() < 2; ++ticket) {
    CHECK(bench.ask(query_of("www.example"), ticket, std::chrono::steady_clock::now() + milliseconds(1'500)));
    bench.loop.run_for(milliseconds(50));
  }
  REQUIRE(bench.told.size() >= 2);
  CHECK(server.connections() == 2);
  bench.loop.run_for(milliseconds(600));
  // What was asked on the lost one shortly before the first one's time was up is answered too.
  CHECK(bench.told.size() > 2);
  CHECK(std::ranges::all_of(bench.told, [](const auto& told) { return !told.second; }));
}

TEST_CASE("what waits behind a question that a server in order never answers is asked again without it") {
  Bench bench;
  FakeServer server(bench.loop, nullptr);
  int blocked = 0;
  server.set_respond([&](const Heard& heard, dns::Octets) {
    if (heard.question.qname == dns::Name::parse("dumb.example").value()) blocked = server.connections();
    return blocked == server.connections() ? Messages{} : Messages{address_of(heard, 7)};
  });
  bench.open(server.endpoint());
  const MonotonicTime now = std::chrono::steady_clock::now();
  CHECK(bench.ask(query_of("dumb.example"), 0, now + milliseconds(1'200)));
  for (std::uint64_t ticket = 1; ticket < 10; ++ticket)
    CHECK(bench.ask(query_of("www.example"), ticket, now + seconds(60)));
  bench.run_until(9);
  CHECK_FALSE(bench.told.contains(0));
  CHECK(std::ranges::all_of(bench.told, [](const auto& told) { return !told.second; }));
  CHECK(server.connections() == 2);
}

TEST_CASE("a question whose time is up keeps nobody from being asked") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    const bool is_dropped = heard.question.qname == dns::Name::parse("dumb.example").value();
    return is_dropped ? Messages{} : Messages{address_of(heard, 7)};
  });
  bench.open(server.endpoint());
  for (std::uint64_t ticket = 1; ticket < stream_questions_max; ++ticket)
    REQUIRE(bench.ask(query_of("dumb.example"), ticket, std::chrono::steady_clock::now()));
  bench.loop.run_for(milliseconds(200));
  CHECK(bench.ask(query_of("www.example"), 0));
  bench.run_until(1);
  bench.loop.run_for(stream_patience);
  for (std::uint64_t ticket = stream_questions_max; ticket < 2 * stream_questions_max; ++ticket)
    REQUIRE(bench.ask(query_of("www.example"), ticket));
  bench.run_until(1 + stream_questions_max);
  CHECK(server.connections() == 1);
}

TEST_CASE("only so many wait at a time") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard&, dns::Octets) { return Messages{}; });
  bench.open(server.endpoint());
  for (std::uint64_t ticket = 0; ticket < stream_questions_max; ++ticket)
    REQUIRE(bench.ask(query_of("www.example"), ticket));
  CHECK_FALSE(bench.ask(query_of("www.example"), stream_questions_max));
}

TEST_CASE("a stream that is destroyed tells nothing more, also while it tells") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) { return Messages{address_of(heard, 7)}; });
  int calls = 0;
  bench.stream = std::make_unique<ServerStream>(bench.loop, server.endpoint(), bench.random,
                                                [&](std::uint64_t, const Result<dns::Octets, ServerStreamFault>&) {
                                                  ++calls;
                                                  bench.stream.reset();
                                                });
  for (std::uint64_t ticket = 0; ticket < 3; ++ticket) CHECK(bench.ask(query_of("www.example"), ticket));
  bench.loop.run_for(milliseconds(50));
  CHECK(calls == 1);
}

}  // namespace
}  // namespace doline::upstream

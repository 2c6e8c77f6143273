#include "listener/tcp_listener.h"

#include <sys/resource.h>

#include <algorithm>
#include <deque>

#include "loopback.h"
#include "proxy_octets.h"

namespace doline::listener {
namespace {

using test::Octets;
using test::TcpClient;

/// One worker: a loop, its listener and what it was asked. Serves by `serve`, or echoes.
struct Bench {
  explicit Bench(TcpLimits limits_in = {}, const Endpoint& address = {test::loopback, 0},
                 SocketKind kind = SocketKind::ordinary)
      : limits(limits_in), pairs(test::open_one(address, kind)) {
    at = pairs[0].address;
    listener.start();
  }

  void settle() {
    for (int turn = 0; turn < 2; ++turn) {
      test::settle(loop);
      listener.flush();
    }
  }
  bool run_until(const std::function<bool()>& holds) {
    return test::run_until(loop, [&] {
      listener.flush();
      return holds();
    });
  }
  bool has_messages(TcpClient& client, std::size_t count) {
    return run_until([&] {
             client.take();
             return client.messages().size() >= count || client.has_ended();
           }) &&
           client.messages().size() == count;
  }
  bool has_ended(TcpClient& client) {
    return run_until([&] {
      client.take();
      return client.has_ended();
    });
  }
  void let_wait() {
    serve = [](const Arrival&, std::span<std::uint8_t>) { return std::size_t{0}; };
  }

  std::size_t serve_one(const Arrival& arrival, std::span<std::uint8_t> out) {
    arrivals.push_back(arrival);
    arrivals.back().message = {};
    return serve ? serve(arrival, out) : test::echo(arrival.message, out);
  }
  [[nodiscard]] const TcpStatistics& statistics() const { return listener.statistics(); }

  TcpLimits limits;
  asio::io_context loop{1};
  SystemClock clock;
  std::vector<SocketPair> pairs;
  Endpoint at;
  std::vector<Arrival> arrivals;
  std::function<std::size_t(const Arrival&, std::span<std::uint8_t>)> serve;
  TcpListener listener{loop, pairs, clock, limits,
                       [this](const Arrival& arrival, std::span<std::uint8_t> out) { return serve_one(arrival, out); }};
};

Octets query(std::uint16_t id) {
  return test::query_of(id, "www.example.com");
}

// ── RFC 7766 ─────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_CASE("one query, one response, and the connection stays") {
  Bench bench;
  TcpClient client(test::loopback, bench.at);
  CHECK(client.send(query(1)));
  REQUIRE(bench.has_messages(client, 1));
  CHECK(test::id_of(client.messages()[0]) == 1);
  CHECK(client.send(query(2)));
  REQUIRE(bench.has_messages(client, 2));
  const Arrival& arrival = bench.arrivals.at(0);
  CHECK(arrival.route.carrier == Carrier::tcp);
  CHECK(arrival.client.address == test::loopback);
  CHECK(arrival.destination == device::Destination{bench.at, device::DestinationSource::local});
  CHECK(bench.statistics().accepted == 1);
  CHECK(bench.statistics().open == 1);
  CHECK(bench.statistics().received == 2);
  CHECK(bench.run_until([&] { return bench.statistics().sent == 2; }));
}

TEST_CASE("the same over IPv6") {
  const IpAddress address = *IpAddress::parse("::1");
  if (Opened opened = open_sockets({{address, 0}}, SocketKind::ordinary, 1); !opened.faults.empty()) {
    MESSAGE("skipped: " << opened.faults[0].what);
    return;
  }
  Bench bench({}, {address, 0});
  TcpClient client(address, bench.at);
  CHECK(client.send(query(1)));
  CHECK(bench.has_messages(client, 1));
  CHECK(bench.arrivals.at(0).client.address == address);
}

TEST_CASE("a trusted router says once, at the beginning, for whom it asks, in as many pieces as it likes") {
  Bench bench;
  bench.listener.trust({*IpPrefix::parse(test::loopback.to_string())});
  const Endpoint camera = *Endpoint::parse("[2001:db8:50::31]:5555", 0),
                 meant = *Endpoint::parse("[2400:3200::1]:53", 0);
  const Octets header = tests::proxy_octets(camera, meant);
  TcpClient router(test::loopback, bench.at);
  for (std::size_t at = 0; at < header.size(); at += 13) {  // into the signature, and into the addresses
    CHECK(router.send_octets(std::span(header).subspan(at, 13)));
    bench.settle();
  }
  CHECK(router.send(query(1)));
  CHECK(router.send(query(2)));
  REQUIRE(bench.has_messages(router, 2));
  for (const Arrival& arrival : bench.arrivals) {
    CHECK(arrival.client.address == test::loopback);
    CHECK(arrival.behind == camera.address);
    CHECK(arrival.destination == device::Destination{meant, device::DestinationSource::proxy});
  }
  TcpClient plain(test::loopback, bench.at);
  CHECK(plain.send(query(3)));
  REQUIRE(bench.has_messages(plain, 1));
  CHECK_FALSE(bench.arrivals.back().is_passed_on());
}

TEST_CASE("a header that makes no sense ends the connection, and a stranger's is no header") {
  Bench bench;
  bench.listener.trust({*IpPrefix::parse(test::loopback.to_string())});
  Octets octets = tests::proxy_octets(*Endpoint::parse("192.168.50.31", 53), *Endpoint::parse("8.8.8.8", 53));
  TcpClient stranger(IpAddress::v4(127, 0, 0, 9), bench.at);
  CHECK(stranger.send_octets(octets));
  bench.settle();
  CHECK(bench.arrivals.empty());  // a length of 3338, of which more is to come
  octets[12] = 0x11;
  TcpClient router(test::loopback, bench.at);
  CHECK(router.send_octets(octets));
  CHECK(bench.has_ended(router));
  CHECK(bench.arrivals.empty());
}

TEST_CASE("queries that come in one segment are all answered") {
  Bench bench;
  TcpClient client(test::loopback, bench.at);
  Octets octets;
  for (std::uint16_t id = 0; id < 200; ++id) {
    const Octets frame = TcpClient::frame(query(id));
    octets.insert(octets.end(), frame.begin(), frame.end());
  }
  CHECK(client.send_octets(octets));
  REQUIRE(bench.has_messages(client, 200));
  CHECK(bench.run_until([&] { return bench.statistics().sent == 200; }));
}

TEST_CASE("a query that comes octet by octet is answered") {
  Bench bench;
  TcpClient client(test::loopback, bench.at);
  for (const std::uint8_t octet : TcpClient::frame(query(77))) {
    CHECK(client.send_octets(std::span(&octet, 1)));
    bench.loop.restart();
    bench.loop.poll();
  }
  REQUIRE(bench.has_messages(client, 1));
  CHECK(test::id_of(client.messages()[0]) == 77);
}

TEST_CASE("responses leave in the order in which they are ready") {
  Bench bench;
  bench.let_wait();
  TcpClient client(test::loopback, bench.at);
  for (const std::uint16_t id : {1, 2, 3}) CHECK(client.send(query(id)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 3; }));
  for (const std::uint16_t id : {3, 1, 2}) CHECK(bench.listener.send(bench.arrivals[id - 1u].route, query(id)));
  REQUIRE(bench.has_messages(client, 3));
  CHECK(test::id_of(client.messages()[0]) == 3);
  CHECK(test::id_of(client.messages()[1]) == 1);
  CHECK(test::id_of(client.messages()[2]) == 2);
}

TEST_CASE("a client that has closed its side still gets what it asked for, then the connection ends") {
  Bench bench;
  bench.let_wait();
  TcpClient client(test::loopback, bench.at);
  CHECK(client.send(query(1)));
  CHECK(client.send(query(2)));
  client.close_sending_side();
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 2; }));
  bench.settle();
  CHECK(bench.statistics().open == 1);
  CHECK(bench.listener.send(bench.arrivals[0].route, query(1)));
  REQUIRE(bench.has_messages(client, 1));
  CHECK(!client.has_ended());
  bench.listener.forget(bench.arrivals[1].route);
  CHECK(bench.has_ended(client));
  CHECK(bench.statistics().open == 0);
}

TEST_CASE("a client that closes with nothing in flight is forgotten at once") {
  Bench bench;
  {
    TcpClient client(test::loopback, bench.at);
    CHECK(client.send(query(1)));
    CHECK(bench.has_messages(client, 1));
  }
  CHECK(bench.run_until([&] { return bench.statistics().open == 0; }));
  CHECK(bench.statistics().timed_out == 0);
}

TEST_CASE("a response whose connection has ended is swallowed and counted") {
  Bench bench;
  bench.let_wait();
  {
    TcpClient client(test::loopback, bench.at);
    CHECK(client.send(query(1)));
    CHECK(client.send(query(2)));
    REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 2; }));
    const linger at_once{1, 0};  // a reset: the client is gone, it did not just close its side
    setsockopt(client.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  REQUIRE(bench.run_until([&] { return bench.statistics().open == 0; }));
  CHECK(!bench.listener.send(bench.arrivals[0].route, query(1)));
  bench.listener.forget(bench.arrivals[1].route);
  CHECK(bench.statistics().client_gone == 1);
  CHECK(bench.statistics().sent == 0);
}

// ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_CASE("a client that says nothing is left after the time for its first query") {
  Bench bench({.first_octets = milliseconds(50), .idle = milliseconds(600'000)});
  TcpClient client(test::loopback, bench.at);
  CHECK(bench.has_ended(client));
  CHECK(bench.run_until([&] { return bench.statistics().timed_out == 1; }));
}

TEST_CASE("an octet now and then does not keep a connection") {
  Bench bench({.first_octets = milliseconds(100), .idle = milliseconds(100)});
  TcpClient fresh(test::loopback, bench.at), served(test::loopback, bench.at);
  CHECK(served.send(query(1)));
  REQUIRE(bench.has_messages(served, 1));
  const Octets frame = TcpClient::frame(Octets(stream_query_octets_max));
  std::size_t sent = 0;
  CHECK(bench.run_until([&] {
    for (TcpClient* client : {&fresh, &served}) {
      if (sent < frame.size()) client->send_octets(std::span(frame).subspan(sent, 1));
      client->take();
    }
    ++sent;
    usleep(1'000);
    return fresh.has_ended() && served.has_ended();
  }));
  CHECK(bench.run_until([&] { return bench.statistics().open == 0; }));
  CHECK(bench.statistics().received == 1);
}

TEST_CASE("an idle connection ends, one whose query waits does not") {
  Bench bench({.first_octets = milliseconds(600'000), .idle = milliseconds(50)});
  bench.let_wait();
  TcpClient waiting(test::loopback, bench.at);
  CHECK(waiting.send(query(1)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 1; }));
  bench.serve = nullptr;
  TcpClient idle(test::loopback, bench.at);
  CHECK(idle.send(query(2)));
  CHECK(bench.has_ended(idle));
  CHECK(idle.messages().size() == 1);
  waiting.take();
  CHECK(!waiting.has_ended());
  CHECK(bench.listener.send(bench.arrivals[0].route, query(1)));
  CHECK(bench.has_ended(waiting));
  CHECK(waiting.messages().size() == 1);
}

TEST_CASE("with too many queries in flight reading pauses, and goes on as they are answered or forgotten") {
  Bench bench({.queries_in_flight_max = 4});
  bench.let_wait();
  TcpClient client(test::loopback, bench.at);
  for (std::uint16_t id = 0; id < 10; ++id) CHECK(client.send(query(id)));
  bench.settle();
  CHECK(bench.arrivals.size() == 4);
  CHECK(bench.listener.send(bench.arrivals[2].route, query(2)));
  bench.settle();
  CHECK(bench.arrivals.size() == 5);
  bench.listener.forget(bench.arrivals[0].route);
  bench.settle();
  CHECK(bench.arrivals.size() == 6);
  for (std::size_t answered = 3; bench.arrivals.size() < 10; ++answered) {
    REQUIRE(answered < bench.arrivals.size());
    CHECK(bench.listener.send(bench.arrivals[answered].route, query(9)));
    bench.settle();
  }
  CHECK(bench.arrivals.size() == 10);
}

TEST_CASE("a client that asks and does not read is not read either, and is left in the end") {
  Bench bench({.first_octets = milliseconds(600'000), .idle = milliseconds(300)});
  bench.serve = [](const Arrival&, std::span<std::uint8_t> out) { return out.size(); };
  TcpClient client(test::loopback, bench.at);
  const Octets frame = TcpClient::frame(query(1));
  std::uint64_t received_most = 0;
  CHECK(bench.run_until([&] {
    client.send_octets(frame);
    received_most = std::max(received_most, bench.statistics().received);
    return bench.statistics().timed_out > 0;
  }));
  // What the kernel's buffers take, and no more than the pause allows behind it.
  CHECK(received_most < 400);
  CHECK(bench.run_until([&] { return bench.statistics().open == 0; }));
  CHECK(bench.statistics().client_gone > 0);
  CHECK(bench.statistics().sent + bench.statistics().client_gone == bench.statistics().received);
}

TEST_CASE("a client that reads gets the longest responses to all that may be in flight, though they come at once") {
  Bench bench;
  bench.let_wait();
  TcpClient client(test::loopback, bench.at);
  const auto count = static_cast<std::size_t>(bench.limits.queries_in_flight_max);
  for (std::size_t id = 0; id < count; ++id) CHECK(client.send(query(1)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == count; }));
  const Octets large(65'535);
  for (const Arrival& arrival : bench.arrivals) CHECK(bench.listener.send(arrival.route, large));
  CHECK(bench.has_messages(client, count));
  CHECK(bench.run_until([&] { return bench.statistics().sent == count; }));
}

TEST_CASE("late responses do not pile up without bound for clients that do not read, and only the greediest is left") {
  Bench bench({.queries_in_flight_max = 100'000});
  bench.let_wait();
  const Octets large(60'000);
  constexpr std::size_t modest = 10, greedy = unsent_octets_max / (60'000 + 2);  // all that there is room for
  TcpClient many(test::loopback, bench.at), few(test::loopback, bench.at);
  for (std::size_t id = 0; id < greedy; ++id) CHECK(many.send(query(1)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == greedy; }));
  for (std::size_t id = 0; id < modest; ++id) CHECK(few.send(query(2)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == greedy + modest; }));
  for (const Arrival& arrival : bench.arrivals) CHECK(bench.listener.send(arrival.route, large));
  CHECK(bench.statistics().evicted == 1);
  CHECK(bench.has_messages(few, modest));
  CHECK(bench.has_ended(many));
  CHECK(bench.statistics().sent + bench.statistics().client_gone == modest + greedy);
  // What was given back makes room again.
  bench.arrivals.clear();
  for (std::size_t id = 0; id < modest; ++id) CHECK(few.send(query(1)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == modest; }));
  for (const Arrival& arrival : bench.arrivals) CHECK(bench.listener.send(arrival.route, large));
  CHECK(bench.has_messages(few, 2 * modest));
  CHECK(bench.statistics().evicted == 1);
}

TEST_CASE("a client that takes its responses slowly is not left") {
  Bench bench({.queries_in_flight_max = 100'000, .idle = milliseconds(1'000)});
  bench.let_wait();
  TcpClient client(test::loopback, bench.at);
  const std::size_t count = 400;  // more than the kernel's buffers take
  for (std::size_t id = 0; id < count; ++id) CHECK(client.send(query(1)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == count; }));
  const Octets large(60'000);
  for (const Arrival& arrival : bench.arrivals) CHECK(bench.listener.send(arrival.route, large));
  Octets some(500'000);
  std::size_t taken = 0;
  CHECK(bench.run_until([&] {
    usleep(50'000);
    const ssize_t got = recv(client.descriptor(), some.data(), some.size(), MSG_DONTWAIT);
    taken += got > 0 ? static_cast<std::size_t>(got) : 0;
    return got == 0 || bench.statistics().sent == count;
  }));
  CHECK(bench.statistics().sent == count);
  CHECK(bench.statistics().timed_out == 0);
}

TEST_CASE("a longer message than any query ends its connection") {
  Bench bench;
  TcpClient client(test::loopback, bench.at);
  CHECK(client.send(Octets(stream_query_octets_max)));
  REQUIRE(bench.has_messages(client, 1));
  client.send(Octets(stream_query_octets_max + 1));
  CHECK(bench.has_ended(client));
  CHECK(bench.statistics().received == 1);
}

// ── admission ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_CASE(
    "where there is no room a client with more than its share loses its idlest connection, and no other client does") {
  Bench bench({.connections_max = 4, .connections_of_client_share = 2});
  TcpClient other(IpAddress::v4(127, 0, 0, 2), bench.at);
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int number = 0; number < 3; ++number) {
    clients.push_back(std::make_unique<TcpClient>(test::loopback, bench.at));
    CHECK(clients.back()->send(query(1)));
    REQUIRE(bench.has_messages(*clients.back(), 1));
  }
  CHECK(clients[0]->send(query(2)));  // now the second is the idlest
  REQUIRE(bench.has_messages(*clients[0], 2));
  TcpClient fourth(test::loopback, bench.at);
  CHECK(bench.has_ended(*clients[1]));
  CHECK(bench.statistics().evicted == 1);
  CHECK(bench.statistics().open == 4);
  for (TcpClient* client : {clients[0].get(), clients[2].get(), &fourth, &other}) {
    const std::size_t before = client->messages().size();
    CHECK(client->send(query(3)));
    CHECK(bench.has_messages(*client, before + 1));
  }
}

TEST_CASE("a connection whose query waits is not the one to go while another waits for nothing") {
  Bench bench({.connections_max = 2});
  bench.let_wait();
  TcpClient busy(test::loopback, bench.at);
  CHECK(busy.send(query(1)));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 1; }));
  TcpClient quiet(IpAddress::v4(127, 0, 0, 2), bench.at);
  REQUIRE(bench.run_until([&] { return bench.statistics().open == 2; }));
  TcpClient third(IpAddress::v4(127, 0, 0, 3), bench.at);
  CHECK(bench.has_ended(quiet));
  CHECK(bench.listener.send(bench.arrivals[0].route, query(1)));
  CHECK(bench.has_messages(busy, 1));
}

TEST_CASE("ten thousand idle connections from a hundred addresses do not lock others out") {
  Bench bench({.connections_max = 200, .connections_of_client_share = 8});
  TcpClient active(IpAddress::v4(127, 0, 1, 1), bench.at);
  std::deque<TcpClient> idle;
  std::uint64_t open_most = 0;
  for (int number = 0; number < 10'000; ++number) {
    idle.emplace_back(IpAddress::v4(127, 0, 0, static_cast<std::uint8_t>(1 + number % 100)), bench.at);
    if (idle.size() > 300) idle.pop_front();
    REQUIRE(bench.run_until([&] { return bench.statistics().accepted >= static_cast<std::uint64_t>(number + 2); }));
    open_most = std::max(open_most, bench.statistics().open);
    if (number % 100 == 0) {  // who is active is never the idlest
      const std::size_t before = active.messages().size();
      REQUIRE(active.send(query(1)));
      REQUIRE(bench.has_messages(active, before + 1));
    }
  }
  CHECK(open_most <= 200);
  CHECK(bench.statistics().evicted > 9'000);
  TcpClient late(IpAddress::v4(127, 0, 1, 2), bench.at);
  CHECK(late.send(query(1)));
  CHECK(bench.has_messages(late, 1));
  CHECK(bench.statistics().accepted == bench.statistics().ended + bench.statistics().open);
}

TEST_CASE("without descriptors accepting pauses, makes room and goes on") {
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
  // The sanitizer itself needs a descriptor to look at an object's type, and takes its lack for a broken object.
  MESSAGE("not under UBSan");
  return;
#endif
#endif
  const std::string wrong = test::in_process([]() -> std::string {
    Bench bench({.first_octets = milliseconds(600'000)});
    bench.settle();
    std::vector<Socket> clients;
    for (int number = 0; number < 3; ++number) {
      clients.emplace_back(socket(AF_INET, SOCK_STREAM, 0));
      const SocketAddress to = to_socket_address(bench.at);
      if (connect(clients.back().get(), to.get(), to.length) != 0) return "no connection";
    }
    // Room for one of the three.
    const rlimit few{static_cast<rlim_t>(clients.back().get()) + 2, static_cast<rlim_t>(clients.back().get()) + 2};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) return "no limit";
    std::size_t steps = 0;
    const bool all = test::run_until(bench.loop, [&] {
      ++steps;
      return bench.statistics().accepted == 3;
    });
    if (!all) return "only " + std::to_string(bench.statistics().accepted) + " accepted";
    if (bench.statistics().refused < 2 || bench.statistics().refused > 10)
      return "refused " + std::to_string(bench.statistics().refused);
    if (bench.statistics().evicted < 2) return "evicted " + std::to_string(bench.statistics().evicted);
    return steps < 1'000 ? "" : "it spins";
  });
  CHECK(wrong == "");
}

// ── interception ─────────────────────────────────────────────────────────────────────────────────────────────────────

std::string intercept(std::string_view foreign_text, std::string_view us_text, std::string_view bound_text,
                      SocketKind kind) {
  const IpAddress foreign = *IpAddress::parse(foreign_text), us = *IpAddress::parse(us_text),
                  bound = *IpAddress::parse(bound_text);
  const bool is_transparent = kind == SocketKind::transparent;
  if (!(is_transparent ? test::intercept_by_tproxy() : test::intercept_by_nat())) return "no rules";
  const std::uint16_t port = is_transparent ? 5353 : 5399;
  Bench bench({}, {bound, port}, kind);
  TcpClient stray(us, {foreign, 5353});
  stray.send(query(1));
  if (!bench.has_messages(stray, 1)) return "not answered";
  const device::Destination meant{
      {foreign, 5353}, is_transparent ? device::DestinationSource::tproxy : device::DestinationSource::conntrack};
  if (bench.arrivals[0].destination != meant)
    return "destination " + bench.arrivals[0].destination.endpoint.to_string();
  if (bench.arrivals[0].client.address != us) return "client " + bench.arrivals[0].client.to_string();
  TcpClient ours(bound, {bound, port});
  ours.send(query(2));
  if (!bench.has_messages(ours, 1)) return "not answered on loopback";
  const device::Destination local{{bound, port}, device::DestinationSource::local};
  return bench.arrivals[1].destination == local ? "" : "loopback counts as intercepted";
}

TEST_CASE("a connection that tproxy or NAT brought is known by whom it was meant for") {
  for (const SocketKind kind : {SocketKind::transparent, SocketKind::redirected}) {
    const bool is_transparent = kind == SocketKind::transparent;
    for (const bool is_v4 : {true, false}) {
      INFO(is_transparent << is_v4);
      const auto wrong = test::in_own_network([&] {
        return is_v4 ? intercept("114.114.114.114", "192.0.2.1", is_transparent ? "127.0.0.153" : "127.0.0.1", kind)
                     : intercept("2400:3200::1", "2001:db8::1", "::1", kind);
      });
      if (wrong == "no rules") {
        MESSAGE("skipped: no nft, or a kernel that cannot");
      } else {
        CHECK(wrong == "");
      }
    }
  }
}

TEST_CASE("after stop every connection ends, and a listener may end before its loop") {
  asio::io_context loop;
  auto pairs = test::open_one({test::loopback, 0});
  const SystemClock clock;
  TcpClient waiting(test::loopback, pairs[0].address), idle(test::loopback, pairs[0].address);
  {
    int served = 0;
    TcpListener listener(loop, pairs, clock, {}, [&served](const Arrival&, std::span<std::uint8_t>) {
      ++served;
      return std::size_t{0};
    });
    listener.start();
    CHECK(waiting.send(query(1)));
    REQUIRE(test::run_until(loop, [&] { return served == 1 && listener.statistics().open == 2; }));
    listener.stop();
    CHECK(listener.statistics().open == 0);
  }
  CHECK(test::run_until(loop, [&] {
    waiting.take();
    idle.take();
    return waiting.has_ended() && idle.has_ended();
  }));
}

}  // namespace
}  // namespace doline::listener

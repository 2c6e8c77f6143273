#include "listener/udp_listener.h"

#include <net/if.h>
#include <netinet/udp.h>

#include <algorithm>
#include <set>

#include "loopback.h"
#include "proxy_octets.h"

namespace doline::listener {
namespace {

using test::Octets;

/// One worker: a loop, its listener and what it was asked. Serves by `serve`, or echoes.
struct Bench {
  explicit Bench(const Endpoint& address, SocketKind kind = SocketKind::ordinary)
      : Bench(test::open_one(address, kind)) {}
  explicit Bench(std::vector<SocketPair> taken) : pairs(std::move(taken)) {
    at = pairs.front().address;
    last = pairs.back().address;
  }

  void start() { listener.start(); }
  void settle() { test::settle(loop); }
  /// As whoever runs the loop: each turn ends in flush().
  bool run_until(const std::function<bool()>& holds) {
    return test::run_until(loop, [&] {
      listener.flush();
      return holds();
    });
  }

  std::size_t serve_one(const Arrival& arrival, std::span<std::uint8_t> out) {
    arrivals.push_back(arrival);
    arrivals.back().message = {};
    return serve ? serve(arrival, out) : test::echo(arrival.message, out);
  }

  asio::io_context loop{1};
  SystemClock clock;
  std::vector<SocketPair> pairs;
  Endpoint at, last;  // of the first and the last socket
  std::vector<Arrival> arrivals;
  std::vector<Moment> batches;
  std::function<std::size_t(const Arrival&, std::span<std::uint8_t>)> serve;
  std::vector<dns::Octets> told;  // of this batch
  UdpListener listener{loop, pairs, clock,
                       [this](Moment now, std::span<const dns::Octets> messages) {
                         batches.push_back(now);
                         told.assign(messages.begin(), messages.end());
                       },
                       [this](const Arrival& arrival, std::span<std::uint8_t> out) { return serve_one(arrival, out); }};
};

void check_conserved(const UdpStatistics& statistics) {
  CHECK(statistics.received == statistics.served + statistics.oversized + statistics.not_allowed);
}

const IpAddress any_v4 = IpAddress::v4(0, 0, 0, 0);

TEST_CASE("a response leaves from the address that was asked, though the socket is bound to all") {
  Bench bench({any_v4, 0});
  bench.start();
  const Endpoint asked{IpAddress::v4(127, 0, 0, 2), bench.at.port};
  test::UdpClient client(test::loopback, asked);
  const Octets query = test::query_of(4711, "www.example.com");
  client.send(query);
  REQUIRE(bench.run_until([&] { return client.has_response(); }));
  const auto response = client.receive();
  REQUIRE(response);
  CHECK(test::id_of(*response) == 4711);
  CHECK(response->size() == query.size());

  REQUIRE(bench.arrivals.size() == 1);
  const Arrival& arrival = bench.arrivals[0];
  CHECK(arrival.client.address == test::loopback);
  CHECK(arrival.destination == device::Destination{asked, device::DestinationSource::local});
  CHECK(arrival.route.carrier == Carrier::udp);
  CHECK(arrival.route.local == asked.address);
}

TEST_CASE("the same over IPv6") {
  if (Opened opened = open_sockets({{IpAddress{}, 0}}, SocketKind::ordinary, 1); !opened.faults.empty()) {
    MESSAGE("skipped: " << opened.faults[0].what);
    return;
  }
  Bench bench({IpAddress{}, 0});
  bench.start();
  const Endpoint asked{*IpAddress::parse("::1"), bench.at.port};
  test::UdpClient client(asked.address, asked);
  client.send(test::query_of(5, "example.com"));
  REQUIRE(bench.run_until([&] { return client.has_response(); }));
  CHECK(bench.arrivals.at(0).destination == device::Destination{asked, device::DestinationSource::local});
  CHECK(bench.arrivals.at(0).route.interface != 0);
}

TEST_CASE("a trusted router says whose query it passes on and whom it was meant for, and is answered itself") {
  Bench bench({test::loopback, 0});
  bench.listener.trust({*IpPrefix::parse(test::loopback.to_string())});
  bench.start();
  test::UdpClient router(test::loopback, bench.at), stranger(IpAddress::v4(127, 0, 0, 9), bench.at);
  const Endpoint camera = *Endpoint::parse("192.168.50.31:5555", 0), meant = *Endpoint::parse("114.114.114.114:53", 0);
  Octets passed_on = tests::proxy_octets(camera, meant);
  const Octets query = test::query_of(7, "www.example.com");
  passed_on.insert(passed_on.end(), query.begin(), query.end());
  router.send(passed_on);
  REQUIRE(bench.run_until([&] { return router.has_response(); }));
  CHECK(router.receive()->size() == query.size());
  const Arrival& arrival = bench.arrivals.at(0);
  CHECK(arrival.client.address == test::loopback);
  CHECK(arrival.is_passed_on());
  CHECK(arrival.behind == camera.address);
  CHECK(arrival.destination == device::Destination{meant, device::DestinationSource::proxy});

  router.send(query);
  REQUIRE(bench.run_until([&] { return router.has_response(); }));
  CHECK_FALSE(bench.arrivals.at(1).is_passed_on());
  CHECK(bench.arrivals.at(1).destination.source == device::DestinationSource::local);

  stranger.send(passed_on);
  REQUIRE(bench.run_until([&] { return stranger.has_response(); }));
  CHECK(stranger.receive()->size() == passed_on.size());
  CHECK_FALSE(bench.arrivals.at(2).is_passed_on());
  check_conserved(bench.listener.statistics());
}

TEST_CASE("what comes to a port that stands for a resolver was meant for it") {
  Opened opened = open_mapped_sockets({{0, *IpAddress::parse("8.8.8.8")}}, 1);
  REQUIRE(opened.of_worker.at(0).size() == 1);
  opened.of_worker[0][0].resolver = {*IpAddress::parse("8.8.8.8"), 53};
  Bench bench(std::move(opened.of_worker[0]));
  bench.start();
  const Endpoint asked{test::loopback, bench.at.port};
  test::UdpClient client(test::loopback, asked);
  client.send(test::query_of(8, "example.com"));
  REQUIRE(bench.run_until([&] { return client.has_response(); }));
  CHECK(bench.arrivals.at(0).destination ==
        device::Destination{*Endpoint::parse("8.8.8.8:53", 0), device::DestinationSource::port_map});
  CHECK(bench.arrivals.at(0).route.local == asked.address);
}

TEST_CASE("told to, a socket of one address says by which interface a query came, and answers as before") {
  Bench bench({test::loopback, 0});
  bench.listener.tell_interfaces();
  bench.start();
  test::UdpClient client(test::loopback, bench.at);
  client.send(test::query_of(5, "example.com"));
  REQUIRE(bench.run_until([&] { return client.has_response(); }));
  CHECK(bench.arrivals.at(0).route.interface == if_nametoindex("lo"));
  CHECK(bench.arrivals.at(0).route.local == test::loopback);
}

TEST_CASE("more datagrams than a batch holds are all answered, each batch under one time") {
  Bench bench({test::loopback, 0});
  test::UdpClient client(test::loopback, bench.at);
  constexpr int count = 3 * datagrams_per_batch + 7;
  for (int id = 0; id < count; ++id) client.send(test::query_of(static_cast<std::uint16_t>(id), "example.com"));
  bench.start();
  std::set<int> answered;
  CHECK(bench.run_until([&] {
    while (const auto response = client.receive()) answered.insert(test::id_of(*response));
    return answered.size() == count;
  }));
  CHECK(bench.batches.size() >= 4);
  CHECK(bench.batches.size() < 20);
  for (const Arrival& arrival : bench.arrivals)
    CHECK(std::any_of(bench.batches.begin(), bench.batches.end(),
                      [&](const Moment& moment) { return moment.monotonic == arrival.at.monotonic; }));
  CHECK(bench.listener.statistics().received == count);
  CHECK(bench.listener.statistics().sent == count);
  check_conserved(bench.listener.statistics());
}

TEST_CASE("a batch begins with all that will be served of it, in order and where it stays") {
  Bench bench({test::loopback, 0});
  test::UdpClient client(test::loopback, bench.at);
  std::size_t served = 0, of_batch = 0, batches = 0;
  bench.serve = [&](const Arrival& arrival, std::span<std::uint8_t> out) {
    if (std::exchange(batches, bench.batches.size()) != bench.batches.size()) of_batch = 0;
    REQUIRE(of_batch < bench.told.size());
    CHECK(bench.told[of_batch].data() == arrival.message.data());
    CHECK(bench.told[of_batch].size() == arrival.message.size());
    CHECK(test::id_of(arrival.message) == static_cast<int>(served));
    ++served, ++of_batch;
    return test::echo(arrival.message, out);
  };
  for (int id = 0; id < 2 * datagrams_per_batch + 1; ++id)
    client.send(test::query_of(static_cast<std::uint16_t>(id), std::string(static_cast<std::size_t>(id % 7 + 1), 'x')));
  bench.start();
  CHECK(bench.run_until([&] { return served == 2 * datagrams_per_batch + 1; }));
}

TEST_CASE("a socket that floods have kept busy is heard again when it has run dry, and ends at any time") {
  Bench bench({test::loopback, 0});
  test::UdpClient client(test::loopback, bench.at);
  constexpr std::size_t more_than_a_turn = datagrams_per_batch * batches_per_wake + 3;
  const auto flood = [&] {
    for (std::size_t sent = 0; sent < more_than_a_turn; ++sent) client.send(test::query_of(1, "example.com"));
  };
  bench.start();
  for (std::size_t round = 1; round <= 2; ++round) {
    flood();
    REQUIRE(bench.run_until([&] { return bench.arrivals.size() == round * (more_than_a_turn + 1) - 1; }));
    bench.settle();  // it waits
    client.send(test::query_of(2, "example.com"));
    REQUIRE(bench.run_until([&] { return bench.arrivals.size() == round * (more_than_a_turn + 1); }));
  }
  flood();
  const std::size_t before = bench.arrivals.size();
  bench.loop.restart();
  bench.loop.run_one_for(std::chrono::seconds(10));  // a turn, and more to do
  bench.listener.flush();
  CHECK(bench.arrivals.size() == before + datagrams_per_batch * batches_per_wake);
  bench.listener.stop();
  bench.settle();
  CHECK(bench.arrivals.size() == before + datagrams_per_batch * batches_per_wake);
  check_conserved(bench.listener.statistics());
}

TEST_CASE("a flood does not keep the loop from other work") {
  Bench bench({test::loopback, 0});
  test::UdpClient client(test::loopback, bench.at);
  for (int id = 0; id < datagrams_per_batch * batches_per_wake * 2; ++id) client.send(test::query_of(1, "example.com"));
  bench.start();
  bench.loop.restart();
  bench.loop.run_one_for(std::chrono::seconds(10));
  CHECK(bench.arrivals.size() == datagrams_per_batch * batches_per_wake);
  CHECK(bench.run_until([&] { return bench.arrivals.size() == datagrams_per_batch * batches_per_wake * 2; }));
}

TEST_CASE("a query may wait: its response comes later, from the address that was asked") {
  Bench bench({any_v4, 0});
  bench.serve = [](const Arrival&, std::span<std::uint8_t>) { return std::size_t{0}; };
  bench.start();
  test::UdpClient client(test::loopback, {IpAddress::v4(127, 0, 0, 3), bench.at.port});
  client.send(test::query_of(9, "example.com"));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 1; }));
  bench.settle();
  CHECK(!client.has_response());
  CHECK(bench.listener.statistics().sent == 0);

  const Arrival& arrival = bench.arrivals[0];
  bench.listener.send(arrival.route, arrival.client, Octets{1, 2, 3});
  bench.listener.send(arrival.route, arrival.client, Octets{4, 5});
  CHECK(bench.listener.statistics().sent == 0);
  bench.listener.flush();
  CHECK(client.receive() == Octets{1, 2, 3});
  CHECK(client.receive() == Octets{4, 5});
  CHECK(bench.listener.statistics().sent == 2);
}

TEST_CASE("late responses of several sockets, more than a batch, leave all, each from its own") {
  std::vector<SocketPair> pairs = test::open_one({any_v4, 0});
  pairs.push_back(std::move(test::open_one({test::loopback, 0})[0]));
  Bench bench(std::move(pairs));
  bench.start();
  bench.serve = [](const Arrival&, std::span<std::uint8_t>) { return std::size_t{0}; };
  test::UdpClient to_all(test::loopback, {test::loopback, bench.at.port}), to_one(test::loopback, bench.last);
  to_all.send(test::query_of(1, "example.com"));
  to_one.send(test::query_of(2, "example.com"));
  REQUIRE(bench.run_until([&] { return bench.arrivals.size() == 2; }));
  if (bench.arrivals[0].route.socket != 0) std::swap(bench.arrivals[0], bench.arrivals[1]);
  constexpr int count = 3 * datagrams_per_batch / 2;
  for (int i = 0; i < count; ++i)
    for (const Arrival& arrival : bench.arrivals)
      bench.listener.send(arrival.route, arrival.client, Octets{static_cast<std::uint8_t>(i)});
  bench.listener.flush();
  for (int i = 0; i < count; ++i) {
    CHECK(to_all.receive() == Octets{static_cast<std::uint8_t>(i)});
    CHECK(to_one.receive() == Octets{static_cast<std::uint8_t>(i)});
  }
  CHECK(bench.listener.statistics().sent == 2 * count);
}

TEST_CASE("what the kernel will not send is said and counted") {
  Bench bench({any_v4, 0});
  const ReplyRoute route{.carrier = Carrier::udp, .local = IpAddress::v4(192, 0, 2, 99)};  // not ours
  bench.listener.send(route, {test::loopback, 9}, Octets{1});
  bench.listener.flush();
  bench.listener.stop();
  bench.listener.send({.carrier = Carrier::udp, .local = test::loopback}, {test::loopback, 9}, Octets{1});
  bench.listener.flush();
  CHECK(bench.listener.statistics().send_failed == 2);
  CHECK(bench.listener.statistics().sent == 0);
}

TEST_CASE("a datagram longer than any query is dropped and counted, the longest one is served") {
  Bench bench({test::loopback, 0});
  bench.serve = [](const Arrival&, std::span<std::uint8_t>) { return std::size_t{0}; };
  bench.start();
  test::UdpClient client(test::loopback, bench.at);
  client.send(Octets(datagram_octets_max + 1));
  client.send(Octets(datagram_octets_max));
  client.send(Octets());
  REQUIRE(bench.run_until([&] { return bench.listener.statistics().received == 3; }));
  CHECK(bench.listener.statistics().oversized == 1);
  CHECK(bench.arrivals.size() == 2);
  check_conserved(bench.listener.statistics());
}

TEST_CASE("a query to a broadcast address is dropped: whoever answered would answer for all") {
  Bench bench({any_v4, 0});
  bench.start();
  test::UdpClient client(test::loopback, {IpAddress::v4(127, 255, 255, 255), bench.at.port});
  client.send(test::query_of(1, "example.com"));
  REQUIRE(bench.run_until([&] { return bench.listener.statistics().received == 1; }));
  CHECK(bench.listener.statistics().not_allowed == 1);
  CHECK(bench.arrivals.empty());
  check_conserved(bench.listener.statistics());
}

TEST_CASE("a query from port 0 is dropped: nothing can be sent there") {
  const Socket raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
  if (raw.get() < 0) {
    MESSAGE("skipped: only root can send from port 0");
    return;
  }
  Bench bench({test::loopback, 0});
  bench.start();
  const Octets query = test::query_of(1, "example.com");
  udphdr header{};
  header.dest = htons(bench.at.port);
  header.len = htons(static_cast<std::uint16_t>(sizeof header + query.size()));
  Octets datagram(sizeof header + query.size());
  std::memcpy(datagram.data(), &header, sizeof header);
  std::copy(query.begin(), query.end(), datagram.begin() + sizeof header);
  const SocketAddress to = to_socket_address({test::loopback, 0});
  REQUIRE(sendto(raw.get(), datagram.data(), datagram.size(), 0, to.get(), to.length) > 0);
  REQUIRE(bench.run_until([&] { return bench.listener.statistics().received == 1; }));
  CHECK(bench.listener.statistics().not_allowed == 1);
  CHECK(bench.arrivals.empty());
}

TEST_CASE("one client that cannot be reached does not cost the others of its batch their responses") {
  const auto wrong = test::in_own_network([]() -> std::string {
    Bench bench({any_v4, 0});
    test::UdpClient first(test::loopback, {test::loopback, bench.at.port});
    test::UdpClient lost(IpAddress::v4(192, 0, 2, 1), {test::loopback, bench.at.port});
    test::UdpClient last(test::loopback, {test::loopback, bench.at.port});
    for (test::UdpClient* client : {&first, &lost, &last}) client->send(test::query_of(1, "example.com"));
    if (!tests::run("ip link delete lan0")) return "lan0 stays";
    bench.start();
    if (!bench.run_until([&] { return bench.arrivals.size() == 3; })) return "not all arrived";
    if (bench.batches.size() != 1) return "not one batch";
    if (!first.has_response() || !last.has_response()) return "the others were not answered";
    const UdpStatistics& statistics = bench.listener.statistics();
    if (statistics.sent != 2 || statistics.send_failed != 1) return "counted wrongly";
    return "";
  });
  CHECK(wrong == "");
}

TEST_CASE("a transparent socket knows whom the device meant, and answers in that resolver's name") {
  for (const char* family : {"ip", "ip6"}) {
    const bool is_v4 = std::string_view(family) == "ip";
    const IpAddress foreign = *IpAddress::parse(is_v4 ? "114.114.114.114" : "2400:3200::1");
    const IpAddress us = *IpAddress::parse(is_v4 ? "192.0.2.1" : "2001:db8::1");
    const IpAddress bound = *IpAddress::parse(is_v4 ? "127.0.0.153" : "::1");
    INFO(family);
    const auto wrong = test::in_own_network([&]() -> std::string {
      if (!test::intercept_by_tproxy()) return "no tproxy";
      Bench bench({bound, 5353}, SocketKind::transparent);
      bench.start();
      test::UdpClient stray(us, {foreign, 5353});
      stray.send(test::query_of(1, "example.com"));
      if (!bench.run_until([&] { return stray.has_response(); })) return "not answered in the foreign resolver's name";
      const device::Destination meant{{foreign, 5353}, device::DestinationSource::tproxy};
      if (bench.arrivals[0].destination != meant)
        return "destination " + bench.arrivals[0].destination.endpoint.to_string();
      if (bench.arrivals[0].client.address != us) return "client " + bench.arrivals[0].client.to_string();
      // Late, too.
      bench.listener.send(bench.arrivals[0].route, bench.arrivals[0].client, Octets{7});
      bench.listener.flush();
      if (!stray.receive() || stray.receive() != Octets{7}) return "no late response";
      // What asks the loopback address is not intercepted.
      test::UdpClient ours(bound, {bound, 5353});
      ours.send(test::query_of(2, "example.com"));
      if (!bench.run_until([&] { return ours.has_response(); })) return "not answered on loopback";
      const device::Destination local{{bound, 5353}, device::DestinationSource::local};
      return bench.arrivals[1].destination == local ? "" : "loopback counts as intercepted";
    });
    if (wrong == "no tproxy") {
      MESSAGE("skipped: no nft, or a kernel without tproxy");
    } else {
      CHECK(wrong == "");
    }
  }
}

TEST_CASE("on a redirected socket the original destination is left open, for conntrack to tell") {
  Bench bench({test::loopback, 0}, SocketKind::redirected);
  bench.start();
  test::UdpClient client(test::loopback, bench.at);
  client.send(test::query_of(1, "example.com"));
  REQUIRE(bench.run_until([&] { return client.has_response(); }));
  CHECK(bench.arrivals.at(0).destination == device::Destination{{}, device::DestinationSource::conntrack});
  CHECK(bench.arrivals.at(0).route.local == test::loopback);
}

TEST_CASE("link-local addresses are answered over the interface they are on") {
  const auto wrong = test::in_own_network([]() -> std::string {
    if (!tests::run("ip address add fe80::53/64 dev lan0 nodad")) return "no link-local address";
    if (!tests::is_ours_soon("fe80::53")) return "the address is nobody's";
    Bench bench({IpAddress{}, 5353});
    bench.start();
    const IpAddress address = *IpAddress::parse("fe80::53");
    const Socket client(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const SocketAddress from = to_socket_address({address, 0}, if_nametoindex("lan0"));
    const SocketAddress to = to_socket_address({address, 5353}, if_nametoindex("lan0"));
    if (bind(client.get(), from.get(), from.length) != 0 || connect(client.get(), to.get(), to.length) != 0)
      return "no client";
    const Octets query = test::query_of(1, "example.com");
    if (send(client.get(), query.data(), query.size(), 0) < 0) return "not sent";
    if (!bench.run_until([&] { return test::is_readable(client.get()); })) return "not answered";
    std::uint8_t taken[512];
    if (recv(client.get(), taken, sizeof taken, 0) < 0) return "no response";
    bench.listener.send(bench.arrivals.at(0).route, bench.arrivals.at(0).client, Octets{1});
    bench.listener.flush();
    return test::is_readable(client.get()) ? "" : "late response not received";
  });
  CHECK(wrong == "");
}

TEST_CASE("after stop nothing is served, and a listener may end before its loop") {
  asio::io_context loop;
  {
    auto pairs = test::open_one({test::loopback, 0});
    const SystemClock clock;
    int served = 0;
    UdpListener listener(
        loop, pairs, clock, [](Moment, std::span<const dns::Octets>) {},
        [&](const Arrival& arrival, std::span<std::uint8_t> out) {
          ++served;
          return test::echo(arrival.message, out);
        });
    listener.start();
    test::UdpClient client(test::loopback, pairs[0].address);
    client.send(test::query_of(1, "example.com"));
    REQUIRE(test::run_until(loop, [&] { return served == 1; }));
    client.send(test::query_of(2, "example.com"));
    listener.stop();
    test::settle(loop);
    CHECK(served == 1);
  }
  test::settle(loop);
}

}  // namespace
}  // namespace doline::listener

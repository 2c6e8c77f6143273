#include "control/loop_watch.h"

#include <doctest/doctest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "dns/message.h"
#include "run_until.h"

using namespace doline;
using namespace doline::control;
using doline::control::test::run_until;
using resolver::Canary;
using resolver::CanaryReturn;

namespace {

/// An upstream server, played by the test: what it is asked.
struct Server {
  Server() : descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    SocketAddress address = to_socket_address({IpAddress::v4(127, 0, 0, 1), 0});
    REQUIRE(::bind(descriptor, address.get(), address.length) == 0);
    REQUIRE(::getsockname(descriptor, address.get(), &address.length) == 0);
    endpoint = to_endpoint(address.get());
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() { ::close(descriptor); }
  /// Nothing where nothing came.
  std::optional<dns::Name> take() const {
    std::array<std::uint8_t, 512> room;
    const ssize_t size = ::recv(descriptor, room.data(), room.size(), 0);
    if (size <= 0) return std::nullopt;
    const auto query = dns::QueryView::parse({room.data(), static_cast<std::size_t>(size)});
    REQUIRE(query);
    return query->question().qname;
  }
  int descriptor;
  Endpoint endpoint;
};

struct Stage {
  std::ostringstream told;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_st>(told)};
  Loop loop;
  SystemClock clock;
  resolver::CanaryCage cage{7};
  int changes = 0;
  LoopWatch watch{loop, cage, clock, log, [this] { ++changes; }};

  /// As a worker tells of a query for this name.
  void come_back(const dns::Name& name, device::Destination destination = {}) {
    const auto canary = cage.find(name);
    REQUIRE(canary);
    watch.take({canary, {IpAddress::v4(192, 168, 50, 5), 4'000}, destination, listener::Carrier::udp});
  }
};

upstream::Options options_of(const std::vector<Endpoint>& servers) {
  upstream::Options options;
  options.routes.push_back({.name = "default", .servers = servers});
  return options;
}

}  // namespace

TEST_CASE("Each server is asked for a canary of its own, and one whose canary comes back is left aside") {
  Stage stage;
  const Server good, bad;
  const upstream::Options options = options_of({good.endpoint, bad.endpoint});
  stage.watch.look(options);
  CHECK(stage.watch.asked() == 2);
  const auto asked_of_good = good.take(), asked_of_bad = bad.take();
  REQUIRE(asked_of_good);
  REQUIRE(asked_of_bad);
  CHECK_FALSE(*asked_of_good == *asked_of_bad);
  CHECK(stage.watch.without_loops(options) == options);

  const device::Destination meant{*Endpoint::parse("8.8.8.8:53", 53), device::DestinationSource::tproxy};
  stage.come_back(*asked_of_bad, meant);
  stage.come_back(*asked_of_bad, meant);  // told once
  CHECK(run_until(stage.loop, [&] { return stage.changes == 1; }));
  REQUIRE(stage.watch.found().size() == 1);
  CHECK(stage.watch.found()[0].server == bad.endpoint);
  CHECK(stage.watch.without_loops(options) == options_of({good.endpoint}));
  const std::string sentence = describe(stage.watch.found()[0]);
  CHECK(sentence.find("comes back to Doline, from 192.168.50.5, caught on its way to 8.8.8.8:53") != std::string::npos);
  CHECK(sentence.find("`redirect: {exempt: {from: [192.168.50.5]}}`") != std::string::npos);
  CHECK(stage.told.str().find(sentence) != std::string::npos);
  stage.watch.forgive();
  CHECK(stage.watch.without_loops(options) == options);
}

TEST_CASE("A canary that no interception brought back has another cure") {
  Stage stage;
  const Server bad;
  stage.watch.look(options_of({bad.endpoint}));
  stage.come_back(*bad.take());
  REQUIRE(stage.watch.found().size() == 1);
  CHECK(describe(stage.watch.found()[0]).find("has to ask somebody else") != std::string::npos);
  CHECK(stage.watch.without_loops(options_of({bad.endpoint})).routes[0].servers.empty());
}

TEST_CASE("What was never asked, or belongs to an earlier round, is no loop") {
  Stage stage;
  const Server server;
  stage.watch.look(options_of({server.endpoint}));
  const dns::Name first = *server.take();
  stage.watch.look(options_of({server.endpoint}));
  stage.come_back(first);
  stage.come_back(stage.cage.name_of({Canary::Kind::loop, 12'345}));
  CHECK(stage.watch.found().empty());
}

TEST_CASE("What smells of a loop makes servers be asked at once, but not again and again") {
  Stage stage;
  const Server server;
  stage.watch.look(options_of({server.endpoint}));
  REQUIRE(run_until(stage.loop, [&] { return stage.watch.asked() == 0; }));
  while (server.take()) {
  }
  const CanaryReturn smell{std::nullopt, server.endpoint, {}, listener::Carrier::udp};
  stage.watch.take(smell);
  CHECK(server.take());
  stage.watch.take(smell);
  CHECK_FALSE(server.take());
}

TEST_CASE("A probe tells by which ways its name was asked for, and old ones are forgotten") {
  Stage stage;
  const dns::Name probe = stage.watch.make_probe();
  REQUIRE(stage.watch.probe_returns(probe));
  CHECK(stage.watch.probe_returns(probe)->empty());
  stage.come_back(probe);
  CHECK(stage.watch.probe_returns(probe)->size() == 1);
  for (std::size_t i = 0; i < 2 * probe_returns_max; ++i) stage.come_back(probe);
  CHECK(stage.watch.probe_returns(probe)->size() == probe_returns_max);
  CHECK(stage.watch.found().empty());
  CHECK(stage.watch.probe_returns(*dns::Name::parse("doline.example")) == nullptr);
  CHECK(stage.watch.probe_returns(stage.cage.name_of({Canary::Kind::loop, 1})) == nullptr);
  for (std::size_t i = 0; i < probes_max; ++i) (void)stage.watch.make_probe();
  CHECK(stage.watch.probe_returns(probe) == nullptr);
}

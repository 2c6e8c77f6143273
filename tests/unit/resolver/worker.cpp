#include "resolver/worker.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "listener/steering.h"
#include "redirect/origin.h"
#include "unit/listener/loopback.h"
#include "unit/upstream/fake_server.h"

namespace doline::resolver {
namespace {

using listener::SocketKind;
using listener::test::id_of;
using listener::test::loopback;
using listener::test::query_of;
using listener::test::run_until;
using listener::test::TcpClient;
using listener::test::UdpClient;
using tests::FakeServer;
using tests::Heard;
using tests::Message;

const dns::SipKey secret{9};

/// Names that this worker of two owns: `count` of them.
std::vector<std::string> names_of(int owner, std::size_t count) {
  std::vector<std::string> names;
  for (int i = 0; names.size() < count; ++i) {
    std::string name = "n" + std::to_string(i) + ".example";
    if (listener::owner_of(query_of(1, name), 2) == owner) names.push_back(std::move(name));
  }
  return names;
}

std::shared_ptr<Snapshot> snapshot_with(const Endpoint& server, std::uint64_t generation = 1,
                                        std::vector<policy::Rule> rules = {}) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation = generation;
  snapshot->roster = std::make_shared<const device::Roster>();
  snapshot->lists = blocklist::ListSet::none();
  policy::RuleBookSettings settings;
  settings.rules = std::move(rules);
  snapshot->rules = std::make_shared<const policy::RuleBook>(std::move(settings));
  snapshot->resolvers = std::make_shared<const geo::ResolverBook>();
  upstream::Route route;
  route.name = "default";
  route.servers = {server};
  route.timeout = seconds(20);  // the tests answer, or end
  upstream::Options options;
  options.routes = {route};
  snapshot->upstream = std::make_shared<const upstream::Options>(options);
  snapshot->allow_clients = {*IpPrefix::parse("127.0.0.0/8")};
  return snapshot;
}

policy::Rule rule_for(const std::string& name, policy::Action then) {
  policy::Rule rule;
  rule.when.names = {{policy::NamePattern::Kind::subtree, *dns::Name::parse(name)}};
  rule.then = then;
  return rule;
}

/// Two workers on one address, and an upstream server on the test's own loop.
struct House {
  asio::io_context loop;
  FakeServer server{loop,
                    [](const Heard& heard, dns::Octets) { return std::vector<Message>{tests::address_of(heard, 1)}; }};
  SystemClock clock;
  std::array<querylog::Ring, 2> rings;
  std::atomic<int> unknown_clients{0};
  Endpoint address;
  std::vector<std::shared_ptr<const Snapshot>> snapshots;  // as control keeps them
  std::vector<std::unique_ptr<Worker>> workers;

  explicit House(std::vector<policy::Rule> rules = {}, WorkerOptions options = worker_options(),
                 SocketKind kind = SocketKind::ordinary) {
    auto opened = listener::open_sockets({{loopback, 0}}, kind, 2);
    for (const auto& fault : opened.faults) MESSAGE(fault.what);
    REQUIRE(opened.faults.empty());
    address = opened.of_worker[0][0].address;
    snapshots.push_back(snapshot_with(server.endpoint(), 1, std::move(rules)));
    std::vector<Worker*> all;
    for (int i = 0; i < 2; ++i) {
      const auto place = static_cast<std::size_t>(i);
      workers.push_back(std::make_unique<Worker>(i, options, std::move(opened.of_worker[place]), snapshots[0],
                                                 rings[place], clock, [this](const IpAddress&) { ++unknown_clients; }));
      options.origin_channel = -1;  // the first worker's alone
      all.push_back(workers.back().get());
    }
    for (const auto& worker : workers) worker->meet(all);
  }
  /// All stop before any ends: they send each other mail.
  ~House() {
    if (!is_started_) return;
    for (const auto& worker : workers) worker->stop(milliseconds(0));
  }
  void start() {
    is_started_ = true;
    for (const auto& worker : workers) worker->start();
  }

  static WorkerOptions worker_options() {
    return {.resolver = {.cache = {}, .seed = 3, .cookies = dns::CookieSecrets(secret, secret)},
            .tcp = {.first_octets = milliseconds(60'000), .idle = milliseconds(60'000)},
            .origin_channel = -1,
            .redirect_port = 0};
  }

  WorkerReport report(std::size_t of) const {
    std::promise<WorkerReport> promise;
    REQUIRE(workers[of]->report([&](WorkerReport report) { promise.set_value(std::move(report)); }));
    return promise.get_future().get();
  }
  Statistics both() const {
    const Statistics one = report(0).resolver, other = report(1).resolver;
    Statistics sum = one;
    sum.received += other.received;
    sum.answered += other.answered;
    sum.dropped_by_verdict += other.dropped_by_verdict;
    sum.waiting += other.waiting;
    sum.exchanges += other.exchanges;
    sum.joined += other.joined;
    sum.intercepted += other.intercepted;
    return sum;
  }
  /// The upstream's words come while this waits.
  template <class Condition>
  bool until(Condition holds) {
    return run_until(loop, holds);
  }
  listener::test::Octets response_to(UdpClient& client) {
    REQUIRE(until([&] { return client.has_response(); }));
    return client.receive().value();
  }
  std::vector<querylog::Record> records() {
    std::vector<querylog::Record> records;
    for (auto& ring : rings)
      ring.drain([&](const querylog::Record& record, dns::Octets) { records.push_back(record); });
    return records;
  }

 private:
  bool is_started_ = false;
};

std::string address_in(const listener::test::Octets& response) {
  const auto view = dns::ResponseView::parse(response);
  REQUIRE(view);
  for (const auto& record : *view)
    if (record.type == dns::RecordType::a) return IpAddress::from_octets(record.rdata).to_string();
  return dns::to_string(view->code());
}

TEST_CASE("equal questions of many clients, over UDP and TCP, meet in one worker and make one exchange") {
  House house;
  std::vector<Heard> held;
  house.server.set_respond([&](const Heard& heard, dns::Octets) {
    held.push_back(heard);
    return std::vector<Message>{};
  });
  house.start();
  std::vector<std::unique_ptr<UdpClient>> by_datagram;
  std::vector<std::unique_ptr<TcpClient>> by_stream;
  for (std::uint16_t i = 0; i < 8; ++i) {
    by_datagram.push_back(std::make_unique<UdpClient>(loopback, house.address));
    by_datagram.back()->send(query_of(i, i % 2 == 0 ? "www.example" : "WWW.Example"));
    by_stream.push_back(std::make_unique<TcpClient>(loopback, house.address));
    REQUIRE(by_stream.back()->send(query_of(static_cast<std::uint16_t>(100 + i), "www.example")));
  }
  REQUIRE(house.until([&] { return held.size() == 1 && house.both().waiting == 16; }));
  CHECK(house.both().exchanges == 1);
  CHECK(house.both().joined == 15);
  const int owner = listener::owner_of(query_of(1, "www.example"), 2);
  CHECK(house.report(static_cast<std::size_t>(owner)).resolver.received == 16);
  CHECK(house.report(static_cast<std::size_t>(1 - owner)).resolver.received == 0);

  house.server.send(held[0].client_port, tests::address_of(held[0], 7));
  for (std::uint16_t i = 0; i < 8; ++i) {
    const auto response = house.response_to(*by_datagram[i]);
    CHECK(id_of(response) == i);
    CHECK(address_in(response) == "192.0.2.7");
    REQUIRE(house.until([&] {
      by_stream[i]->take();
      return by_stream[i]->messages().size() == 1;
    }));
    CHECK(id_of(by_stream[i]->messages()[0]) == 100 + i);
    CHECK(address_in(by_stream[i]->messages()[0]) == "192.0.2.7");
  }
  CHECK(house.server.heard().size() == 1);
  CHECK(house.both().answered == 16);
  CHECK(house.records().size() == 16);
  CHECK(house.unknown_clients == 1);  // once a minute
}

TEST_CASE("each worker serves the questions that it owns, whichever worker's connection they came on") {
  House house;
  house.start();
  const auto of_first = names_of(0, 5), of_second = names_of(1, 3);
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 6; ++i) {  // the kernel spreads them over both workers' sockets
    clients.push_back(std::make_unique<TcpClient>(loopback, house.address));
    for (const auto& names : {of_first, of_second})
      for (const std::string& name : names) REQUIRE(clients.back()->send(query_of(7, name)));
  }
  for (const auto& client : clients)
    CHECK(house.until([&] {
      client->take();
      return client->messages().size() == 8;
    }));
  CHECK(house.report(0).resolver.received == 30);
  CHECK(house.report(1).resolver.received == 18);
  CHECK(house.server.heard().size() == 8);
  CHECK(house.report(0).tcp.received + house.report(1).tcp.received == 48);
}

TEST_CASE("a dropped query of a connection gives its place back, over the other worker too") {
  WorkerOptions options = House::worker_options();
  options.tcp.queries_in_flight_max = 2;
  std::vector<policy::Rule> rules;
  const auto of_first = names_of(0, 2), of_second = names_of(1, 2);
  rules.push_back(rule_for(of_first[0], policy::Drop{}));
  rules.push_back(rule_for(of_second[0], policy::Drop{}));
  House house(rules, options);
  house.start();
  for (int i = 0; i < 4; ++i) {
    TcpClient client(loopback, house.address);
    for (int repeat = 0; repeat < 5; ++repeat) {
      REQUIRE(client.send(query_of(1, of_first[0])));
      REQUIRE(client.send(query_of(2, of_second[0])));
    }
    REQUIRE(client.send(query_of(3, of_first[1])));
    CHECK(house.until([&] {
      client.take();
      return client.messages().size() == 1;
    }));
    CHECK(id_of(client.messages().at(0)) == 3);
  }
  CHECK(house.both().dropped_by_verdict == 40);
}

TEST_CASE("a new snapshot is in use when its sender is told, and the old one is its sender's alone") {
  House house;
  house.start();
  UdpClient client(loopback, house.address);
  client.send(query_of(1, "www.example"));
  CHECK(address_in(house.response_to(client)) == "192.0.2.1");

  house.snapshots.push_back(snapshot_with(house.server.endpoint(), 2, {rule_for("www.example", policy::NxDomain{})}));
  for (const auto& worker : house.workers) {
    std::promise<void> done;
    REQUIRE(worker->install(house.snapshots[1], [&] { done.set_value(); }));
    done.get_future().get();
  }
  CHECK(house.snapshots[0].use_count() == 1);
  CHECK(house.report(0).generation == 2);
  client.send(query_of(2, "www.example"));
  CHECK(address_in(house.response_to(client)) == "NXDOMAIN");
}

TEST_CASE("a change of upstream servers leaves what is under way where it was asked") {
  House house;
  std::vector<Heard> held;
  house.server.set_respond([&](const Heard& heard, dns::Octets) {
    held.push_back(heard);
    return std::vector<Message>{};
  });
  house.start();
  UdpClient waiting(loopback, house.address), client(loopback, house.address);
  waiting.send(query_of(1, "old.example"));
  REQUIRE(house.until([&] { return held.size() == 1; }));

  FakeServer next(house.loop,
                  [](const Heard& heard, dns::Octets) { return std::vector<Message>{tests::address_of(heard, 2)}; });
  house.snapshots.push_back(snapshot_with(next.endpoint(), 2));
  for (const auto& worker : house.workers) {
    std::promise<void> done;
    REQUIRE(worker->install(house.snapshots[1], [&] { done.set_value(); }));
    done.get_future().get();
  }
  client.send(query_of(2, "new.example"));
  CHECK(address_in(house.response_to(client)) == "192.0.2.2");
  house.server.send(held[0].client_port, tests::address_of(held[0], 1));
  CHECK(address_in(house.response_to(waiting)) == "192.0.2.1");
  CHECK(house.server.heard().size() == 1);
}

TEST_CASE("who is told to stop serves what waits, as long as there is patience, and no longer") {
  House house;
  std::vector<Heard> held;
  house.server.set_respond([&](const Heard& heard, dns::Octets) {
    held.push_back(heard);
    return std::vector<Message>{};
  });
  house.start();
  UdpClient client(loopback, house.address);
  client.send(query_of(5, "www.example"));
  REQUIRE(house.until([&] { return held.size() == 1; }));
  const auto owner = static_cast<std::size_t>(listener::owner_of(query_of(5, "www.example"), 2));
  bool has_response = false;
  std::thread control([&] { house.workers[owner]->stop(milliseconds(60'000)); });
  house.server.send(held[0].client_port, tests::address_of(held[0], 1));
  has_response = house.until([&] { return client.has_response(); });
  control.join();
  CHECK(has_response);
  house.workers.erase(house.workers.begin() + static_cast<std::ptrdiff_t>(owner));

  // The other has a query that nobody answers, and no patience.
  const std::string name = names_of(owner == 0 ? 1 : 0, 1)[0];
  TcpClient last(loopback, house.address);
  REQUIRE(last.send(query_of(6, name)));
  REQUIRE(house.until([&] { return held.size() == 2; }));
  house.workers[0]->stop(milliseconds(0));
  house.workers.clear();
  last.take();
  CHECK(last.messages().empty());
}

TEST_CASE("a full mailbox refuses, counts, and keeps what it took") {
  House house;  // not started: nobody reads the mail
  int taken = 0, done = 0;
  while (house.workers[0]->install(house.snapshots[0], [&done] { ++done; })) ++taken;
  CHECK_FALSE(house.workers[0]->report([](const WorkerReport&) {}));
  CHECK(taken > 1'000);
  CHECK(taken < 1'000'000);
  house.start();
  std::promise<WorkerReport> promise;
  while (!house.workers[0]->report([&](WorkerReport report) { promise.set_value(std::move(report)); }))
    std::this_thread::yield();
  CHECK(promise.get_future().get().mailbox_refused >= 2);
  CHECK(done == taken);
}

TEST_CASE("a redirected query waits for the warden's word on whom it was meant for") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  listener::Socket warden(ends[1]);
  WorkerOptions options = House::worker_options();
  options.origin_channel = ends[0];
  House house({}, options, SocketKind::redirected);
  house.start();
  UdpClient client(loopback, house.address);
  const Endpoint foreign{IpAddress::v4(114, 114, 114, 114), 53};
  std::vector<querylog::Record> records;
  // The kernel steers these names to the worker that has the channel. It waits for the warden half a second; a machine
  // may be slower than that, but not always.
  for (const std::string& name : names_of(0, 20)) {
    client.send(query_of(8, name));
    std::array<std::uint8_t, 4'096> octets;
    const ssize_t size = ::recv(warden.get(), octets.data(), octets.size(), 0);
    REQUIRE(size > 0);
    const auto questions = redirect::parse_origin_questions({octets.data(), static_cast<std::size_t>(size)});
    REQUIRE(questions);
    REQUIRE(questions->size() == 1);
    CHECK(questions->at(0).protocol == redirect::Protocol::udp);
    CHECK(questions->at(0).client.address == loopback);
    const std::vector<redirect::OriginAnswer> answers{{questions->at(0).ticket, foreign}};
    const auto answer = redirect::write_origin_answers(answers);
    REQUIRE(::send(warden.get(), answer.data(), answer.size(), 0) > 0);
    CHECK(address_in(house.response_to(client)) == "192.0.2.1");
    (void)house.report(0);  // now the record is written
    records = house.records();
    REQUIRE(records.size() == 1);
    if (records[0].destination.is_intercepted()) break;
  }
  CHECK(records[0].destination == device::Destination{foreign, device::DestinationSource::conntrack});
  CHECK(house.both().intercepted == 1);

  // The worker without a channel cannot tell: it serves all the same, as meant for us.
  client.send(query_of(9, names_of(1, 1)[0]));
  CHECK(address_in(house.response_to(client)) == "192.0.2.1");
  const auto report = house.report(1);
  CHECK(report.origins_unknown == 1);
  CHECK(report.resolver.intercepted == 0);
}

}  // namespace
}  // namespace doline::resolver

// What stories (tests/scenario) cannot tell of a Resolver: what it costs.
#include "resolver/resolver.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "allocations.h"
#include "querylog/ring.h"
#include "resolver/antechamber.h"
#include "scenario/fakes.h"
#include "unit/policy/compiled_lists.h"

namespace doline::resolver {
namespace {

const dns::SipKey secret{3};
const Endpoint server{IpAddress::v4(192, 0, 2, 53), 53};

/// As the worker's: into a ring, which takes no memory.
class RingOutbox final : public Outbox {
 public:
  bool record(const querylog::Record& record, dns::Octets response) override { return ring_.push(record, response); }

 private:
  querylog::Ring ring_;
};

const device::MacAddress camera = *device::MacAddress::parse("94:51:3d:13:9a:35");

struct House {
  explicit House(std::shared_ptr<const Snapshot> first = snapshot()) : begun_with(std::move(first)) {}

  std::shared_ptr<const Snapshot> begun_with;
  std::vector<redirect::Admission> admissions;
  bool has_warden = true;
  tests::OwnClock clock;
  tests::ToldExchange exchange;
  RingOutbox outbox;
  std::size_t late_responses = 0;
  CanaryCage cage{9};
  std::optional<MonotonicTime> woken_at;
  bool is_neighbour = false;  // whoever asks; the kernel finds out his MAC...
  std::optional<device::MacAddress> found_out;
  std::vector<std::pair<listener::Arrival, MonotonicTime>> later;
  std::vector<CanaryReturn> returned;
  std::vector<std::uint8_t> out = std::vector<std::uint8_t>(response_octets_max);
  std::array<std::uint8_t, 512> octets{};  // of the last query
  Resolver resolver{{.cache = {}, .seed = 1, .cookies = dns::CookieSecrets(secret, secret), .canaries = cage},
                    {.exchange = exchange,
                     .outbox = outbox,
                     .send = [this](const auto&, const Endpoint&, dns::Octets) { ++late_responses; },
                     .forget = [](const auto&) {},
                     .report_unknown_client = [](const IpAddress&) {},
                     .find_mac = [this](const IpAddress&) { return found_out; },
                     .meet = [this](const IpAddress&) { return is_neighbour; },
                     .serve_later =
                         [this](const listener::Arrival& arrival, MonotonicTime at) {
                           later.emplace_back(arrival, at);
                           return true;
                         },
                     .report_canary = [this](const CanaryReturn& come) { returned.push_back(come); },
                     .admit =
                         [this](const redirect::Admission& admission) {
                           admissions.push_back(admission);
                           return has_warden;
                         },
                     .wake_at = [this](MonotonicTime at) { woken_at = at; },
                     .clock = clock},
                    begun_with};

  static std::shared_ptr<const Snapshot> snapshot() {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->roster = std::make_shared<const device::Roster>();
    snapshot->lists = compile_lists({"listed.example\n"});
    policy::RuleBookSettings settings;
    settings.lists = {{"ads", policy::ListKind::block, policy::Mode::enforce}};
    settings.rewrites = {{.addresses = {IpAddress::v4(10, 0, 0, 1)}, .cname = {}},
                         {.addresses = {}, .cname = *dns::Name::parse("target.example")}};
    const std::pair<const char*, policy::Action> rules[] = {
        {"refused.example", policy::Refuse{}},     {"nxdomain.example", policy::NxDomain{}},
        {"nodata.example", policy::NoData{}},      {"dropped.example", policy::Drop{}},
        {"rewritten.example", policy::Rewrite{0}}, {"led.example", policy::Rewrite{1}}};
    for (const auto& [name, then] : rules) {
      policy::Rule rule;
      rule.when.names = {{policy::NamePattern::Kind::subtree, *dns::Name::parse(name)}};
      rule.then = then;
      settings.rules.push_back(rule);
    }
    snapshot->rules = std::make_shared<const policy::RuleBook>(std::move(settings));
    snapshot->resolvers = std::make_shared<const geo::ResolverBook>();
    upstream::Options upstream;
    upstream.routes.push_back({.name = "default", .servers = {server}});
    snapshot->upstream = std::make_shared<const upstream::Options>(upstream);
    snapshot->allow_clients = {*IpPrefix::parse("192.168.0.0/16")};
    return snapshot;
  }

  /// The same where the client that asks is a camera that is only-resolved, and doh.example a known DoH name.
  static std::shared_ptr<const Snapshot> snapshot_with_gate(std::uint64_t telling = 0) {
    auto changed = std::make_shared<Snapshot>(*snapshot());
    device::RosterBuilder builder;
    builder.add_device({.name = "camera",
                        .macs = {camera},
                        .addresses = {*IpPrefix::parse("192.168.1.20")},
                        .client_ids = {},
                        .hostname = {},
                        .groups = {},
                        .log = {}});
    changed->roster = builder.build();
    auto gate = std::make_shared<Gate>();
    gate->is_held = {false, true};
    gate->doh = std::make_shared<const blocklist::DohNames>(
        blocklist::DohNames{.names = {*dns::Name::parse("doh.example")}, .lists = {}});
    gate->doh_telling = telling;
    changed->gate = gate;
    return changed;
  }

  /// A query with EDNS and a cookie; how much memory it asked for.
  std::size_t cost_of(const std::string& name, dns::ResponseCode* code = nullptr,
                      const IpAddress& client = IpAddress::v4(192, 168, 1, 20)) {
    octets.fill(0);
    dns::MessageWriter writer(octets);
    writer.header(7, {.response = false, .recursion_desired = true, .recursion_available = false},
                  dns::ResponseCode::noerror);
    REQUIRE(writer.question({*dns::Name::parse(name)}));
    const std::array<std::uint8_t, 8> cookie{1};
    REQUIRE(writer.opt({.dnssec_ok = true, .cookie = cookie}));
    listener::Arrival arrival;
    arrival.message = std::span(octets).first(writer.size());
    arrival.client = {client, 40'000};
    arrival.destination = {{IpAddress::v4(8, 8, 8, 8), 53}, device::DestinationSource::tproxy};
    arrival.at = clock.now();
    const std::size_t before = tests::allocations;
    resolver.begin_batch(arrival.at);
    const std::size_t size = resolver.serve(arrival, out);
    const std::size_t cost = tests::allocations - before;
    if (size > 0 && code) *code = static_cast<dns::ResponseCode>(out[3] & 0x0f);
    return cost;
  }

  void answer_all(const std::vector<tests::Said>& records = {}) {
    while (!exchange.asked().empty())
      REQUIRE_FALSE(exchange.answer(
          0, tests::server_octets(exchange.asked()[0].request.question, dns::ResponseCode::noerror, false, records),
          server));
  }
};

tests::Said address_record(const std::string& owner) {
  return {dns::Section::answer, dns::parse_record(owner + " 300 A 192.0.2.1", 0).value()};
}

TEST_CASE("a canary of ours is told of, answered and never forwarded, and another Doline's is a name like any other") {
  House house;
  dns::ResponseCode code = dns::ResponseCode::noerror;
  const std::uint64_t not_recorded = house.resolver.statistics().not_recorded;
  for (const Canary& canary : {Canary{Canary::Kind::loop, 3}, Canary{Canary::Kind::probe, 4}}) {
    (void)house.cost_of(house.cage.name_of(canary).to_string(), &code);
    CHECK(code == dns::ResponseCode::nxdomain);
    REQUIRE_FALSE(house.returned.empty());
    CHECK(house.returned.back().canary == canary);
    CHECK(house.returned.back().destination.is_intercepted());
  }
  CHECK(house.resolver.statistics().not_recorded == not_recorded + 2);
  CHECK(house.exchange.asked().empty());

  const CanaryCage theirs(10);
  (void)house.cost_of(theirs.name_of({Canary::Kind::loop, 3}).to_string());
  CHECK(house.exchange.asked().size() == 1);
  // What is no canary of anybody's and below .alt never leaves.
  (void)house.cost_of("www.doline.alt", &code);
  CHECK(house.exchange.asked().size() == 1);
  CHECK(house.returned.size() == 2);
}

TEST_CASE("a notification goes to who knows the zones, and into no log, and elsewhere it is an opcode like others") {
  auto changed = std::make_shared<Snapshot>(*House::snapshot());
  std::vector<std::string> heard;
  changed->answer_notification = [&](const IpAddress& client, dns::Octets message, WallTime,
                                     std::span<std::uint8_t> out) {
    heard.push_back(client.to_string() + " " + std::to_string(message.size()));
    out[0] = 77;
    return std::size_t{12};
  };
  std::array<std::uint8_t, 512> octets{};
  dns::MessageWriter writer(octets);
  writer.header(7, {.response = false, .opcode = dns::Opcode::notify}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({*dns::Name::parse("rpz.example"), dns::RecordType::soa}));
  listener::Arrival arrival;
  arrival.message = std::span(octets).first(writer.size());
  arrival.client = {IpAddress::v4(10, 9, 9, 9), 53};  // who need not be allowed to ask
  arrival.destination.endpoint = {IpAddress::v4(192, 168, 1, 1), 53};
  const auto serve = [&](House& house) {
    const std::size_t size = house.resolver.serve(arrival, house.out);
    return size == 12 && house.out[0] == 77 ? "answered" : (house.out[3] & 0x0f) == 4 ? "NOTIMP" : "?";
  };
  House house(changed), other;
  CHECK(serve(house) == std::string("answered"));
  CHECK(heard == std::vector<std::string>{"10.9.9.9 29"});
  CHECK(house.resolver.statistics().not_recorded == 1);
  CHECK(house.resolver.statistics().received == house.resolver.statistics().answered);
  CHECK(serve(other) == std::string("NOTIMP"));
  arrival.destination.source = device::DestinationSource::tproxy;
  arrival.destination.endpoint = {IpAddress::v4(9, 9, 9, 9), 53};
  CHECK(serve(house) == std::string("NOTIMP"));
  CHECK(heard.size() == 1);
}

TEST_CASE("an upstream that asks what it is being asked smells of a loop, a client does not") {
  House house;
  (void)house.cost_of("www.example");
  REQUIRE(house.exchange.asked().size() == 1);
  (void)house.cost_of("www.example");
  CHECK(house.returned.empty());
  (void)house.cost_of("other.example", nullptr, server.address);
  CHECK(house.returned.empty());
  for (int i = 0; i < 3; ++i) (void)house.cost_of("www.example", nullptr, server.address);
  REQUIRE(house.returned.size() == 1);  // one a second
  CHECK_FALSE(house.returned[0].canary);
  CHECK(house.returned[0].client.address == server.address);
}

TEST_CASE("a device of the roster at an address that nobody has met is waited for, and then judged as itself") {
  auto known = std::make_shared<Snapshot>(*House::snapshot());
  device::RosterBuilder builder;
  builder.add_device({.name = "camera",
                      .macs = {camera},
                      .addresses = {},
                      .client_ids = {},
                      .hostname = {},
                      .groups = {},
                      .log = device::LogChoice::none});
  known->roster = builder.build();
  House house(known);
  house.is_neighbour = true;
  (void)house.cost_of("www.example");
  REQUIRE(house.later.size() == 1);
  CHECK(house.resolver.statistics().received == 0);
  CHECK(house.exchange.asked().empty());

  house.found_out = camera;
  house.clock.pass(milliseconds(2));
  (void)house.cost_of("www.example");
  CHECK(house.later.size() == 1);
  CHECK(house.exchange.asked().size() == 1);
  house.answer_all({address_record("www.example")});
  CHECK(house.resolver.statistics().not_recorded == 1);
  CHECK(house.resolver.statistics().received == 1);
}

TEST_CASE("nobody waits longer for his MAC than there is patience, whoever takes his place in the book meanwhile") {
  House house;
  house.is_neighbour = true;
  int waited = 0;
  (void)house.cost_of("www.example");
  while (waited < 1000 && !house.later.empty()) {
    ++waited;
    const auto [again, at] = house.later.back();
    house.later.clear();
    (void)house.resolver.install(std::make_shared<Snapshot>(*house.begun_with));  // the book forgets everybody
    house.clock.pass(std::chrono::duration_cast<milliseconds>(at - house.clock.now().monotonic));
    house.resolver.begin_batch(house.clock.now());
    (void)house.resolver.serve(again, house.out);
  }
  CHECK(waited > 1);
  CHECK(waited < 1000);
  CHECK(house.exchange.asked().size() == 1);
}

TEST_CASE("what other upstreams said, or will say, answers nobody who asks after their time") {
  House house;
  const auto ask = [&](const char* name) { (void)house.cost_of(name); };
  ask("www.example");
  house.answer_all({address_record("www.example")});
  ask("www.example");
  CHECK(house.resolver.statistics().from_cache == 1);
  ask("slow.example");  // and is on its way

  auto next = std::make_shared<Snapshot>(*house.begun_with);
  next->era = 1;
  (void)house.resolver.install(next);
  CHECK(house.resolver.cache_statistics().entries == 0);
  ask("www.example");
  CHECK(house.resolver.statistics().from_cache == 1);
  REQUIRE(house.exchange.asked().size() == 2);
  const auto answer_first = [&](const char* name) {
    REQUIRE_FALSE(house.exchange.answer(0,
                                        tests::server_octets(house.exchange.asked()[0].request.question,
                                                             dns::ResponseCode::noerror, false, {address_record(name)}),
                                        server));
  };
  answer_first("slow.example");
  CHECK(house.late_responses == 2);
  CHECK(house.resolver.cache_statistics().entries == 0);
  ask("slow.example");
  CHECK(house.exchange.asked().size() == 2);
  CHECK(house.resolver.statistics().joined == 0);
  answer_first("www.example");
  answer_first("slow.example");
  CHECK(house.late_responses == 4);
  CHECK(house.resolver.cache_statistics().entries == 2);
}

TEST_CASE("answers of ours, of the cache and errors cost no allocation, once the client is known") {
  House house;
  (void)house.cost_of("refused.example");  // the first time this client is reported as unknown
  for (const char* name : {"listed.example", "www.listed.example", "refused.example", "nxdomain.example",
                           "nodata.example", "dropped.example", "rewritten.example"}) {
    CAPTURE(name);
    CHECK(house.cost_of(name) == 0);
  }
  CHECK(house.resolver.statistics().waiting == 0);

  CHECK(house.cost_of("www.example") > 0);  // a query that waits is kept: so this counts what it claims to
  house.answer_all({address_record("www.example")});
  (void)house.cost_of("led.example");
  house.answer_all({address_record("target.example")});
  CHECK(house.late_responses == 2);
  CHECK(house.cost_of("www.example") == 0);
  CHECK(house.cost_of("led.example") == 0);
  CHECK(house.resolver.statistics().from_cache == 2);

  // Once as many have waited as wait now, keeping a query costs nothing either.
  CHECK(house.cost_of("other.example") == 0);
  house.answer_all({address_record("other.example")});

  (void)house.cost_of("failing.example");
  house.exchange.fail(0, upstream::ExchangeFault::timeout);
  dns::ResponseCode code{};
  CHECK(house.cost_of("failing.example", &code) == 0);
  CHECK(code == dns::ResponseCode::servfail);
}

TEST_CASE("an answer that comes when its question has failed is known to who asks next") {
  House house;
  dns::ResponseCode code{};
  (void)house.cost_of("slow.example");
  const upstream::Request request = house.exchange.asked().at(0).request;
  house.exchange.fail(0, upstream::ExchangeFault::timeout);
  (void)house.cost_of("slow.example", &code);
  CHECK(code == dns::ResponseCode::servfail);
  house.exchange.answer_late(
      request,
      tests::server_octets(request.question, dns::ResponseCode::noerror, false, {address_record("slow.example")}),
      server);
  (void)house.cost_of("slow.example", &code);
  CHECK(code == dns::ResponseCode::noerror);
  CHECK(house.resolver.statistics().from_cache == 1);
  CHECK(house.exchange.asked().empty());
}

TEST_CASE("a held device is told no address before the kernel knows it, be it new, cached or our own") {
  House house(House::snapshot_with_gate());
  (void)house.cost_of("www.example");
  house.answer_all({address_record("www.example")});
  CHECK(house.late_responses == 0);
  REQUIRE(house.admissions.size() == 1);
  CHECK(house.admissions[0].devices == std::vector{camera});
  CHECK(house.admissions[0].addresses == std::vector{IpAddress::v4(192, 0, 2, 1)});
  CHECK(house.admissions[0].ttl_seconds == 300);
  house.resolver.hear_admission({house.admissions[0].ticket, true});
  CHECK(house.late_responses == 1);
  house.resolver.hear_admission({house.admissions[0].ticket, true});
  CHECK(house.late_responses == 1);

  house.clock.pass(seconds(100));
  for (const char* name : {"www.example", "rewritten.example"}) {
    CAPTURE(name);
    dns::ResponseCode none = dns::ResponseCode::badvers;
    (void)house.cost_of(name, &none);
    CHECK(none == dns::ResponseCode::badvers);  // nothing came at once
    CHECK(house.resolver.statistics().held_back == 1);
    house.resolver.hear_admission({house.admissions.back().ticket, true});
    CHECK(house.resolver.statistics().held_back == 0);
  }
  CHECK(house.admissions.size() == 3);
  CHECK(house.admissions[1].ttl_seconds == 200);
  CHECK(house.admissions[2].addresses == std::vector{IpAddress::v4(10, 0, 0, 1)});
  CHECK(house.late_responses == 3);
  CHECK(house.resolver.statistics().admitted == 3);
  CHECK(house.resolver.statistics().waiting == 0);

  // What gives no address that could be connected to waits for nobody.
  for (const char* name : {"listed.example", "nxdomain.example", "refused.example"}) {
    dns::ResponseCode code = dns::ResponseCode::badvers;
    (void)house.cost_of(name, &code);
    CHECK(code != dns::ResponseCode::badvers);
  }
  CHECK(house.admissions.size() == 3);
}

TEST_CASE("a warden that is silent, says no or is gone costs a held device some time, and is counted") {
  House house(House::snapshot_with_gate());
  (void)house.cost_of("rewritten.example");
  house.clock.pass(admission_patience - milliseconds(10));
  house.resolver.send_due();
  CHECK(house.late_responses == 0);
  house.clock.pass(milliseconds(20));
  house.resolver.send_due();
  CHECK(house.late_responses == 1);
  CHECK(house.resolver.statistics().unadmitted == 1);
  house.resolver.hear_admission({house.admissions[0].ticket, true});  // too late
  CHECK(house.late_responses == 1);

  (void)house.cost_of("rewritten.example");
  house.resolver.hear_admission({house.admissions[1].ticket, false});
  CHECK(house.late_responses == 2);
  CHECK(house.resolver.statistics().unadmitted == 2);

  house.has_warden = false;
  dns::ResponseCode code = dns::ResponseCode::badvers;
  (void)house.cost_of("rewritten.example", &code);
  CHECK(code == dns::ResponseCode::noerror);
  CHECK(house.resolver.statistics().unadmitted == 3);
  CHECK(house.resolver.statistics().waiting == 0);
  CHECK(house.resolver.statistics().admitted == 0);
}

TEST_CASE("upstream's addresses of a known DoH name are told to the warden, for whoever asks") {
  House house(House::snapshot_with_gate());
  (void)house.cost_of("DOH.example");
  house.answer_all({address_record("doh.example")});
  REQUIRE_FALSE(house.admissions.empty());
  CHECK(house.admissions[0].purpose == redirect::Purpose::doh);
  CHECK(house.admissions[0].devices.empty());
  CHECK(house.admissions[0].addresses == std::vector{IpAddress::v4(192, 0, 2, 1)});
}

TEST_CASE("what the cache holds of DoH names is told when they become known, and again when it may be forgotten") {
  House house;
  for (const char* name : {"doh.example", "other.example"}) {
    (void)house.cost_of(name);
    house.answer_all({address_record(name)});
  }
  const auto tell = [&](std::shared_ptr<const Snapshot> next) {
    house.admissions.clear();
    house.woken_at.reset();
    (void)house.resolver.install(std::move(next));
    while (house.woken_at) {
      house.woken_at.reset();
      house.resolver.send_due();
    }
    return house.admissions;
  };
  CHECK(tell(House::snapshot()).empty());
  house.clock.pass(seconds(100));
  const auto told = tell(House::snapshot_with_gate(1));
  REQUIRE(told.size() == 1);
  CHECK(told[0].purpose == redirect::Purpose::doh);
  CHECK(told[0].addresses == std::vector{IpAddress::v4(192, 0, 2, 1)});
  CHECK(told[0].ttl_seconds == 300);
  CHECK(told[0].age_seconds == 100);
  CHECK(tell(House::snapshot_with_gate(1)).empty());
  CHECK(tell(House::snapshot_with_gate(2)).size() == 1);
  house.clock.pass(seconds(200));
  CHECK(tell(House::snapshot_with_gate(3)).empty());  // its TTL has run out
}

}  // namespace
}  // namespace doline::resolver

#include "upstream/plain_exchange.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "allocations.h"
#include "fake_server.h"
#include "knot_server.h"
#include "upstream/question_table.h"
#include "upstream/server_state.h"

namespace doline::upstream {
namespace {

using dns::ResponseCode;
using tests::address_of;
using tests::bare;
using tests::FakeServer;
using tests::Heard;
using tests::Message;
using tests::Over;
using Messages = std::vector<Message>;

const char* const letters = "a-name-with-many-letters-so-that-case-cannot-repeat-by-chance.example";

FakeServer::Respond always(std::uint8_t last) {
  return [last](const Heard& heard, dns::Octets) { return Messages{address_of(heard, last)}; };
}
FakeServer::Respond never() {
  return [](const Heard&, dns::Octets) { return Messages{}; };
}
FakeServer::Respond says(ResponseCode code) {
  return [code](const Heard& heard, dns::Octets) { return Messages{bare(heard, code)}; };
}

struct Said {
  std::optional<ExchangeFault> fault;
  std::optional<Complaint> complaint;
  std::uint8_t last = 0;  ///< octet of the address answered
  Endpoint server;
  int calls = 0;
};

struct Bench final : Landing {
  asio::io_context loop{1};
  Options options{.routes = {{.name = "default", .servers = {}}}};
  std::unique_ptr<PlainExchange> exchange;
  using Done = std::function<void(const Result<Reply, Failure>&)>;
  std::vector<Done> asked;        ///< by ticket
  std::vector<std::string> late;  ///< names that were answered after they had landed
  int turns_landed_in = 0;
  bool is_asking = false;

  void begin_landings() override { ++turns_landed_in; }
  void land(Ticket ticket, const Result<Reply, Failure>& result) override {
    CHECK_FALSE(is_asking);
    const Done done = std::exchange(asked.at(ticket), nullptr);
    REQUIRE(done);
    done(result);
  }
  void land_late(const Request& request, const Reply& reply) override {
    CHECK(dns::ResponseView::parse(reply.words)->record_count() > 0);
    late.push_back(request.question.qname.to_string());
  }

  void open(const std::vector<Endpoint>& servers) {
    options.routes[0].servers = servers;
    exchange = std::make_unique<PlainExchange>(loop, options);
    exchange->land_on(*this);
  }
  void ask(const Request& request, Done done) {
    asked.push_back(std::move(done));
    is_asking = true;
    exchange->ask(request, static_cast<Ticket>(asked.size() - 1), std::chrono::steady_clock::now());
    is_asking = false;
  }
  std::shared_ptr<Said> begin(const std::string& name = letters, bool dnssec_ok = false,
                              bool checking_disabled = false) {
    auto said = std::make_shared<Said>();
    ask({{dns::Name::parse(name).value(), dns::RecordType::a}, dnssec_ok, checking_disabled, 0},
        [said](const Result<Reply, Failure>& result) {
          ++said->calls;
          if (!result) {
            said->fault = result.error().fault;
            if (result.error().complaint) said->complaint = *result.error().complaint;
            return;
          }
          said->server = result->server;
          const auto view = dns::ResponseView::parse(result->words);
          if (view && view->record_count() > 0) said->last = view->begin()->rdata.back();
        });
    return said;
  }
  /// As whoever runs the loop: what a turn has queued leaves at its end.
  void turn() {
    if (exchange) exchange->flush();
    REQUIRE(loop.run_one() == 1);
  }
  void turns_for(milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    do {
      if (exchange) exchange->flush();
    } while (loop.run_one_until(end) > 0);
  }
  void finish(const Said& said) {
    while (said.calls == 0) turn();
  }
  Said ask(const std::string& name = letters) {
    const auto said = begin(name);
    finish(*said);
    CHECK(said->calls == 1);
    return *said;
  }
  Said ask_another() { return ask("n" + std::to_string(asked.size()) + ".example"); }
};

/// An address where somebody has just stopped to listen.
Endpoint nobody_listens(asio::io_context& loop) {
  return FakeServer(loop, never()).endpoint();
}

TEST_CASE("a question is asked by UDP and its answer comes back") {
  Bench bench;
  FakeServer server(bench.loop, always(7));
  bench.open({server.endpoint()});
  const Said said = bench.ask("www.example");
  CHECK_FALSE(said.fault.has_value());
  CHECK(said.last == 7);
  CHECK(said.server == server.endpoint());
  REQUIRE(server.heard().size() == 1);
  const Heard& heard = server.heard()[0];
  CHECK(heard.over == Over::udp);
  CHECK(heard.question == dns::Question{dns::Name::parse("www.example").value(), dns::RecordType::a});
  CHECK(heard.has_edns);
  CHECK(heard.udp_payload_size == 1'232);
  CHECK_FALSE(heard.dnssec_ok);
  CHECK_FALSE(heard.checking_disabled);
  const auto health = bench.exchange->health();
  REQUIRE(health.size() == 1);
  CHECK(health[0].is_up);
  CHECK(health[0].asked == 1);
  CHECK(health[0].answered == 1);
  CHECK(health[0].round_trip > microseconds(0));
}

TEST_CASE("DO and CD are passed on") {
  Bench bench;
  FakeServer server(bench.loop, always(7));
  bench.open({server.endpoint()});
  bench.finish(*bench.begin("www.example", true, false));
  bench.finish(*bench.begin("www.example", false, true));
  CHECK(server.heard()[0].dnssec_ok);
  CHECK_FALSE(server.heard()[0].checking_disabled);
  CHECK_FALSE(server.heard()[1].dnssec_ok);
  CHECK(server.heard()[1].checking_disabled);
}

TEST_CASE("every question has another ID and another case, and goes from a port of the day") {
  Bench bench;
  FakeServer server(bench.loop, always(7));
  bench.open({server.endpoint()});
  std::set<std::uint16_t> ports, ids;
  std::set<std::string> cases;
  constexpr std::size_t questions = 3 * questions_per_socket_max;
  for (std::size_t i = 0; i < questions; ++i) (void)bench.ask();
  for (const Heard& heard : server.heard()) {
    ports.insert(heard.client_port);
    ids.insert(heard.id);
    cases.insert(heard.question.qname.to_string());
  }
  CHECK(ports.size() >= 3);
  CHECK(ids.size() >= questions * 9 / 10);
  CHECK(cases.size() == questions);
  CHECK(*ports.begin() >= 1'024);
}

TEST_CASE("questions of one turn leave together, and so many as may be in flight share few sockets") {
  Bench bench;
  bench.options.routes[0].timeout = seconds(60);
  std::size_t first = 0;
  FakeServer server(bench.loop, [&](const Heard& heard, dns::Octets) {
    ++first;
    return Messages{address_of(heard, 7)};
  });
  bench.open({server.endpoint()});
  std::vector<std::shared_ptr<Said>> all;
  for (int i = 0; i < 200; ++i) all.push_back(bench.begin("n" + std::to_string(i) + ".example"));
  CHECK(bench.exchange->in_flight() == 200);
  bench.loop.poll();
  CHECK(first == 0);  // nothing has left yet
  for (const auto& said : all) bench.finish(*said);
  CHECK(bench.exchange->in_flight() == 0);
  CHECK(std::all_of(all.begin(), all.end(), [](const auto& said) { return said->last == 7; }));
  std::set<std::uint16_t> ports;
  for (const Heard& heard : server.heard()) ports.insert(heard.client_port);
  CHECK(ports.size() < 20);
  CHECK(bench.turns_landed_in <= 200);
}

TEST_CASE("after the first ones a question costs no memory") {
  Bench bench;
  FakeServer server(bench.loop, always(7));
  bench.open({server.endpoint()});
  const Request request{{dns::Name::parse(letters).value(), dns::RecordType::a}, false, false, 0};
  bool is_landed = false;
  // Of the loop's turns those are counted in which something lands; in the others the server of the test answers.
  std::size_t cost = 0;
  for (int i = 0; i < 1'000; ++i) {
    is_landed = false;
    bench.ask(request, [&](const Result<Reply, Failure>&) { is_landed = true; });
    bench.asked.reserve(2'000);
    bench.exchange->flush();
    while (!is_landed) {
      const std::size_t before = tests::allocations;
      bench.turn();
      if (is_landed && i > 600) cost += tests::allocations - before;
    }
    bench.asked.back() = nullptr;
  }
  CHECK(cost == 0);
  bench.asked.emplace_back();
  cost = tests::allocations;
  bench.exchange->ask(request, static_cast<Ticket>(bench.asked.size() - 1), std::chrono::steady_clock::now());
  bench.exchange->flush();
  CHECK(tests::allocations == cost);
}

TEST_CASE("who knows port and ID but not the case, or the port but not the ID, is not heard") {
  Bench bench;
  FakeServer server(bench.loop, never());
  std::size_t forged = 0;
  server.set_respond([&](const Heard& heard, dns::Octets) {
    if (heard.over == Over::tcp) return Messages{address_of(heard, 7)};
    Messages forgeries;
    for (std::uint32_t id = 0; id < 65'536; id += 257) {  // not the right one
      Heard other = heard;
      other.id = static_cast<std::uint16_t>(heard.id + 1 + id);
      if (other.id != heard.id) forgeries.push_back(address_of(other, 66));
    }
    Heard small = heard;
    small.question.qname = heard.question.qname.lowered();
    forgeries.push_back(address_of(small, 66));
    forged += forgeries.size();
    return forgeries;
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 7);
  CHECK(forged > 200);
}

TEST_CASE("an answer for one question is none for another on the same socket") {
  Bench bench;
  std::vector<Heard> heard;
  FakeServer server(bench.loop, never());
  server.set_respond([&](const Heard& one, dns::Octets) {
    heard.push_back(one);
    if (heard.size() < 2) return Messages{};
    Heard crossed = heard[0];
    crossed.id = heard[1].id;
    return Messages{address_of(crossed, 66), address_of(heard[1], 2), address_of(heard[0], 1),
                    address_of(heard[1], 77)};
  });
  bench.open({server.endpoint()});
  const auto first = bench.begin("first.example"), second = bench.begin("second.example");
  bench.finish(*first);
  bench.finish(*second);
  CHECK(heard[0].client_port == heard[1].client_port);
  CHECK(first->last == 1);
  CHECK(second->last == 2);
}

TEST_CASE("that nobody listens moves all questions of the socket to the next server") {
  Bench bench;
  const Endpoint nobody = nobody_listens(bench.loop);
  FakeServer good(bench.loop, always(3));
  bench.options.routes[0].timeout = seconds(60);
  bench.open({nobody, good.endpoint()});
  std::vector<std::shared_ptr<Said>> all;
  for (int i = 0; i < 100; ++i) all.push_back(bench.begin("n" + std::to_string(i) + ".example"));
  for (const auto& said : all) bench.finish(*said);
  CHECK(std::all_of(all.begin(), all.end(), [](const auto& said) { return said->last == 3 && said->calls == 1; }));
  CHECK(good.heard().size() == 100);
}

TEST_CASE("without randomised case the question goes out as it was asked") {
  Bench bench;
  bench.options.randomise_case = false;
  FakeServer server(bench.loop, always(7));
  bench.open({server.endpoint()});
  (void)bench.ask();
  CHECK(server.heard()[0].question.qname.to_string() == letters);
}

TEST_CASE("what is wrong is ignored, and the right answer behind it is taken") {
  Bench bench;
  bool once = true;
  FakeServer server(bench.loop, [&](const Heard& heard, dns::Octets query) {
    Heard other_id = heard, other_name = heard, other_type = heard;
    other_id.id = static_cast<std::uint16_t>(heard.id + 1);
    other_name.question.qname = dns::Name::parse("other.example").value();
    other_type.question.qtype = dns::RecordType::aaaa;
    Message malformed = address_of(heard, 66);
    malformed.push_back(0);
    Message failed_elsewhere = bare(other_name, ResponseCode::servfail);
    CHECK(std::exchange(once, false));
    return Messages{address_of(other_id, 66),   address_of(other_name, 66),
                    address_of(other_type, 66), malformed,
                    failed_elsewhere,           Message{},
                    Message(11, 0xff),          Message(query.begin(), query.end()),
                    address_of(heard, 7)};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 7);
}

TEST_CASE("an answer from another address is not heard") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(300);
  asio::ip::udp::socket forger(bench.loop, {asio::ip::address_v4::loopback(), 0});
  FakeServer server(bench.loop, [&](const Heard& heard, dns::Octets) {
    forger.send_to(asio::buffer(address_of(heard, 66)), {asio::ip::address_v4::loopback(), heard.client_port});
    return Messages{};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().fault == ExchangeFault::timeout);
  CHECK(server.heard().size() >= 1);
}

TEST_CASE("an answer that does not fit is fetched by TCP, on one connection for many") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    return Messages{heard.over == Over::udp ? bare(heard, ResponseCode::noerror, {.truncated = true})
                                            : address_of(heard, 8)};
  });
  bench.open({server.endpoint()});
  for (int i = 0; i < 3; ++i) CHECK(bench.ask().last == 8);
  std::vector<std::shared_ptr<Said>> together;
  for (int i = 0; i < 20; ++i) together.push_back(bench.begin("n" + std::to_string(i) + ".example"));
  for (const auto& said : together) {
    bench.finish(*said);
    CHECK(said->last == 8);
  }
  CHECK(server.heard_over(Over::udp) == 23);
  CHECK(server.heard_over(Over::tcp) == 23);
  CHECK(server.connections() == 1);
}

TEST_CASE("a connection that ended while idle is opened again") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    return Messages{heard.over == Over::udp ? bare(heard, ResponseCode::noerror, {.truncated = true})
                                            : address_of(heard, 8)};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 8);
  server.close_connections();
  CHECK(bench.ask().last == 8);
  CHECK(server.connections() == 2);
}

TEST_CASE("a connection that is lost without a word costs no question its answer") {
  Bench bench;
  FakeServer server(bench.loop, never());
  server.set_respond([&](const Heard& heard, dns::Octets) {
    if (heard.over == Over::udp) return Messages{bare(heard, ResponseCode::noerror, {.truncated = true})};
    const bool is_lost = server.connections() == 1 && server.heard_over(Over::tcp) > 1;
    return is_lost ? Messages{} : Messages{address_of(heard, 8)};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 8);
  for (int i = 0; i < 3; ++i) CHECK(bench.ask("n" + std::to_string(i) + ".example").last == 8);
  CHECK(server.connections() == 2);
}

TEST_CASE("a server that is silent is asked again, then another") {
  Bench bench;
  FakeServer silent(bench.loop, never()), other(bench.loop, always(9));
  bench.open({silent.endpoint(), other.endpoint()});
  const Said said = bench.ask();
  CHECK(said.last == 9);
  CHECK(said.server == other.endpoint());
  CHECK(silent.heard().size() == 1);
  CHECK(other.heard().size() == 1);
  int lost = 2;
  FakeServer forgetful(bench.loop, [&](const Heard& heard, dns::Octets) {
    return lost-- > 0 ? Messages{} : Messages{address_of(heard, 5)};
  });
  bench.open({forgetful.endpoint()});
  CHECK(bench.ask().last == 5);
  CHECK(forgetful.heard().size() == 3);
}

TEST_CASE("a late answer counts while its exchange lasts") {
  Bench bench;
  std::optional<Heard> first;
  FakeServer slow(bench.loop, never());
  slow.set_respond([&](const Heard& heard, dns::Octets) {
    if (!first)
      first = heard;
    else
      slow.send(first->client_port, address_of(*first, 4));
    return Messages{};
  });
  bench.open({slow.endpoint()});
  CHECK(bench.ask().last == 4);
  CHECK(slow.heard().size() == 2);
}

TEST_CASE("an answer that comes after its question has landed is handed on all the same, once") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(300);
  FakeServer slow(bench.loop, never());
  bench.open({slow.endpoint()});
  CHECK(bench.ask("slow.example").fault == ExchangeFault::timeout);
  CHECK(bench.exchange->in_flight() == 0);
  const Heard heard = slow.heard().front();
  slow.send(heard.client_port, address_of(heard, 4));
  slow.send(heard.client_port, address_of(heard, 4));
  bench.turns_for(milliseconds(50));
  CHECK(bench.late == std::vector<std::string>{"slow.example"});
  CHECK(bench.exchange->health()[0].answered == 1);
}

TEST_CASE("of an exchange that another has taken the place of, late answers are nobody's") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(300);
  FakeServer slow(bench.loop, never());
  bench.open({slow.endpoint()});
  CHECK(bench.ask("slow.example").fault == ExchangeFault::timeout);
  bench.exchange->retire();
  slow.send(slow.heard().front().client_port, address_of(slow.heard().front(), 4));
  bench.turns_for(milliseconds(50));
  CHECK(bench.late.empty());
}

TEST_CASE("a late answer that does not fit is fetched by TCP, and a late failure is nobody's news") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(300);
  FakeServer slow(bench.loop, [](const Heard& heard, dns::Octets) {
    return heard.over == Over::udp ? Messages{} : Messages{address_of(heard, 8)};
  });
  bench.open({slow.endpoint()});
  CHECK(bench.ask("large.example").fault == ExchangeFault::timeout);
  const Heard large = slow.heard().back();
  CHECK(bench.ask("failing.example").fault == ExchangeFault::timeout);
  const Heard failing = slow.heard().back();
  const std::size_t heard = slow.heard().size();
  slow.send(failing.client_port, bare(failing, ResponseCode::servfail));
  slow.send(large.client_port, bare(large, ResponseCode::noerror, {.truncated = true}));
  bench.turns_for(milliseconds(100));
  CHECK(bench.late == std::vector<std::string>{"large.example"});
  CHECK(slow.heard().size() == heard + 1);
}

TEST_CASE("late answers are listened for a while, and only so many") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(300);
  FakeServer slow(bench.loop, never());
  bench.open({slow.endpoint()});
  std::vector<std::shared_ptr<Said>> all;
  for (int i = 0; i < late_exchanges_max + 10; ++i) {
    all.push_back(bench.begin("n" + std::to_string(i) + ".example"));
    if (i % 64 == 0) bench.turns_for(milliseconds(10));  // a socket has little room
  }
  for (const auto& said : all) bench.finish(*said);
  const auto answer = [&] {
    const std::vector<Heard> heard = slow.heard();
    for (const Heard& each : heard) {
      slow.send(each.client_port, address_of(each, 4));
      bench.turns_for(milliseconds(1));
    }
  };
  answer();
  CHECK(bench.late.size() == static_cast<std::size_t>(late_exchanges_max));
  CHECK(bench.ask("last.example").fault == ExchangeFault::timeout);
  bench.turns_for(late_time + milliseconds(50));
  answer();
  CHECK(bench.late.size() == static_cast<std::size_t>(late_exchanges_max));
}

TEST_CASE("when no server answers the exchange ends at its timeout") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(700);
  FakeServer silent(bench.loop, never());
  bench.open({silent.endpoint()});
  CHECK(bench.ask().fault == ExchangeFault::timeout);
  CHECK(silent.heard().size() >= 1);
  CHECK(silent.heard().size() <= static_cast<std::size_t>(1 + repetitions_max));
}

TEST_CASE("a server that fails is passed over at once, and when all fail that is said") {
  Bench bench;
  FakeServer failing(bench.loop, says(ResponseCode::servfail)), refusing(bench.loop, says(ResponseCode::refused)),
      good(bench.loop, always(3));
  bench.open({failing.endpoint(), refusing.endpoint(), good.endpoint()});
  CHECK(bench.ask().last == 3);
  bench.open({failing.endpoint(), refusing.endpoint()});
  CHECK(bench.ask().fault == ExchangeFault::server_failed);
  for (const ServerHealth& health : bench.exchange->health()) CHECK(health.is_up);  // it speaks of the question
}

TEST_CASE("what fails is told with what the server said of it, and one that gives reasons is heard before others") {
  Bench bench;
  const auto with_reason = [](const Heard& heard, dns::Octets) {
    Message octets(512);
    dns::MessageWriter writer(octets);
    writer.header(heard.id, {}, ResponseCode::servfail);
    REQUIRE(writer.question(heard.question));
    REQUIRE(writer.opt({.error = dns::ExtendedError::dnssec_bogus, .error_text = "bogus sig"}));
    octets.resize(writer.size());
    return Messages{octets};
  };
  FakeServer refusing(bench.loop, says(ResponseCode::refused)), reasoning(bench.loop, with_reason),
      other(bench.loop, says(ResponseCode::servfail));
  bench.open({refusing.endpoint()});
  const Said refused = bench.ask();
  REQUIRE(refused.complaint);
  CHECK(to_string(*refused.complaint) == refusing.endpoint().to_string() + " said REFUSED");
  bench.open({refusing.endpoint(), reasoning.endpoint(), other.endpoint()});
  const Said reasoned = bench.ask();
  CHECK(reasoned.fault == ExchangeFault::server_failed);
  REQUIRE(reasoned.complaint);
  CHECK(reasoned.complaint->server == reasoning.endpoint());
  CHECK(reasoned.complaint->error == dns::ExtendedError::dnssec_bogus);
  CHECK(to_string(*reasoned.complaint) == "bogus sig");
  refusing.set_respond(never());
  bench.options.routes[0].timeout = milliseconds(100);
  bench.open({refusing.endpoint()});
  CHECK_FALSE(bench.ask().complaint);
}

TEST_CASE("where nobody listens others are asked at once") {
  Bench bench;
  const Endpoint nobody = nobody_listens(bench.loop);
  FakeServer good(bench.loop, always(3));
  bench.open({nobody, good.endpoint()});
  CHECK(bench.ask().last == 3);
  bench.options.routes[0].timeout = milliseconds(300);
  bench.open({nobody});
  CHECK(bench.ask().fault == ExchangeFault::unreachable);
}

/// Whom the kernel will not send to.
std::vector<Endpoint> nobody_reaches(std::uint16_t count) {
  std::vector<Endpoint> all;
  for (std::uint16_t i = 0; i < count; ++i) all.push_back({IpAddress::v4(255, 255, 255, 255), i});
  return all;
}
std::vector<Endpoint> nobody_listens_at_all(asio::io_context& loop, std::size_t count) {
  std::vector<Endpoint> all;
  while (all.size() < count)
    if (const Endpoint one = nobody_listens(loop); std::ranges::find(all, one) == all.end()) all.push_back(one);
  return all;
}

TEST_CASE("however many refuse or cannot be reached, who answers is asked, and they are known to be down") {
  using Strategy = Route::Strategy;
  for (const Strategy strategy : {Strategy::in_order, Strategy::fastest, Strategy::balance, Strategy::parallel})
    for (const bool are_reached : {true, false}) {
      INFO(static_cast<int>(strategy) << are_reached);
      Bench bench;
      bench.options.routes[0].strategy = strategy;
      FakeServer good(bench.loop, always(3));
      auto servers = are_reached ? nobody_listens_at_all(bench.loop, servers_max - 1) : nobody_reaches(servers_max - 1);
      servers.push_back(good.endpoint());
      bench.open(servers);
      CHECK(bench.ask_another().last == 3);
      if (strategy == Strategy::balance) continue;
      const auto are_down = [&] {
        const auto health = bench.exchange->health();
        return std::all_of(health.begin(), health.end() - 1, [](const auto& one) { return !one.is_up; });
      };
      bench.turns_for(down_silence);
      for (int i = 0; i < 100 && !are_down(); ++i) {
        CHECK(bench.ask_another().last == 3);
        bench.turns_for(milliseconds(1));
      }
      CHECK(are_down());
      CHECK(bench.exchange->health().back().is_up);
    }
}

TEST_CASE("however many are silent, all have their turn in time, and the silent ones are known to be down") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(700);
  std::deque<FakeServer> silent;
  std::vector<Endpoint> servers;
  for (int i = 0; i < 6; ++i) servers.push_back(silent.emplace_back(bench.loop, never()).endpoint());
  FakeServer good(bench.loop, always(3));
  servers.push_back(good.endpoint());
  bench.open(servers);
  for (int i = 0; i < down_after; ++i) CHECK(bench.ask_another().last == 3);
  const auto health = bench.exchange->health();
  for (std::size_t i = 0; i < silent.size(); ++i) CHECK_FALSE(health[i].is_up);
  CHECK(health.back().is_up);
}

TEST_CASE("where all are down that is known, they are asked all the same, and an answer makes one up") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(1'500);
  const auto nobody = nobody_listens_at_all(bench.loop, 2);
  bench.open(nobody);
  for (int i = 0; i < down_after; ++i) CHECK(bench.ask_another().fault == ExchangeFault::unreachable);
  for (const ServerHealth& health : bench.exchange->health()) CHECK_FALSE(health.is_up);
}

TEST_CASE("one question that a server never answers does not mark it down, and an answer makes it well again") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    const bool is_dropped = heard.question.qname == dns::Name::parse("dumb.example").value();
    return is_dropped ? Messages{} : Messages{address_of(heard, 7)};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask("dumb.example").fault == ExchangeFault::timeout);
  CHECK(server.heard().size() >= down_after);
  CHECK(bench.exchange->health()[0].is_up);
  server.set_respond(never());
  std::vector<std::shared_ptr<Said>> all;
  for (int i = 0; i < down_after; ++i) all.push_back(bench.begin("n" + std::to_string(i) + ".example"));
  for (const auto& said : all) bench.finish(*said);
  CHECK_FALSE(bench.exchange->health()[0].is_up);
  server.set_respond(always(7));
  CHECK(bench.ask("last.example").last == 7);
  CHECK(bench.exchange->health()[0].is_up);
}

TEST_CASE("one ICMP error counts as one silence, however many were asked through the socket") {
  Bench bench;
  const Endpoint nobody = nobody_listens(bench.loop);
  FakeServer good(bench.loop, always(3));
  bench.open({nobody, good.endpoint()});
  CHECK(bench.ask().last == 3);
  bench.turns_for(down_silence);
  std::vector<std::shared_ptr<Said>> all;
  {
    const asio::ip::udp::socket silent(bench.loop, {asio::ip::address_v4::loopback(), nobody.port});
    for (int i = 0; i < 5; ++i) all.push_back(bench.begin("n" + std::to_string(i) + ".example"));
    bench.exchange->flush();
  }
  all.push_back(bench.begin("last.example"));
  for (const auto& said : all) {
    bench.finish(*said);
    CHECK(said->last == 3);
  }
  CHECK(bench.exchange->health()[0].is_up);
}

TEST_CASE("that what does not fit cannot be fetched by TCP says nothing about the case") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    return Messages{bare(heard, ResponseCode::noerror, {.truncated = true})};
  });
  server.close_acceptor();
  bench.open({server.endpoint()});
  CHECK(bench.ask().fault == ExchangeFault::unreachable);
  CHECK(bench.ask().fault == ExchangeFault::unreachable);
  CHECK(server.heard().size() == 2);
  CHECK(server.heard().back().question.qname.to_string() != letters);
}

TEST_CASE("a burst of answers that do not fit is fetched though each connection gives one") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    return Messages{heard.over == Over::udp ? bare(heard, ResponseCode::noerror, {.truncated = true})
                                            : address_of(heard, 8)};
  });
  server.close_after(1);
  bench.options.routes[0].timeout = seconds(60);
  bench.open({server.endpoint()});
  std::vector<std::shared_ptr<Said>> all;
  for (int i = 0; i < 40; ++i) all.push_back(bench.begin("n" + std::to_string(i) + ".example"));
  for (const auto& said : all) {
    bench.finish(*said);
    CHECK(said->last == 8);
  }
}

TEST_CASE("a server that does not keep the case is believed by TCP, and remembered") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    Heard small = heard;
    small.question.qname = heard.question.qname.lowered();
    return Messages{address_of(small, 6)};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 6);
  CHECK(server.heard_over(Over::tcp) == 1);
  CHECK(bench.ask().last == 6);
  CHECK(server.heard_over(Over::tcp) == 1);
  CHECK(server.heard().back().question.qname.to_string() == letters);  // no longer randomised
}

TEST_CASE("a server that neither keeps the case nor has TCP is asked without") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    Heard small = heard;
    small.question.qname = heard.question.qname.lowered();
    return Messages{address_of(small, 6)};
  });
  server.close_acceptor();
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 6);
  CHECK(bench.ask().last == 6);
  CHECK(server.heard().size() == 3);
}

TEST_CASE("a server that does not know EDNS is asked without") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    return Messages{heard.has_edns ? bare(heard, ResponseCode::formerr) : address_of(heard, 2)};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 2);
  CHECK(bench.ask().last == 2);
  CHECK(server.heard().size() == 3);
}

TEST_CASE("malformed datagrams make the next attempt one by TCP") {
  Bench bench;
  FakeServer server(bench.loop, [](const Heard& heard, dns::Octets) {
    Message message = address_of(heard, 1);
    if (heard.over == Over::udp) message.push_back(0);
    return Messages{message};
  });
  bench.open({server.endpoint()});
  CHECK(bench.ask().last == 1);
  CHECK(server.heard_over(Over::udp) == 1);
}

TEST_CASE("parallel asks all, and the first answer is taken") {
  Bench bench;
  bench.options.routes[0].strategy = Route::Strategy::parallel;
  FakeServer silent(bench.loop, never()), failing(bench.loop, says(ResponseCode::servfail)),
      good(bench.loop, always(3));
  bench.open({silent.endpoint(), failing.endpoint(), good.endpoint()});
  CHECK(bench.ask().last == 3);
  CHECK(silent.heard().size() == 1);
  CHECK(failing.heard().size() == 1);
  CHECK(good.heard().size() == 1);
}

TEST_CASE("balance asks all servers in turn by chance") {
  Bench bench;
  bench.options.routes[0].strategy = Route::Strategy::balance;
  FakeServer one(bench.loop, always(1)), two(bench.loop, always(2));
  bench.open({one.endpoint(), two.endpoint()});
  for (int i = 0; i < 64; ++i) (void)bench.ask();
  CHECK(one.heard().size() > 8);
  CHECK(two.heard().size() > 8);
}

TEST_CASE("fastest prefers whom it knows to answer, once all were tried") {
  Bench bench;
  bench.options.routes[0].strategy = Route::Strategy::fastest;
  FakeServer silent(bench.loop, never()), good(bench.loop, always(2));
  bench.open({silent.endpoint(), good.endpoint()});
  for (int i = 0; i < 30; ++i) CHECK(bench.ask_another().last == 2);
  CHECK(silent.heard().size() < 20);
  CHECK_FALSE(bench.exchange->health()[0].is_up);
}

TEST_CASE("a server that was down serves again when it answers a probe") {
  Bench bench;
  FakeServer server(bench.loop, never()), other(bench.loop, always(2));
  bench.open({server.endpoint(), other.endpoint()});
  for (int i = 0; i < 20 && bench.exchange->health()[0].is_up; ++i) CHECK(bench.ask_another().last == 2);
  CHECK_FALSE(bench.exchange->health()[0].is_up);
  const std::size_t heard = server.heard().size();
  for (int i = 0; i < 10; ++i) CHECK(bench.ask_another().last == 2);
  CHECK(server.heard().size() <= heard + 1);  // passed over, but for a probe
  server.set_respond(always(1));
  // Questions go on until one of them is beside a probe.
  for (int i = 0; i < 100'000 && bench.ask_another().last != 1; ++i) bench.turns_for(milliseconds(1));
  CHECK(bench.exchange->health()[0].is_up);
}

TEST_CASE("routes have their own servers") {
  Bench bench;
  FakeServer one(bench.loop, always(1)), two(bench.loop, always(2));
  bench.options.routes.push_back({.name = "router", .servers = {two.endpoint()}});
  bench.open({one.endpoint()});
  std::uint8_t last = 0;
  bench.ask({{dns::Name::parse("nas.home.arpa").value(), dns::RecordType::a}, false, false, 1},
            [&](const Result<Reply, Failure>& result) {
              REQUIRE(result.has_value());
              last = dns::ResponseView::parse(result->words)->begin()->rdata.back();
            });
  while (last == 0) bench.turn();
  CHECK(last == 2);
  CHECK(one.heard().empty());
  CHECK(bench.exchange->health()[1].route == "router");
}

TEST_CASE("more than exchanges_max are refused, later on the loop") {
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(50);
  FakeServer silent(bench.loop, never());
  bench.open({silent.endpoint()});
  std::vector<std::shared_ptr<Said>> all;
  for (int i = 0; i < exchanges_max + 10; ++i) all.push_back(bench.begin("www.example"));
  for (const auto& said : all) bench.finish(*said);
  CHECK(std::count_if(all.begin(), all.end(),
                      [](const auto& said) { return said->fault == ExchangeFault::overloaded; }) == 10);
  CHECK(std::all_of(all.begin(), all.end(), [](const auto& said) { return said->calls == 1; }));
  silent.set_respond(always(1));
  bench.options.routes[0].timeout = milliseconds(2'000);
  bench.open({silent.endpoint()});
  CHECK(bench.ask().last == 1);
}

TEST_CASE("an exchange that is destroyed completes nothing more") {
  Bench bench;
  FakeServer server(bench.loop, always(1));
  bench.open({server.endpoint()});
  const auto waiting = bench.begin();
  bench.exchange.reset();
  bench.turns_for(milliseconds(50));
  CHECK(waiting->calls == 0);
}

TEST_CASE("a completion may ask again, or destroy the exchange") {
  Bench bench;
  FakeServer server(bench.loop, always(1));
  bench.open({server.endpoint()});
  int calls = 0;
  const Request request{{dns::Name::parse("www.example").value(), dns::RecordType::a}, false, false, 0};
  bench.ask(request, [&](const Result<Reply, Failure>& first) {
    CHECK(first.has_value());
    ++calls;
    bench.ask(request, [&](const Result<Reply, Failure>& second) {
      CHECK(second.has_value());
      ++calls;
      bench.exchange.reset();
    });
  });
  while (calls < 2) bench.turn();
  bench.turns_for(milliseconds(20));
  CHECK(calls == 2);
}

TEST_CASE("a real server's answers of every kind are believed") {
  std::string records =
      "www 300 A 192.0.2.1\nalias 200 CNAME www\nold 100 DNAME new\nwww.new 300 A 192.0.2.2\n*.wild A 192.0.2.3\n";
  for (int i = 0; i < 20; ++i) records += "large TXT \"" + std::string(200, static_cast<char>('a' + i)) + "\"\n";
  if (!tests::KnotServer::is_installed()) {
    MESSAGE("left out: knotd is not installed");
    return;
  }
  std::optional<tests::KnotServer> knot(records);
  Bench bench;
  bench.options.routes[0].timeout = milliseconds(60'000);  // it may still be starting, and signing
  bench.open({knot->endpoint()});
  struct Words {
    Accepted facts;
    std::vector<std::string> records;
  };
  const auto ask = [&](const char* name, dns::RecordType type, bool dnssec_ok) {
    std::optional<Words> words;
    std::optional<ExchangeFault> fault;
    while (!words) {
      fault.reset();
      bench.ask({{dns::Name::parse(name).value(), type}, dnssec_ok, false, 0},
                [&](const Result<Reply, Failure>& result) {
                  if (!result) {
                    fault = result.error().fault;
                    return;
                  }
                  words.emplace().facts = result->facts;
                  const auto view = dns::ResponseView::parse(result->words);
                  for (const auto& record : *view)
                    words->records.push_back(view->owner(record).to_string() + " " + to_string(record.type));
                });
      while (!words && !fault) bench.turn();
      if (words) break;
      bench.turns_for(milliseconds(20));  // until it listens and has loaded its zone
      if (knot->is_running()) continue;
      knot.emplace(records);
      bench.open({knot->endpoint()});
    }
    return *words;
  };
  using Lines = std::vector<std::string>;
  using dns::RecordType;
  CHECK(ask("www.example", RecordType::a, false).records == Lines{"www.example A"});
  CHECK(ask("www.example", RecordType::a, true).records == Lines{"www.example A", "www.example RRSIG"});
  CHECK(ask("alias.example", RecordType::a, false).records == Lines{"alias.example CNAME", "www.example A"});
  CHECK(ask("www.old.example", RecordType::a, false).records ==
        Lines{"old.example DNAME", "www.old.example CNAME", "www.new.example A"});
  const Words nodata = ask("www.example", RecordType::aaaa, false);
  CHECK(nodata.records == Lines{"example SOA"});
  CHECK(nodata.facts.is_negative);
  CHECK(nodata.facts.ttl == seconds(60));
  const Words nxdomain = ask("gone.example", RecordType::a, true);
  CHECK(nxdomain.facts.code == ResponseCode::nxdomain);
  CHECK(std::count(nxdomain.records.begin(), nxdomain.records.end(), "example SOA") == 1);
  CHECK(nxdomain.records.size() >= 4);  // the SOA, an NSEC or two, and their signatures
  const Words wild = ask("a.wild.example", RecordType::a, true);
  CHECK(wild.records.size() == 4);  // the address, the proof that nothing is nearer, and their signatures
  CHECK(ask("large.example", RecordType::txt, false).records.size() == 20);
}

}  // namespace
}  // namespace doline::upstream

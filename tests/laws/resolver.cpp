// The conservation law of a resolver: whatever comes, in whatever order upstream answers and whenever snapshots change,
// every query is answered once, dropped once, or waits; and every one that does not wait is in the log, or counted as
// not in it.
#include "resolver/resolver.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "scenario/fakes.h"
#include "seeded.h"
#include "unit/policy/compiled_lists.h"

namespace doline::resolver {
namespace {

using tests::KeptRecords;
using tests::OwnClock;
using tests::Said;
using tests::Seeded;
using tests::ToldExchange;

const dns::SipKey secret{7};
constexpr std::size_t names = 40;

std::string name_of(std::size_t number) {
  return "n" + std::to_string(number) + (number % 3 == 0 ? ".listed.example" : ".example");
}
dns::Name parse(const std::string& text) {
  return dns::Name::parse(text).value();
}
/// How long blocked answers live tells which snapshot made them.
std::uint32_t block_ttl_of(std::uint64_t generation) {
  return 1'000 + static_cast<std::uint32_t>(generation);
}

policy::Action random_action(Seeded& random) {
  switch (random.below(8)) {
    case 0:
      return policy::Sinkhole{};
    case 1:
      return policy::Rewrite{0};  // to addresses
    case 2:
      return policy::Rewrite{1};  // to a name
    case 3:
      return policy::NxDomain{};
    case 4:
      return policy::NoData{};
    case 5:
      return policy::Refuse{};
    case 6:
      return policy::Drop{};
    default:
      return policy::Forward{{static_cast<std::uint16_t>(random.below(2))}};
  }
}

/// A house whose rules are drawn anew for each generation.
class World {
 public:
  explicit World(Seeded& random) : random_(random), lists_(compile_lists({"listed.example\nt5.example\n"})) {
    device::RosterBuilder roster;
    roster.add_group(
        {.name = "guests", .networks = {*IpPrefix::parse("192.168.60.0/24")}, .log = device::LogChoice::none});
    device::DeviceSettings tv, phone;
    tv.name = "tv";
    tv.addresses = {*IpPrefix::parse("192.168.1.20")};
    roster.add_device(tv);
    phone.name = "phone";
    phone.addresses = {*IpPrefix::parse("192.168.1.21")};
    phone.log = device::LogChoice::none;
    roster.add_device(phone);
    roster_ = roster.build();
  }

  std::shared_ptr<const Snapshot> next_snapshot() {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->generation = ++generation_;
    snapshot->roster = roster_;
    snapshot->lists = lists_;
    policy::RuleBookSettings settings;
    for (std::size_t rules = random_.below(6); rules-- > 0;) {
      policy::Rule rule;
      rule.when.names.push_back({policy::NamePattern::Kind::exact, parse(name_of(random_.below(names)))});
      if (random_.once_in(3)) rule.when.device_names.push_back("tv");
      if (random_.once_in(4)) rule.mode = policy::Mode::observe;
      rule.then = random_action(random_);
      settings.rules.push_back(rule);
    }
    settings.rewrites = {{.addresses = {IpAddress::v4(10, 0, 0, 1)}, .cname = {}},
                         {.addresses = {}, .cname = parse("target.example")}};
    settings.lists = {
        {"listed", policy::ListKind::block, random_.once_in(4) ? policy::Mode::observe : policy::Mode::enforce}};
    snapshot->rules = std::make_shared<const policy::RuleBook>(std::move(settings));
    snapshot->resolvers = std::make_shared<const geo::ResolverBook>();
    snapshot->block.ttl_seconds = block_ttl_of(generation_);
    snapshot->forward_zones = {{parse("n7.example"), {1}}};
    snapshot->upstream = std::make_shared<const upstream::Options>();
    snapshot->allow_clients = {*IpPrefix::parse("192.168.0.0/16")};
    return snapshot;
  }

 private:
  Seeded& random_;
  std::shared_ptr<const blocklist::ListSet> lists_;
  std::shared_ptr<const device::Roster> roster_;
  std::uint64_t generation_ = 0;
};

class Play {
 public:
  explicit Play(Seeded& random)
      : random_(random),
        world_(random),
        snapshot_(world_.next_snapshot()),
        out_(response_octets_max),
        resolver_({.cache = {.size_octets = random.once_in(3) ? 0u : 1u << random.between(12, 20)},
                   .seed = random(),
                   .cookies = dns::CookieSecrets(secret, secret)},
                  {.exchange = exchange_,
                   .outbox = outbox_,
                   .send = [this](const auto& route, const Endpoint&,
                                  dns::Octets response) { answered(route.connection, response); },
                   .forget = [this](const auto& route) { leave(route.connection); },
                   .report_unknown_client = [](const IpAddress&) {},
                   .find_mac = [](const IpAddress&) { return std::nullopt; },
                   .clock = clock_},
                  snapshot_) {}

  void step() {
    switch (random_.below(20)) {
      case 0:
        clock_.pass(milliseconds(random_.below(3) == 0 ? random_.below(400'000) : random_.below(2'000)));
        break;
      case 1: {
        const auto next = world_.next_snapshot();
        REQUIRE(resolver_.install(next) == snapshot_);
        snapshot_ = next;
        break;
      }
      case 2:
        outbox_.is_full = !outbox_.is_full;
        break;
      case 3:
      case 4:
      case 5:
      case 6:
        complete_one();
        break;
      default:
        ask();
    }
    check_law();
  }

  void check_end() {
    while (!exchange_.asked().empty()) {
      complete_one();
      check_law();
    }
    CHECK(under_way_.empty());
    CHECK(resolver_.statistics().waiting == 0);
  }

 private:
  void ask() {
    std::vector<std::uint8_t> octets = random_query();
    static const std::vector<IpAddress> clients{IpAddress::v4(192, 168, 1, 20), IpAddress::v4(192, 168, 1, 21),
                                                IpAddress::v4(192, 168, 60, 3), IpAddress::v4(192, 168, 2, 9),
                                                IpAddress::v4(203, 0, 113, 5)};
    listener::Arrival arrival;
    arrival.message = octets;
    arrival.client = {clients[random_.below(clients.size())], 40'000};
    arrival.destination =
        random_.once_in(3) ? device::Destination{{IpAddress::v4(8, 8, 8, 8), 53}, device::DestinationSource::tproxy}
                           : device::Destination{{IpAddress::v4(192, 168, 1, 1), 53}, device::DestinationSource::local};
    if (arrival.destination.is_intercepted()) ++intercepted_;
    arrival.route.carrier = random_.once_in(4) ? listener::Carrier::tcp : listener::Carrier::udp;
    arrival.route.connection = sent_;
    arrival.at = clock_.now();
    under_way_[sent_] = octets.size() < 2 ? 0u : static_cast<unsigned>(octets[0] << 8 | octets[1]);
    ++sent_;
    if (random_.once_in(2)) resolver_.begin_batch(arrival.at);  // else one more of the same batch
    const std::size_t size = resolver_.serve(arrival, out_);
    if (size > 0) answered(arrival.route.connection, dns::Octets(out_).first(size));
  }

  std::vector<std::uint8_t> random_query() {
    std::vector<std::uint8_t> octets(600);
    dns::MessageWriter writer(octets);
    writer.header(static_cast<std::uint16_t>(random_()),
                  {.response = random_.once_in(100),
                   .opcode = random_.once_in(50) ? dns::Opcode::notify : dns::Opcode::query,
                   .recursion_desired = !random_.once_in(10),
                   .recursion_available = false,
                   .checking_disabled = random_.once_in(5)},
                  dns::ResponseCode::noerror);
    static const std::vector<dns::RecordType> types{dns::RecordType::a,   dns::RecordType::a,    dns::RecordType::aaaa,
                                                    dns::RecordType::any, dns::RecordType::axfr, dns::RecordType::txt};
    REQUIRE(writer.question({parse(name_of(random_.below(names))), types[random_.below(types.size())],
                             random_.once_in(40) ? dns::RecordClass::chaos : dns::RecordClass::in}));
    if (random_.once_in(2)) {
      const std::size_t before = writer.size();
      REQUIRE(writer.opt(
          {.udp_payload_size = static_cast<std::uint16_t>(random_.below(5'000)), .dnssec_ok = random_.once_in(2)}));
      if (random_.once_in(20)) octets[before + 6] = 1;
    }
    octets.resize(writer.size());
    if (random_.once_in(30)) octets.resize(random_.below(octets.size()));
    if (random_.once_in(30) && !octets.empty()) octets[random_.below(octets.size())] ^= random_.octet();
    return octets;
  }

  void complete_one() {
    if (exchange_.asked().empty()) return;
    const std::size_t which = random_.below(exchange_.asked().size());
    const dns::Question question = exchange_.asked()[which].request.question;
    if (random_.once_in(4)) {
      exchange_.fail(which, static_cast<upstream::ExchangeFault>(random_.below(4)));
      return;
    }
    std::vector<Said> records;
    dns::ResponseCode code = dns::ResponseCode::noerror;
    const auto ttl = static_cast<std::uint32_t>(random_.below(3) == 0 ? random_.below(4) : random_.below(600));
    if (random_.once_in(5)) {
      code = dns::ResponseCode::nxdomain;
    } else if (question.qtype == dns::RecordType::a) {
      dns::Name owner = question.qname;
      if (random_.once_in(3)) {  // leads on, to a listed name or not
        const dns::Name target = parse("t" + std::to_string(random_.below(8)) + ".example");
        records.push_back(
            {dns::Section::answer,
             {owner, dns::RecordType::cname, dns::RecordClass::in, ttl, {target.wire().begin(), target.wire().end()}}});
        owner = target;
      }
      for (std::size_t count = random_.once_in(10) ? 100 : 1; count-- > 0;)
        records.push_back(
            {dns::Section::answer,
             {owner, dns::RecordType::a, dns::RecordClass::in, ttl, {192, 0, 2, static_cast<std::uint8_t>(count)}}});
    }
    if (const auto fault = exchange_.answer(which, tests::server_octets(question, code, random_.once_in(3), records),
                                            {IpAddress::v4(192, 0, 2, 53), 53}))
      exchange_.fail(which, upstream::ExchangeFault::server_failed);
  }

  void leave(std::uint64_t query) { REQUIRE(under_way_.erase(query) == 1); }

  void answered(std::uint64_t query, dns::Octets response) {
    REQUIRE(under_way_.contains(query));
    REQUIRE(response.size() >= dns::header_octets);
    CHECK((response[2] & 0x80) != 0);
    CHECK(static_cast<unsigned>(response[0] << 8 | response[1]) == under_way_[query]);
    leave(query);
    ++answered_;
  }

  void check_law() {
    const Statistics& is = resolver_.statistics();
    REQUIRE(is.received == sent_);
    REQUIRE(is.intercepted == intercepted_);
    REQUIRE(is.waiting == under_way_.size());
    REQUIRE(is.answered == answered_);
    REQUIRE(is.received == is.answered + is.dropped_by_verdict + is.dropped_malformed + is.waiting);
    REQUIRE(is.answered + is.held_back == is.rejected + is.refused_client + is.over_limit + is.rate_limited +
                                              is.synthesized + is.from_cache + is.stale + is.forwarded + is.failed);
    REQUIRE(is.received - is.waiting == is.recorded + is.records_lost + is.not_recorded);
    REQUIRE(is.exchanges == exchange_.ended() + exchange_.asked().size());
    recorded_ += outbox_.kept.size();
    REQUIRE(is.recorded == recorded_);
    for (const auto& [record, response] : outbox_.kept) check_record(record, response);
    outbox_.kept.clear();
  }

  /// A record says what was sent, and of the snapshot under which the query began.
  static void check_record(const querylog::Record& record, const std::vector<std::uint8_t>& response) {
    REQUIRE(record.log != device::LogChoice::none);
    if (response.empty()) {
      CHECK(record.source == querylog::Source::none);
      return;
    }
    CHECK(record.source != querylog::Source::none);
    CHECK((response[3] & 0x0f) == (static_cast<int>(record.code) & 0x0f));
    const bool is_ours = record.source == querylog::Source::synthesized && !record.is_withheld;
    if (!is_ours || record.verdict == querylog::VerdictKind::rejected) return;
    const auto view = dns::ResponseView::parse(response);
    REQUIRE(view);
    for (const dns::RecordView& answer : *view) CHECK(answer.ttl == block_ttl_of(record.generation));
  }

  Seeded& random_;
  World world_;
  OwnClock clock_;
  ToldExchange exchange_;
  KeptRecords outbox_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::map<std::uint64_t, unsigned> under_way_;  // query, and its ID
  std::uint64_t sent_ = 0, answered_ = 0, intercepted_ = 0, recorded_ = 0;
  std::vector<std::uint8_t> out_;
  Resolver resolver_;
};

TEST_CASE("every query is answered once, dropped once or waits, and the counters say so at any time") {
  Seeded random;
  INFO(random.replay());
  for (int i = 0; i < 60; ++i) {
    Play play(random);
    for (int step = 0; step < 500; ++step) play.step();
    play.check_end();
  }
}

}  // namespace
}  // namespace doline::resolver

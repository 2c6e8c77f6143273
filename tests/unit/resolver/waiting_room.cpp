#include "resolver/waiting_room.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "dns/writer.h"
#include "seeded.h"

namespace doline::resolver {
namespace {

const IpAddress tv = IpAddress::v4(192, 168, 1, 20), phone = IpAddress::v4(192, 168, 1, 21);

cache::Key key_of(const std::string& name, dns::RecordType type = dns::RecordType::a) {
  return {.question = {.qname = dns::Name::parse(name).value(), .qtype = type}};
}

/// The IDs by which the tests know their queries again, in the order in which they left.
std::vector<std::uint16_t> land(WaitingRoom& room, FlightId flight) {
  std::vector<std::uint16_t> ids;
  room.land(flight, [&](Waiting& waiting) {
    ids.push_back(waiting.client.port);
    return true;
  });
  return ids;
}

WaitingRoom::Admission admit(WaitingRoom& room, const cache::Key& key, const IpAddress& client, std::uint16_t id) {
  const auto admission = room.admit(key, client);
  if (admission.place) admission.place->client = {client, id};
  return admission;
}

TEST_CASE("queries for one key wait for one flight and leave in the order of their arrival") {
  WaitingRoom room;
  const auto first = admit(room, key_of("www.example"), tv, 1);
  REQUIRE(first.place);
  CHECK(first.is_new_flight);
  const auto second = admit(room, key_of("WWW.example"), phone, 2);  // names have no case
  REQUIRE(second.place);
  CHECK_FALSE(second.is_new_flight);
  CHECK(second.flight == first.flight);
  CHECK(admit(room, key_of("www.example"), tv, 3).flight == first.flight);
  CHECK(room.waiting() == 3);
  CHECK(room.key(first.flight) == key_of("www.example"));

  CHECK(land(room, first.flight) == std::vector<std::uint16_t>{1, 2, 3});
  CHECK(room.waiting() == 0);
  CHECK(admit(room, key_of("www.example"), tv, 4).is_new_flight);
}

TEST_CASE("a query may go on to wait for something else, and keeps its place and its client's share") {
  WaitingRoom room;
  const auto first = admit(room, key_of("www.example"), tv, 1);
  admit(room, key_of("www.example"), phone, 2);
  std::vector<FlightId> flights;
  room.land(first.flight, [&](Waiting& waiting) {
    const auto admission = room.wait_on(waiting, key_of("example", dns::RecordType::ns));
    REQUIRE(admission.place == &waiting);
    CHECK(admission.is_new_flight == flights.empty());
    flights.push_back(admission.flight);
    return false;
  });
  REQUIRE(flights.size() == 2);
  CHECK(flights[0] == flights[1]);
  CHECK(room.waiting() == 2);
  CHECK(admit(room, key_of("www.example"), tv, 3).is_new_flight);
  CHECK(land(room, flights[0]) == std::vector<std::uint16_t>{1, 2});
  CHECK(room.waiting() == 1);
}

TEST_CASE("whatever makes another answer makes another flight: name, type, DO, CD and route") {
  WaitingRoom room;
  const cache::Key plain = key_of("www.example");
  std::vector<cache::Key> keys{
      plain, plain, plain, plain, key_of("example"), key_of("www.example", dns::RecordType::aaaa)};
  keys[1].dnssec_ok = true;
  keys[2].checking_disabled = true;
  keys[3].route = 1;
  for (const cache::Key& key : keys) CHECK(room.admit(key, tv).is_new_flight);
  for (const cache::Key& key : keys) CHECK_FALSE(room.admit(key, tv).is_new_flight);
}

TEST_CASE("nobody joins a flight of an era that has ended, and it lands all the same") {
  WaitingRoom room;
  const auto before = admit(room, key_of("www.example"), tv, 1);
  room.begin_era();
  CHECK_FALSE(room.is_of_this_era(before.flight));
  const auto after = admit(room, key_of("www.example"), phone, 2);
  CHECK(after.is_new_flight);
  CHECK(room.is_of_this_era(after.flight));
  CHECK(admit(room, key_of("www.example"), tv, 3).flight == after.flight);
  CHECK(land(room, before.flight) == std::vector<std::uint16_t>{1});
  CHECK(land(room, after.flight) == std::vector<std::uint16_t>{2, 3});
}

TEST_CASE("one client fills its own share and no more, and the others still get in") {
  WaitingRoom room;
  std::vector<FlightId> flights;
  for (std::size_t i = 0; i < waiting_per_client_max; ++i) {
    const auto admission = room.admit(key_of("n" + std::to_string(i) + ".example"), tv);
    REQUIRE(admission.place);
    flights.push_back(admission.flight);
  }
  CHECK_FALSE(room.admit(key_of("one-more.example"), tv).place);
  CHECK_FALSE(room.admit(key_of("n0.example"), tv).place);  // not even to a flight that is under way
  CHECK(room.admit(key_of("n0.example"), phone).place);
  CHECK(room.waiting() == waiting_per_client_max + 1);

  CHECK(land(room, flights[0]).size() == 2);
  CHECK(room.admit(key_of("one-more.example"), tv).place);
  CHECK_FALSE(room.admit(key_of("two-more.example"), tv).place);
}

TEST_CASE("the room is full for everybody at waiting_max, and a refused query leaves nothing behind") {
  WaitingRoom room;
  const auto flight = room.admit(key_of("www.example"), IpAddress::v4(10, 0, 0, 0)).flight;
  for (std::size_t i = 1; i < waiting_max; ++i)
    REQUIRE(room.admit(key_of("www.example"),
                       IpAddress::v4(10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)))
                .place);
  CHECK_FALSE(room.admit(key_of("www.example"), tv).place);
  CHECK_FALSE(room.admit(key_of("other.example"), tv).place);
  CHECK(room.waiting() == waiting_max);
  CHECK(land(room, flight).size() == waiting_max);
  CHECK(room.admit(key_of("other.example"), tv).is_new_flight);
}

TEST_CASE("a prefetch is a flight that queries may join, and there is one of them at a time") {
  WaitingRoom room;
  const auto flight = room.begin_prefetch(key_of("www.example"));
  REQUIRE(flight);
  CHECK_FALSE(room.begin_prefetch(key_of("www.example")));
  CHECK(room.waiting() == 0);
  const auto joined = admit(room, key_of("www.example"), tv, 7);
  CHECK(joined.flight == *flight);
  CHECK_FALSE(joined.is_new_flight);
  CHECK(land(room, *flight) == std::vector<std::uint16_t>{7});

  const auto empty = room.begin_prefetch(key_of("www.example"));
  REQUIRE(empty);
  CHECK(land(room, *empty).empty());
}

TEST_CASE("those who go on wait with whoever waits already, the others are answered") {
  WaitingRoom room;
  const cache::Key ipv6 = key_of("www.example", dns::RecordType::aaaa), ipv4 = key_of("www.example");
  const auto from = admit(room, ipv6, tv, 1).flight;
  for (std::uint16_t id = 2; id <= 5; ++id) (void)admit(room, ipv6, phone, id);
  const auto other = admit(room, ipv4, tv, 6).flight;
  std::vector<std::uint16_t> answered;
  room.land(from, [&](Waiting& waiting) {
    if (waiting.client.port % 2 != 0) {
      answered.push_back(waiting.client.port);
      return true;
    }
    const auto admission = room.wait_on(waiting, ipv4);
    CHECK(admission.flight == other);
    CHECK_FALSE(admission.is_new_flight);
    return false;
  });
  CHECK(answered == std::vector<std::uint16_t>{1, 3, 5});
  CHECK(room.waiting() == 3);
  CHECK(land(room, other) == std::vector<std::uint16_t>{6, 2, 4});
  CHECK(room.waiting() == 0);
}

TEST_CASE("where there is no room for another flight, nobody goes on") {
  WaitingRoom room;
  const auto from = admit(room, key_of("www.example", dns::RecordType::aaaa), tv, 1).flight;
  for (std::size_t i = 1; i < waiting_max; ++i)
    REQUIRE(room.begin_prefetch(key_of("n" + std::to_string(i) + ".example")));
  room.land(from, [&](Waiting& waiting) {
    CHECK(room.wait_on(waiting, key_of("www.example")).place == nullptr);
    return true;
  });
  CHECK(room.waiting() == 0);
}

TEST_CASE("as many flights as queries may wait, prefetches among them") {
  WaitingRoom room;
  for (std::size_t i = 0; i < waiting_max; ++i)
    REQUIRE(room.begin_prefetch(key_of("n" + std::to_string(i) + ".example")));
  CHECK_FALSE(room.begin_prefetch(key_of("one-more.example")));
  CHECK_FALSE(room.admit(key_of("one-more.example"), tv).place);
  CHECK(room.admit(key_of("n17.example"), tv).place);
}

TEST_CASE("a query that leaves lets go of its snapshot") {
  WaitingRoom room;
  const auto snapshot = std::make_shared<const Snapshot>();
  const auto admission = room.admit(key_of("www.example"), tv);
  admission.place->snapshot = snapshot;
  CHECK(snapshot.use_count() == 2);
  (void)land(room, admission.flight);
  CHECK(snapshot.use_count() == 1);
}

TEST_CASE("what is kept of a query is what finish() needs: header bits, question in its case, and whether it had OPT") {
  for (int bits = 0; bits < 16; ++bits) {
    const bool has_edns = (bits & 1) != 0, has_do = (bits & 2) != 0, has_cd = (bits & 4) != 0, has_ad = (bits & 8) != 0;
    CAPTURE(bits);
    std::array<std::uint8_t, 512> octets{};
    dns::MessageWriter writer(octets);
    writer.header(0xbeef,
                  {.response = false,
                   .recursion_desired = !has_cd,
                   .recursion_available = false,
                   .authentic_data = has_ad,
                   .checking_disabled = has_cd},
                  dns::ResponseCode::noerror);
    REQUIRE(writer.question({dns::Name::parse("wWw.ExAmPlE").value(), dns::RecordType::https}));
    const std::array<std::uint8_t, 8> cookie{1, 2, 3, 4, 5, 6, 7, 8};
    if (has_edns) REQUIRE(writer.opt({.udp_payload_size = 4096, .dnssec_ok = has_do, .cookie = cookie}));
    const auto query = dns::QueryView::parse(std::span(octets).first(writer.size()));
    REQUIRE(query);

    KeptQuery kept;
    kept.keep(*query);
    octets.fill(0);  // the listener's buffer is long another query's
    const dns::QueryView view = kept.view();
    CHECK(view.id() == 0xbeef);
    CHECK(view.recursion_desired() == !has_cd);
    CHECK(view.checking_disabled() == has_cd);
    CHECK(view.authentic_data() == has_ad);
    CHECK(view.question().qname.to_string() == "wWw.ExAmPlE");
    CHECK(view.question().qtype == dns::RecordType::https);
    REQUIRE(view.edns().has_value() == has_edns);
    if (!has_edns) continue;
    CHECK(view.edns()->udp_payload_size == 4096);
    CHECK(view.edns()->dnssec_ok == has_do);
  }
}

TEST_CASE("the longest name there is can be kept") {
  const std::string label(63, 'x');
  const std::string name = label + "." + label + "." + label + "." + std::string(61, 'y');
  std::array<std::uint8_t, 512> octets{};
  dns::MessageWriter writer(octets);
  writer.header(1, {.response = false}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({dns::Name::parse(name).value()}));
  REQUIRE(writer.opt({}));
  KeptQuery kept;
  kept.keep(dns::QueryView::parse(std::span(octets).first(writer.size())).value());
  CHECK(kept.view().question().qname.to_string() == name);
}

TEST_CASE("in any order of coming and going the room says of every query what an obvious list of them says") {
  tests::Seeded random;
  INFO(random.replay());
  WaitingRoom room;
  struct Flight {
    FlightId id;
    std::vector<std::uint16_t> waiting;
  };
  std::map<std::string, Flight> under_way;
  std::map<IpAddress, std::size_t> of_client;
  std::vector<IpAddress> client_of(65'536);
  std::size_t waiting = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::string name = "n" + std::to_string(random.below(200)) + ".example";
    if (random.once_in(300)) {  // everybody answers at once
      while (!under_way.empty()) {
        const auto flight = under_way.begin()->second;
        REQUIRE(land(room, flight.id) == flight.waiting);
        under_way.erase(under_way.begin());
      }
      of_client.clear();
      waiting = 0;
    } else if (random.once_in(20)) {
      const auto flight = room.begin_prefetch(key_of(name));
      REQUIRE(flight.has_value() == !under_way.contains(name));
      if (flight) under_way[name] = {*flight, {}};
    } else if (random.once_in(60) && under_way.contains(name)) {
      const Flight flight = under_way[name];
      REQUIRE(land(room, flight.id) == flight.waiting);
      for (const std::uint16_t id : flight.waiting) --of_client[client_of[id]];
      waiting -= flight.waiting.size();
      under_way.erase(name);
    } else {
      const IpAddress client = random.once_in(4) ? tv : phone;
      const auto id = static_cast<std::uint16_t>(step);
      const auto admission = admit(room, key_of(name), client, id);
      const bool has_room = of_client[client] < waiting_per_client_max;
      REQUIRE((admission.place != nullptr) == has_room);
      if (!has_room) continue;
      REQUIRE(admission.is_new_flight == !under_way.contains(name));
      under_way[name].id = admission.flight;
      under_way[name].waiting.push_back(id);
      client_of[id] = client;
      ++of_client[client];
      ++waiting;
    }
    REQUIRE(room.waiting() == waiting);
  }
}

}  // namespace
}  // namespace doline::resolver

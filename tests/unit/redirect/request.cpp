#include "redirect/request.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "golden/golden.h"
#include "home.h"
#include "redirect/admission.h"
#include "redirect/origin.h"
#include "seeded.h"

using namespace doline;
using namespace doline::redirect;
using doline::tests::home_options;
using doline::tests::home_restrictions;
using doline::tests::Seeded;

namespace {

StatusReply some_status() {
  return {
      .state = State::suspended,
      .mode = Mode::nat,
      .has_privilege = true,
      .applied_seconds_ago = 1'000'000'000'000,
      .trial_seconds_left = 59,
      .has_counters = true,
      .counters = {.udp4 = 1, .tcp4 = 2, .udp6 = 3, .tcp6 = 4, .unserved = 5, .encrypted = 6},
      .gate = {.only_resolved = 7, .observed = 8, .admitted = 9, .refused = 10, .would_refuse = 11, .turned_away = 12},
      .reason = "the resolver was silent",
      .interference = {"docker", "mwan3"}};
}

std::vector<Admission> some_admissions() {
  return {{.ticket = 1,
           .purpose = Purpose::connect,
           .ttl_seconds = 300,
           .age_seconds = 20,
           .devices = {*device::MacAddress::parse("94:51:3d:13:9a:35")},
           .addresses = {IpAddress::v4(198, 51, 100, 7)}}};
}

std::vector<Request> all_requests() {
  Options watching;
  watching.watch = true;
  return {Apply{home_options(Mode::tproxy)},
          Apply{Options{}, 3'600},
          Apply{watching},
          Remove{},
          Status{},
          Status{.looks_anew = true},
          Verify{},
          Seen{},
          Refused{},
          Admit{},
          Admit{some_admissions()},
          Heartbeat{},
          Confirm{},
          Restrict{home_restrictions()},
          Restrict{}};
}

std::vector<Reply> all_replies() {
  return {Done{},
          Done{{"one", ""}},
          Failed{{"no"}},
          some_status(),
          StatusReply{},
          SeenReply{.sightings = {{*device::MacAddress::parse("94:51:3d:13:9a:35"),
                                   *Endpoint::parse("114.114.114.114:53", 53), 7},
                                  {*device::MacAddress::parse("94:51:3d:13:9a:35"),
                                   *Endpoint::parse("[2400:3200::1]:5353", 53), 1}},
                    .left_out = 9},
          RefusedReply{.devices = {{*device::MacAddress::parse("94:51:3d:13:9a:35"), 1, 2, 3}},
                       .connections = {{*device::MacAddress::parse("94:51:3d:13:9a:35"), 6,
                                        *Endpoint::parse("[2001:db8::7]:443", 443), 5}},
                       .left_out = 4}};
}

using Octets = std::vector<std::uint8_t>;

constexpr const char* seeds = "../fuzz/corpus/warden_message/";  // from tests/golden; written as what is there

Octets octets_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("The fuzzer begins with messages of today") {
  const auto check_seed = [](const std::string& name, const Octets& message) {
    CAPTURE(name);
    CHECK(tests::is_golden(seeds + name, {message.begin(), message.end()}));
  };
  int number = 0;
  for (const Request& request : all_requests())
    check_seed("request-" + std::to_string(++number), write_request({7, request}));
  number = 0;
  for (const Reply& reply : all_replies()) check_seed("reply-" + std::to_string(++number), write_reply({7, reply}));
  check_seed("admissions", write_admissions(some_admissions()));
  for (const auto& file :
       std::filesystem::directory_iterator(std::filesystem::path(DOLINE_SOURCE_DIR "/tests/golden") / seeds)) {
    CAPTURE(file.path().filename().native());
    const Octets octets = octets_of(file.path());
    const bool is_understood = parse_request(octets) || parse_reply(octets) || parse_origin_questions(octets) ||
                               parse_origin_answers(octets) || parse_admissions(octets) ||
                               parse_admission_answers(octets);
    CHECK(is_understood);
  }
}

TEST_CASE("Every request and every reply comes out as it went in") {
  std::uint32_t number = 0xfffffffe;
  for (const Request& request : all_requests()) {
    const Numbered<Request> message{number++, request};
    const auto parsed = parse_request(write_request(message));
    REQUIRE(parsed);
    CHECK(*parsed == message);
  }
  for (const Reply& reply : all_replies()) {
    const Numbered<Reply> message{number++, reply};
    const auto parsed = parse_reply(write_reply(message));
    REQUIRE(parsed);
    CHECK(*parsed == message);
  }
}

TEST_CASE("A message cut short, or with something behind it, is malformed") {
  for (const Request& request : all_requests()) {
    auto octets = write_request({7, request});
    for (std::size_t length = 0; length < octets.size(); ++length)
      CHECK_FALSE(parse_request(std::span(octets).first(length)));
    octets.push_back(0);
    const auto parsed = parse_request(octets);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error() == MessageFault::malformed);
  }
}

TEST_CASE("An unknown version or kind is told from a broken message") {
  auto octets = write_request({1, Status{}});
  ++octets[0];
  CHECK(parse_request(octets).error() == MessageFault::unknown);
  --octets[0];
  octets[1] = std::variant_size_v<Request>;
  CHECK(parse_request(octets).error() == MessageFault::unknown);
  CHECK(parse_request(std::vector<std::uint8_t>(message_octets_max + 1)).error() == MessageFault::too_long);
}

TEST_CASE("No octets of chance become a request that breaks a limit") {
  Seeded random;
  INFO(random.replay());
  const auto honest = write_request({3, Apply{home_options(Mode::nat)}});
  for (int round = 0; round < 20'000; ++round) {
    auto octets = honest;
    for (std::size_t changes = random.between(1, 4); changes > 0; --changes)
      octets[random.below(octets.size())] = random.octet();
    if (const auto parsed = parse_request(octets)) {
      if (const auto* apply = std::get_if<Apply>(&parsed->body)) {
        CHECK(apply->options.interfaces.size() <= interfaces_max);
        CHECK(apply->options.ports.size() <= ports_max);
        CHECK(apply->options.exempt.macs.size() <= exempt_max);
      }
    }
  }
}

TEST_CASE("The largest messages fit a packet, and longer lists are cut") {
  Options options = home_options(Mode::tproxy);
  options.interfaces.assign(interfaces_max, std::string(interface_name_max, 'x'));
  options.ports.resize(ports_max);
  options.exempt.macs.resize(exempt_max);
  options.exempt.clients.resize(exempt_max);
  options.exempt.destinations.resize(exempt_max);
  const auto largest = write_request({1, Apply{options}});
  CHECK(largest.size() <= message_octets_max);
  CHECK(parse_request(largest));
  Restrictions everybody;
  for (auto* macs : {&everybody.only_resolved, &everybody.observed, &everybody.may_encrypt, &everybody.must_not_encrypt,
                     &everybody.log_encrypted})
    macs->resize(restricted_max);
  everybody.doh_networks.resize(doh_networks_max);
  everybody.allowances.resize(flow_locks_max);
  for (Allowance& allowance : everybody.allowances) {
    allowance.macs.resize(restricted_max / flow_locks_max);
    allowance.flows.resize(allowed_flows_max / flow_locks_max);
  }
  const auto strictest = write_request({1, Restrict{everybody}});
  CHECK(strictest.size() <= message_octets_max);
  CHECK(parse_request(strictest));
  everybody.observed.emplace_back();
  CHECK_FALSE(parse_request(write_request({1, Restrict{everybody}})));

  SeenReply seen{.sightings = std::vector<Sighting>(sightings_max + 5), .left_out = 2};
  const auto parsed = parse_reply(write_reply({1, seen}));
  REQUIRE(parsed);
  const auto& cut = std::get<SeenReply>(parsed->body);
  CHECK(cut.sightings.size() == sightings_max);
  CHECK(cut.left_out == 7);

  RefusedReply refused;
  refused.devices.resize(refusals_max + 1);
  refused.connections.resize(refusals_max + 2);
  const auto parsed_too = parse_reply(write_reply({1, refused}));
  REQUIRE(parsed_too);
  CHECK(std::get<RefusedReply>(parsed_too->body).connections.size() == refusals_max);
  CHECK(std::get<RefusedReply>(parsed_too->body).left_out == 3);

  const Done talkative{std::vector<std::string>(sentences_max + 1, std::string(sentence_octets_max + 1, 'a'))};
  const auto said = parse_reply(write_reply({1, talkative}));
  REQUIRE(said);
  CHECK(std::get<Done>(said->body).warnings.size() == sentences_max);
  CHECK(std::get<Done>(said->body).warnings[0].size() == sentence_octets_max);
  CHECK(write_reply({1, talkative}).size() <= message_octets_max);
}

TEST_CASE("The status for people says what is in force, what it caught and why it is not") {
  StatusReply applied = some_status();
  applied.state = State::applied;
  applied.mode = Mode::tproxy;
  applied.reason.clear();
  applied.applied_seconds_ago = 12;
  CHECK(describe(applied).find(
            "\non trial: what was before comes back in 59 s, unless `doline redirect confirm` says that these rules "
            "stay\n") != std::string::npos);
  applied.trial_seconds_left = 0;
  CHECK(describe(applied) ==
        "redirect: applied, mode tproxy, since 12 s\n"
        "caught (packets): 1 IPv4 UDP, 2 IPv4 TCP, 3 IPv6 UDP, 4 IPv6 TCP\n"
        "stray, with nobody listening: 5\n"
        "encrypted DNS refused: 6\n"
        "only-resolved: 7 MAC addresses; 10 connections refused that no answer explains\n"
        "observed: 8 MAC addresses; 11 connections that no answer explains\n"
        "given by answers: 9 addresses that may be connected to now\n"
        "answers that the kernel was not told of: 12\n"
        "interference: docker\n"
        "interference: mwan3\n");
  applied.has_counters = false;
  CHECK(describe(applied).find("\ncaught: iptables counts that, ") != std::string::npos);
  CHECK(describe(StatusReply{}) ==
        "redirect: absent\n"
        "without privilege: CAP_NET_ADMIN is missing, so nothing can be applied\n");
  CHECK(describe(some_status()).find("because: the resolver was silent\n") != std::string::npos);
}

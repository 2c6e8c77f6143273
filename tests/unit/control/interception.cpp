#include "control/interception.h"

#include <doctest/doctest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <nlohmann/json.hpp>
#include <sstream>

#include "blocklist/compile.h"
#include "run_until.h"
#include "temporary_folder.h"
#include "unit/querylog/day.h"

using namespace doline;
using namespace doline::control;
using nlohmann::json;
using redirect::Encrypted;

namespace {

/// Interception on a loop, and the warden's end of its channel, played by the test.
struct Stage {
  Stage() : Stage(std::make_shared<tests::TemporaryFolder>(), Encrypted::leave) {}
  /// In whose folder an earlier one may have left something.
  Stage(std::shared_ptr<tests::TemporaryFolder> state, Encrypted encrypted) : folder(std::move(state)) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    warden::Spawned spawned;
    spawned.control = ends[0];
    warden = ends[1];
    redirect::Options options;
    options.mode = redirect::Mode::tproxy;
    options.interfaces = {"br-lan"};
    options.encrypted = encrypted;
    interception.emplace(
        loop, std::make_unique<warden::Client>(spawned), options, *folder / "trial.json", log,
        [this](const redirect::RefusedReply& refused) { told_refused.push_back(refused); },
        [this](std::vector<device::MacAddress> macs, Interception::Done done) {
          held = std::move(macs);
          is_recalled = std::move(done);
        },
        [this] { ++times_doh_unknown; });
    hearing = loop.on_events(warden, UV_READABLE, [this](int) { hear(); });
  }
  ~Stage() {
    hearing = Watch();
    interception.reset();
    if (warden >= 0) ::close(warden);
  }

  void hear() {
    std::array<std::uint8_t, redirect::message_octets_max> octets;
    const ssize_t count = ::recv(warden, octets.data(), octets.size(), 0);
    if (count <= 0) return;
    const auto request = redirect::parse_request({octets.data(), static_cast<std::size_t>(count)});
    REQUIRE(request.has_value());
    requests.push_back(request->body);
    if (std::holds_alternative<redirect::Heartbeat>(request->body)) return;
    if (is_slow)
      unanswered.push_back(request->number);
    else
      answer({request->number, reply});
  }
  /// To the oldest request that waits for it.
  void answer_late(redirect::Reply body) {
    REQUIRE(test::run_until(loop, [&] { return !unanswered.empty(); }));
    answer({unanswered.front(), std::move(body)});
    unanswered.pop_front();
  }
  void answer(const redirect::Numbered<redirect::Reply>& numbered) const {
    const auto octets = redirect::write_reply(numbered);
    REQUIRE(::send(warden, octets.data(), octets.size(), 0) > 0);
  }
  /// Runs the loop until `answered` or two seconds have passed.
  json wait(const std::function<void(Interception::Answer)>& ask) {
    json answer;
    ask([&](const json& value) {
      answer = value;
      loop.stop();
    });
    const Watch late = loop.after(milliseconds(2'000), [&] { loop.stop(); });
    if (answer.is_null()) loop.run();
    return answer;
  }

  std::shared_ptr<tests::TemporaryFolder> folder;
  std::ostringstream told;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_st>(told)};
  Loop loop;
  int warden = -1;
  Watch hearing;
  std::optional<Interception> interception;
  std::vector<redirect::Request> requests;
  bool is_slow = false;  // answer_late() answers
  std::deque<std::uint32_t> unanswered;
  std::vector<redirect::RefusedReply> told_refused;
  std::vector<device::MacAddress> held;
  int times_doh_unknown = 0;
  Interception::Done is_recalled;
  redirect::Reply reply = redirect::Done{};
};

}  // namespace

TEST_CASE("rejecting what is encrypted means the known DoH servers too") {
  const auto resolvers = geo::ResolverBook::read(
      "address,operator,country,protocols,hostname,note\n"
      "9.9.9.9,Quad9,CH,plain+dot+doh,dns.quad9.net,\n"
      "1.1.1.1,Cloudflare,US,plain+dot+doh,cloudflare-dns.com,\n"
      "114.114.114.114,114DNS,CN,plain,,\n");
  REQUIRE(resolvers.problems.empty());
  const device::Roster nobody;
  const auto none = blocklist::ListSet::none();
  const DohSources by_book{resolvers.book, *none, {}};
  const auto doh = std::make_shared<const blocklist::DohNames>(doh_names_of(by_book));
  CHECK(gate_of(nobody, {}, {}, Encrypted::leave, doh) == nullptr);
  CHECK(restrictions_of(nobody, {}, {}, by_book).doh_networks ==
        std::vector{*IpPrefix::parse("1.1.1.1"), *IpPrefix::parse("9.9.9.9")});
  const auto gate = gate_of(nobody, {}, {}, Encrypted::reject, doh);
  REQUIRE(gate);
  CHECK(gate->doh == doh);
  CHECK(doh->hold(*dns::Name::parse("DNS.quad9.net"), *none));
  CHECK_FALSE(doh->hold(*dns::Name::parse("quad9.net"), *none));
  CHECK_FALSE(gate->holds(device::DeviceId{0}));
}

TEST_CASE("what held devices were told is admitted again, for what is left of the longest answer") {
  using querylog::samples::morning;
  querylog::samples::Day day;
  const auto told = [&](WallTime time, const char* client, const char* qname, std::vector<std::string> addresses,
                        std::uint32_t ttl) {
    std::vector<querylog::samples::SampleAnswer> answers;
    for (const std::string& address : addresses) answers.push_back(querylog::samples::a(qname, address, ttl));
    const auto octets = querylog::samples::response(qname, dns::RecordType::a, answers);
    REQUIRE(day.ring.push(querylog::samples::record(*day.roster, time, client, qname), octets));
  };
  using std::chrono::minutes;
  told(morning, day.camera, "over.example", {"192.0.2.9"}, 300);
  told(morning + minutes(30), day.camera, "long.example", {"192.0.2.1"}, 7'200);
  told(morning + minutes(55), day.camera, "short.example", {"192.0.2.1", "192.0.2.2", "127.0.0.1"}, 300);
  told(morning + minutes(56), day.phone, "short.example", {"192.0.2.3"}, 300);
  day.writer->flush();

  const auto mac = *device::MacAddress::parse("94:51:3d:13:9a:35");
  const auto admissions = admissions_of(day.file, {mac}, *day.roster, morning + minutes(60));
  REQUIRE(admissions.size() == 2);
  CHECK(admissions[0] == redirect::Admission{.ttl_seconds = 300,
                                             .age_seconds = 300,
                                             .devices = {mac},
                                             .addresses = {IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 0, 2, 2)}});
  // The older answer holds longer than the newer.
  CHECK(admissions[1] ==
        redirect::Admission{
            .ttl_seconds = 7'200, .age_seconds = 1'800, .devices = {mac}, .addresses = {IpAddress::v4(192, 0, 2, 1)}});
  CHECK(admissions_of(day.folder / "none.db", {mac}, *day.roster, morning).empty());
  CHECK(admissions_of(day.file, {}, device::Roster(), morning + minutes(60)).empty());
}

TEST_CASE("lists of DoH servers name them by name, address and network, and what is too large is none") {
  const tests::TemporaryFolder folder;
  const auto set = folder / "set";
  REQUIRE(blocklist::compile(
              {{"ads", folder.write("ads", "ads.example\n198.51.100.1\n"), {}, false},
               {"doh", folder.write("doh", "||dns.example^\n||other.example^\n@@||other.example^\n"), {}, false},
               {"addresses",
                folder.write("addresses",
                             "9.9.9.9\n9.9.9.0/24\n192.0.2.7\n2001:db8:1::/48\n2001:db8::/31\n"
                             "8.0.0.0/8\n127.0.0.1\n"),
                blocklist::ListFormat::addresses, false}},
              set)
              .has_value());
  const auto lists = blocklist::ListSet::open(set, true);
  REQUIRE(lists.has_value());
  using policy::ListKind;
  const policy::ListPolicy policies[] = {
      {.name = "ads"}, {.name = "doh", .kind = ListKind::doh}, {.name = "addresses", .kind = ListKind::doh}};
  const auto resolvers = geo::ResolverBook::read(
      "address,operator,country,protocols,hostname,note\n9.9.9.9,Quad9,CH,plain+doh,dns.quad9.net,\n");
  const DohSources sources{resolvers.book, **lists, policies};
  const device::Roster nobody;
  CHECK(restrictions_of(nobody, {}, {}, sources).doh_networks == std::vector{*IpPrefix::parse("9.9.9.0/24"),
                                                                             *IpPrefix::parse("192.0.2.7"),
                                                                             *IpPrefix::parse("2001:db8:1::/48")});
  const auto doh = doh_names_of(sources);
  CHECK(doh.hold(*dns::Name::parse("DNS.example"), **lists));
  CHECK_FALSE(doh.hold(*dns::Name::parse("other.example"), **lists));
  CHECK_FALSE(doh.hold(*dns::Name::parse("ads.example"), **lists));
}

TEST_CASE("the devices of restricted groups are held by every MAC that is known") {
  device::RosterBuilder builder;
  builder.add_group({.name = "cameras", .networks = {}, .log = {}});
  device::DeviceSettings settings;
  settings.name = "camera";
  settings.addresses = {*IpPrefix::parse("192.168.1.31")};
  settings.groups = {"cameras"};
  builder.add_device(settings);
  settings.name = "phone";
  settings.addresses = {*IpPrefix::parse("192.168.1.32")};
  settings.groups.clear();
  builder.add_device(settings);
  const auto mac = *device::MacAddress::parse("94:51:3d:13:9a:35");
  builder.add_sighting({.address = IpAddress::v4(192, 168, 1, 31), .mac = mac, .hostname = ""}, "");
  const auto roster = builder.build();
  const geo::ResolverBook no_resolvers;
  const auto no_lists = blocklist::ListSet::none();
  const DohSources nothing{no_resolvers, *no_lists, {}};
  const redirect::GroupRestriction strict[] = {{.flows = redirect::Flows::only_resolved, .encrypted = {}}};
  const auto all = restrictions_of(*roster, strict, {}, nothing);
  CHECK(all.only_resolved == std::vector{mac});
  const auto doh = std::make_shared<const blocklist::DohNames>();
  const auto gate = gate_of(*roster, strict, {}, redirect::Encrypted::leave, doh);
  REQUIRE(gate);
  CHECK(gate->holds(roster->find("camera")->id));
  CHECK_FALSE(gate->holds(roster->find("phone")->id));
  CHECK(gate->doh == nullptr);
  const redirect::FlowLock lock[] = {{.device = "camera", .flows = redirect::Flows::observe, .allowed = {}}};
  CHECK(restrictions_of(*roster, {}, lock, nothing).observed == std::vector{mac});
  CHECK(gate_of(*roster, {}, lock, redirect::Encrypted::leave, doh)->holds(roster->find("camera")->id));

  redirect::RefusedReply refused;
  refused.devices = {
      {.mac = mac, .refused = 3, .would_refuse = 0, .encrypted = 1},
      {.mac = *device::MacAddress::parse("02:00:00:00:00:07"), .refused = 1, .would_refuse = 0, .encrypted = 0}};
  const auto told = json_of(refused, *roster);
  REQUIRE(told.size() == 2);
  CHECK(told[0]["device"] == "02:00:00:00:00:07");
  CHECK(told[1]["device"] == "camera");
  CHECK(told[1]["refused"] == 3);
}

TEST_CASE("restrictions are said once, and again only where they differ, trouble with them is told") {
  Stage stage;
  redirect::Restrictions restrictions;
  restrictions.observed = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  stage.reply = redirect::Failed{{"without nft no device can be restricted"}};
  stage.interception->restrict(restrictions);
  stage.interception->restrict(restrictions);
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  REQUIRE(stage.requests.size() == 2);
  CHECK(std::get<redirect::Restrict>(stage.requests[0]).restrictions == restrictions);
  CHECK(stage.interception->gate_trouble().find("without nft") != std::string::npos);
  stage.reply = redirect::Done{};
  stage.interception->restrict({});
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  CHECK(stage.interception->gate_trouble().empty());
}

TEST_CASE("apply sends the operator's options, and what the warden warns of is told") {
  Stage stage;
  stage.reply = redirect::Done{{"Docker bridges traffic past the firewall."}};
  const json answer = stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  CHECK(answer["ok"] == true);
  CHECK(answer["warnings"].size() == 1);
  REQUIRE(stage.requests.size() == 1);
  const auto* apply = std::get_if<redirect::Apply>(&stage.requests[0]);
  REQUIRE(apply);
  CHECK(apply->options.interfaces == std::vector<std::string>{"br-lan"});
  CHECK(stage.interception->state() == redirect::State::applied);
  CHECK(stage.told.str().find("Docker bridges") != std::string::npos);
}

TEST_CASE("devices that the rules begin to hold are named, and what they were told goes over in lots") {
  Stage stage;
  const auto camera = *device::MacAddress::parse("94:51:3d:13:9a:35"),
             tv = *device::MacAddress::parse("02:d0:11:00:60:31");
  redirect::Restrictions restrictions;
  restrictions.only_resolved = {camera};
  stage.interception->restrict(restrictions);
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  CHECK(stage.held.empty());  // there are no rules yet
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  CHECK(stage.held == std::vector{camera});
  stage.is_recalled();
  restrictions.observed = {tv};
  stage.interception->restrict(restrictions);
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  CHECK(stage.held == std::vector{tv});

  stage.requests.clear();
  std::vector<redirect::Admission> admissions(redirect::admissions_per_message + 1);
  for (redirect::Admission& one : admissions) one.addresses = {IpAddress::v4(198, 51, 100, 7)};
  bool is_told = false;
  stage.interception->admit(admissions, [&] { is_told = true; });
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  std::size_t lots = 0, told = 0;
  for (const redirect::Request& request : stage.requests)
    if (const auto* admit = std::get_if<redirect::Admit>(&request)) {
      ++lots;
      told += admit->admissions.size();
    }
  CHECK(lots == 2);
  CHECK(told == admissions.size());
  CHECK(is_told);
}

TEST_CASE("nobody is refused before the kernel knows what it was told, unless it was shut before") {
  const auto camera = *device::MacAddress::parse("94:51:3d:13:9a:35"),
             tv = *device::MacAddress::parse("02:d0:11:00:60:31");
  Stage stage;
  const auto last_said = [&] {
    (void)stage.wait([&](auto take) { stage.interception->verify(take); });
    redirect::Restrictions said;
    for (const redirect::Request& request : stage.requests)
      if (const auto* restrict = std::get_if<redirect::Restrict>(&request)) said = restrict->restrictions;
    return said;
  };
  redirect::Restrictions wanted, eased;
  wanted.only_resolved = eased.observed = {camera};
  stage.interception->restrict(wanted);
  CHECK((last_said() == eased));
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  CHECK((last_said() == eased));
  stage.is_recalled();
  CHECK((last_said() == wanted));

  // One more, while rules are there; and another change before its answers are known.
  wanted.only_resolved = {tv, camera};
  eased.only_resolved = {camera};
  eased.observed = {tv};
  stage.interception->restrict(wanted);
  CHECK((last_said() == eased));
  CHECK(stage.held == std::vector{tv});
  wanted.must_not_encrypt = eased.must_not_encrypt = {camera};
  stage.interception->restrict(wanted);
  CHECK((last_said() == eased));
  stage.is_recalled();
  CHECK((last_said() == wanted));

  redirect::Options closed;
  closed.mode = redirect::Mode::tproxy;
  closed.on_failure = redirect::OnFailure::closed;
  Stage shut;
  shut.interception->want(closed);
  shut.interception->restrict(wanted);
  (void)shut.wait([&](auto take) { shut.interception->verify(take); });
  CHECK((std::get<redirect::Restrict>(shut.requests.at(0)).restrictions == wanted));
}

TEST_CASE("restrictions that failed are said again, their trouble told once, and then what was answered before") {
  Stage stage;
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  const auto look = [&](redirect::Reply to_restrict) {
    stage.requests.clear();
    stage.is_slow = true;
    bool has_looked = false;
    stage.interception->status([&](const json&) { has_looked = true; });
    redirect::StatusReply status;
    status.state = redirect::State::applied;
    stage.answer_late(status);
    REQUIRE(test::run_until(stage.loop, [&] { return has_looked; }));
    stage.answer_late(std::move(to_restrict));
    stage.is_slow = false;
    (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  };
  redirect::Restrictions wanted, eased;
  wanted.only_resolved = eased.observed = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  stage.reply = redirect::Failed{{"nft has ended"}};
  stage.interception->restrict(wanted);
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  CHECK(stage.held.empty());
  stage.reply = redirect::Done{};
  stage.times_doh_unknown = 0;

  look(redirect::Failed{{"nft has ended"}});
  CHECK(stage.held.empty());
  CHECK_FALSE(stage.interception->gate_trouble().empty());
  const std::string log = stage.told.str();
  CHECK(log.find("nft has ended") == log.rfind("nft has ended"));

  look(redirect::Done{});
  CHECK((std::get<redirect::Restrict>(stage.requests.at(1)).restrictions == eased));
  CHECK(stage.interception->gate_trouble().empty());
  CHECK(stage.held == wanted.only_resolved);
  CHECK(stage.times_doh_unknown == 1);
  stage.requests.clear();
  stage.is_recalled();
  (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  CHECK((std::get<redirect::Restrict>(stage.requests.at(0)).restrictions == wanted));
}

TEST_CASE("what held devices were told is told anew when the rules come back after a pause") {
  Stage stage;
  redirect::Restrictions wanted;
  wanted.only_resolved = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  redirect::StatusReply status;
  for (const auto state : {redirect::State::suspended, redirect::State::applied}) {
    status.state = state;
    stage.reply = status;
    (void)stage.wait([&](auto take) { stage.interception->status(take); });
    CHECK(stage.held.empty() == (state == redirect::State::suspended));
    stage.reply = redirect::Done{};
    if (state == redirect::State::suspended) stage.interception->restrict(wanted);
    (void)stage.wait([&](auto take) { stage.interception->verify(take); });
  }
  CHECK(stage.held == wanted.only_resolved);
}

TEST_CASE("what cannot be applied says why, and the state stays absent") {
  Stage stage;
  stage.reply = redirect::Failed{{"There is neither nft nor iptables on this machine."}};
  const json answer = stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  CHECK(answer["ok"] == false);
  CHECK(answer["reasons"][0] == "There is neither nft nor iptables on this machine.");
  CHECK(stage.interception->state() == redirect::State::absent);
  CHECK(stage.interception->reason() == "There is neither nft nor iptables on this machine.");
}

TEST_CASE("status and seen come as JSON") {
  Stage stage;
  redirect::StatusReply status;
  status.state = redirect::State::suspended;
  status.mode = redirect::Mode::tproxy;
  status.counters.udp4 = 7;
  status.reason = "the resolver was silent";
  status.interference = {"docker"};
  stage.reply = status;
  const json answer = stage.wait([&](auto take) { stage.interception->status(take); });
  REQUIRE(stage.requests.size() == 1);
  CHECK(stage.requests[0] == redirect::Request(redirect::Status{.looks_anew = true}));
  CHECK(stage.interception->interference() == status.interference);
  CHECK(answer["interference"] == json{"docker"});
  CHECK(answer["state"] == "suspended");
  CHECK(answer["mode"] == "tproxy");
  CHECK(answer["counters"]["udp4"] == 7);
  CHECK(stage.interception->state() == redirect::State::suspended);
  stage.reply = redirect::SeenReply{
      {{*device::MacAddress::parse("94:51:3d:13:9a:35"), {IpAddress::v4(114, 114, 114, 114), 53}, 12}}, 0};
  const json seen = stage.wait([&](auto take) { stage.interception->seen(std::make_shared<device::Roster>(), take); });
  CHECK(seen["sightings"][0]["mac"] == "94:51:3d:13:9a:35");
  CHECK(seen["sightings"][0]["resolver"] == "114.114.114.114:53");
}

TEST_CASE("rules on trial are asked for with their time, and confirmed") {
  Stage stage;
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  REQUIRE(stage.requests.size() == 1);
  CHECK(std::get<redirect::Apply>(stage.requests[0]).trial_seconds == 60);
  CHECK(stage.told.str().find("on trial for 60 s") != std::string::npos);
  CHECK(stage.wait([&](auto take) { stage.interception->confirm(take); })["ok"] == true);
  CHECK(std::holds_alternative<redirect::Confirm>(stage.requests[1]));
  redirect::StatusReply status;
  status.state = redirect::State::applied;
  status.trial_seconds_left = 42;
  stage.reply = status;
  const json told = stage.wait([&](auto take) { stage.interception->status(take); });
  CHECK(told["trial_seconds_left"] == 42);
  CHECK(told["text"].get<std::string>().find("`doline redirect confirm`") != std::string::npos);
  // That nobody confirmed is told once.
  status.reason = "the rules on trial were not confirmed in time";
  stage.reply = status;
  for (int i = 0; i < 2; ++i) (void)stage.wait([&](auto take) { stage.interception->status(take); });
  const std::string log = stage.told.str();
  CHECK(log.find("not confirmed in time") != std::string::npos);
  CHECK(log.find("not confirmed in time") == log.rfind("not confirmed in time"));
}

TEST_CASE("at start rules are put in place, unless the operator was faster") {
  for (const bool was_removed : {false, true}) {
    Stage stage;
    if (was_removed) (void)stage.wait([&](auto take) { stage.interception->remove(take); });
    stage.requests.clear();
    stage.interception->begin([](const json&) {});
    (void)stage.wait([&](auto take) { stage.interception->verify(take); });
    const bool has_applied = std::any_of(stage.requests.begin(), stage.requests.end(), [](const auto& request) {
      return std::holds_alternative<redirect::Apply>(request);
    });
    CHECK(has_applied == !was_removed);
  }
}

TEST_CASE("rules that could not be put in place at start are a shortcoming, until the operator decides") {
  Stage stage;
  stage.reply = redirect::Failed{{"the table is held by somebody else"}};
  CHECK(stage.interception->shortcoming().empty());
  (void)stage.wait([&](auto take) { stage.interception->begin(take); });
  CHECK(stage.interception->shortcoming() == "Interception is off: the table is held by somebody else");
  stage.reply = redirect::StatusReply{};
  (void)stage.wait([&](auto take) { stage.interception->status(take); });
  CHECK(stage.interception->shortcoming() == "Interception is off: the table is held by somebody else");
  stage.reply = redirect::Done{};
  (void)stage.wait([&](auto take) { stage.interception->remove(take); });
  CHECK(stage.interception->shortcoming().empty());
}

TEST_CASE("the start is not tried again where the operator decided while it was under way") {
  Stage stage;
  stage.is_slow = true;
  int answered = 0;
  stage.interception->begin([&](const json&) { ++answered; });
  stage.interception->remove([&](const json&) { ++answered; });
  stage.answer_late(redirect::SeenReply{});
  stage.answer_late(redirect::Failed{{"the table is held by somebody else"}});
  stage.answer_late(redirect::Done{});
  REQUIRE(test::run_until(stage.loop, [&] { return answered == 2; }));
  CHECK(stage.interception->shortcoming().empty());
}

TEST_CASE("what the kernel has seen while nobody looked is told at start") {
  Stage stage;
  stage.reply = redirect::SeenReply{
      {{*device::MacAddress::parse("94:51:3d:13:9a:35"), {IpAddress::v4(114, 114, 114, 114), 53}, 12}}, 3};
  stage.interception->begin([](const json&) {});
  (void)stage.wait([&](auto take) { stage.interception->seen(std::make_shared<device::Roster>(), take); });
  CHECK(std::holds_alternative<redirect::Seen>(stage.requests.at(0)));
  CHECK(stage.told.str().find("remembers 4 pairs of device and foreign resolver") != std::string::npos);
  CHECK(stage.told.str().find("94:51:3d:13:9a:35") == std::string::npos);
}

TEST_CASE("whom a device asked whose log does not keep its name is not shown") {
  Stage stage;
  const auto camera = *device::MacAddress::parse("94:51:3d:13:9a:35"),
             tv = *device::MacAddress::parse("94:51:3d:13:9a:36");
  const Endpoint resolver{IpAddress::v4(114, 114, 114, 114), 53};
  stage.reply = redirect::SeenReply{{{camera, resolver, 12}, {tv, resolver, 3}}, 0};
  device::DeviceSettings settings;
  settings.name = "camera";
  settings.macs = {camera};
  settings.log = device::LogChoice::none;
  device::RosterBuilder builder;
  builder.add_device(settings);
  const json seen = stage.wait([&](auto take) { stage.interception->seen(builder.build(), take); });
  REQUIRE(seen["sightings"].size() == 1);
  CHECK(seen["sightings"][0]["mac"] == tv.to_string());
}

TEST_CASE("what the operator has written since is applied when asked for, where the sockets serve it") {
  Stage stage;
  redirect::Options wanted;
  wanted.mode = redirect::Mode::tproxy;
  wanted.interfaces = {"br-lan", "br-iot"};
  stage.interception->want(wanted);
  CHECK(stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); })["ok"] == true);
  CHECK(std::get<redirect::Apply>(stage.requests.at(0)).options == wanted);
  for (const bool has_other_mode : {false, true}) {
    redirect::Options other = wanted;
    if (has_other_mode)
      other.mode = redirect::Mode::nat;
    else
      other.ports = {53};
    stage.interception->want(other);
    const json answer = stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
    CHECK(answer["ok"] == false);
    CHECK(answer["reasons"][0].get<std::string>().find("start Doline again") != std::string::npos);
  }
  CHECK(stage.requests.size() == 1);
}

TEST_CASE("a warden that dies is a lost interception, told once, and whoever asks then learns it") {
  Stage stage;
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  stage.hearing = Watch();
  ::close(std::exchange(stage.warden, -1));
  const Watch later = stage.loop.after(milliseconds(50), [&] { stage.loop.stop(); });
  stage.loop.run();
  CHECK(stage.interception->state() == redirect::State::lost);
  const json answer = stage.wait([&](auto take) { stage.interception->verify(take); });
  CHECK(answer.contains("error"));
  const std::string told = stage.told.str();
  CHECK(told.find("has died") != std::string::npos);
  CHECK(told.find("has died") == told.rfind("has died"));
  stage.interception->end(milliseconds(100));
}

TEST_CASE("what is refused of encrypted DNS follows the rules in force, on trial only until it is over") {
  Stage stage;
  CHECK(stage.interception->encrypted() == Encrypted::leave);
  redirect::Options options;
  options.mode = redirect::Mode::tproxy;
  options.interfaces = {"br-lan"};
  options.encrypted = Encrypted::reject;
  stage.interception->want(options);
  CHECK(stage.interception->encrypted() == Encrypted::leave);
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  CHECK(stage.interception->encrypted() == Encrypted::reject);
  CHECK(stage.times_doh_unknown == 1);

  redirect::StatusReply status;
  status.state = redirect::State::applied;
  status.trial_seconds_left = 30;
  stage.reply = status;
  (void)stage.wait([&](auto take) { stage.interception->status(take); });
  CHECK(stage.interception->encrypted() == Encrypted::reject);
  status.trial_seconds_left = 0;
  stage.reply = status;
  (void)stage.wait([&](auto take) { stage.interception->status(take); });
  CHECK(stage.interception->encrypted() == Encrypted::leave);
  CHECK(stage.times_doh_unknown == 2);

  stage.reply = redirect::Done{};
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  (void)stage.wait([&](auto take) { stage.interception->confirm(take); });
  stage.reply = status;
  (void)stage.wait([&](auto take) { stage.interception->status(take); });
  CHECK(stage.interception->encrypted() == Encrypted::reject);
}

TEST_CASE("a table that was put back has forgotten the DoH servers too") {
  Stage stage;
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  redirect::StatusReply status;
  status.state = redirect::State::applied;
  for (const std::uint64_t admitted : {7, 0}) {
    status.gate.admitted = admitted;
    stage.reply = status;
    stage.times_doh_unknown = 0;
    (void)stage.wait([&](auto take) { stage.interception->status(take); });
    CHECK(stage.times_doh_unknown == (admitted == 0 ? 1 : 0));
  }
}

TEST_CASE(
    "a trial that nobody confirmed stays one over a restart: what was before it comes, until the operator decides") {
  const auto folder = std::make_shared<tests::TemporaryFolder>();
  const auto began_with = [](Stage& stage) -> std::optional<redirect::Options> {
    stage.requests.clear();
    (void)stage.wait([&](auto take) { stage.interception->begin(take); });
    for (const redirect::Request& request : stage.requests)
      if (const auto* apply = std::get_if<redirect::Apply>(&request)) return apply->options;
    return std::nullopt;
  };
  {
    Stage first(folder, Encrypted::leave);
    redirect::Options edited = *began_with(first);
    edited.encrypted = Encrypted::reject;
    first.interception->want(edited);
    (void)first.wait([&](auto take) { first.interception->apply(seconds(60), take); });
    CHECK(first.interception->shortcoming().empty());
  }
  for (int starts = 0; starts < 2; ++starts) {
    Stage again(folder, Encrypted::reject);
    const auto options = began_with(again);
    REQUIRE(options);
    CHECK(options->encrypted == Encrypted::leave);
    CHECK(again.interception->encrypted() == Encrypted::leave);
    CHECK(again.interception->shortcoming().find("nobody confirmed it, so the one before it is in force") !=
          std::string::npos);
  }
  {
    Stage decided(folder, Encrypted::reject);
    (void)decided.wait([&](auto take) { decided.interception->apply(seconds(0), take); });
    CHECK(decided.interception->encrypted() == Encrypted::reject);
    CHECK(decided.interception->shortcoming().empty());
  }
  Stage last(folder, Encrypted::reject);
  CHECK(began_with(last)->encrypted == Encrypted::reject);
}

TEST_CASE("after a trial from nothing nothing begins by itself, unless the operator has written something else") {
  const auto folder = std::make_shared<tests::TemporaryFolder>();
  const auto begins = [](Stage& stage) {
    return stage.wait([&](auto take) { stage.interception->begin(take); }).value("ok", false);
  };
  {
    Stage first(folder, Encrypted::leave);
    (void)first.wait([&](auto take) { first.interception->apply(seconds(60), take); });
    (void)first.wait([&](auto take) { first.interception->remove(take); });
  }
  {
    Stage again(folder, Encrypted::leave);
    CHECK_FALSE(begins(again));
    CHECK(again.interception->state() == redirect::State::absent);
    CHECK(again.interception->shortcoming().find("none is in force") != std::string::npos);
  }
  Stage edited(folder, Encrypted::reject);
  CHECK(begins(edited));
  CHECK(edited.interception->shortcoming().empty());
}

TEST_CASE("a trial that cannot be remembered, or that fails, changes nothing") {
  Stage stage;
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(0), take); });
  stage.reply = redirect::Failed{{"nft says no"}};
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  CHECK_FALSE(std::filesystem::exists(*stage.folder / "trial.json"));
  std::filesystem::create_directory(*stage.folder / "trial.json.new");
  stage.requests.clear();
  const json answer = stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  CHECK(answer["reasons"][0].get<std::string>().find("trial.json cannot be written") != std::string::npos);
  CHECK(stage.requests.empty());
}

TEST_CASE(
    "a change waits for the one before: the mark of a trial says what is in force, and one that fails takes its own") {
  const auto folder = std::make_shared<tests::TemporaryFolder>();
  const auto mark = [&] {
    std::string complaint;
    return read_trial_mark(*folder / "trial.json", complaint);
  };
  Stage stage(folder, Encrypted::leave);
  redirect::Options wanted;
  wanted.mode = redirect::Mode::tproxy;
  wanted.interfaces = {"br-lan"};
  const redirect::Options at_start = wanted;
  const auto apply = [&](Encrypted encrypted, std::vector<bool>& are_applied) {
    wanted.encrypted = encrypted;
    stage.interception->want(wanted);
    stage.interception->apply(seconds(60),
                              [&are_applied](const json& reply) { are_applied.push_back(reply.value("ok", false)); });
  };
  const auto applied = [&] {
    return std::count_if(stage.requests.begin(), stage.requests.end(),
                         [](const auto& request) { return std::holds_alternative<redirect::Apply>(request); });
  };
  // While the start's are on their way.
  stage.is_slow = true;
  stage.interception->begin([](const json&) {});
  std::vector<bool> are_applied;
  apply(Encrypted::reject, are_applied);
  stage.answer_late(redirect::SeenReply{});
  stage.answer_late(redirect::Done{});
  REQUIRE(test::run_until(stage.loop, [&] { return applied() == 2; }));
  REQUIRE(mark());
  CHECK(mark()->former == at_start);
  // Two more: the first fails, and the second is on trial.
  apply(Encrypted::log, are_applied);
  apply(Encrypted::log, are_applied);
  stage.answer_late(redirect::Failed{{"nft says no"}});
  stage.answer_late(redirect::Failed{{"nft says no"}});
  REQUIRE(test::run_until(stage.loop, [&] { return applied() == 4; }));
  CHECK(are_applied == std::vector{false, false});
  stage.answer_late(redirect::Done{});
  REQUIRE(test::run_until(stage.loop, [&] { return are_applied.size() == 3; }));
  CHECK(are_applied.back());
  CHECK(mark() == TrialMark{wanted, at_start});
}

TEST_CASE("whoever looks while a trial is confirmed does not take it for failed") {
  Stage stage(std::make_shared<tests::TemporaryFolder>(), Encrypted::leave);
  redirect::Options wanted;
  wanted.mode = redirect::Mode::tproxy;
  wanted.interfaces = {"br-lan"};
  wanted.encrypted = Encrypted::reject;
  stage.interception->want(wanted);
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  stage.is_slow = true;
  int answered = 0;
  stage.interception->confirm([&](const json&) { ++answered; });
  stage.interception->status([&](const json&) { ++answered; });
  REQUIRE(test::run_until(stage.loop, [&] { return stage.unanswered.size() == 2; }));
  std::swap(stage.unanswered.front(), stage.unanswered.back());
  redirect::StatusReply status;  // the trial is over, and the rules are made anew
  status.state = redirect::State::applied;
  stage.answer_late(status);
  stage.answer_late(redirect::Done{});
  REQUIRE(test::run_until(stage.loop, [&] { return answered == 2; }));
  CHECK(stage.interception->encrypted() == Encrypted::reject);
  CHECK(stage.interception->shortcoming().empty());
  CHECK_FALSE(std::filesystem::exists(*stage.folder / "trial.json"));
}

TEST_CASE("a mark that cannot be removed is told") {
  Stage stage;
  (void)stage.wait([&](auto take) { stage.interception->apply(seconds(60), take); });
  std::filesystem::remove(*stage.folder / "trial.json");
  std::filesystem::create_directories(*stage.folder / "trial.json" / "full");
  (void)stage.wait([&](auto take) { stage.interception->confirm(take); });
  CHECK(stage.told.str().find("trial.json cannot be removed") != std::string::npos);
}

TEST_CASE("of what was before a trial it is said that it is in force only where it is") {
  const auto begin = [](Stage& stage) { return stage.wait([&](auto take) { stage.interception->begin(take); }); };
  for (const bool has_other_mode : {false, true}) {
    const auto folder = std::make_shared<tests::TemporaryFolder>();
    TrialMark mark;
    mark.on_trial.mode = redirect::Mode::tproxy;
    mark.on_trial.interfaces = {"br-lan"};
    mark.former = mark.on_trial;
    mark.on_trial.encrypted = Encrypted::reject;
    if (has_other_mode) mark.former->mode = redirect::Mode::nat;
    REQUIRE(write_trial_mark(*folder / "trial.json", mark).empty());
    Stage stage(folder, Encrypted::reject);
    stage.reply = redirect::Failed{{"nft says no"}};
    (void)begin(stage);
    const std::string said = stage.interception->shortcoming();
    CHECK(stage.told.str().find(said) != std::string::npos);
    if (has_other_mode)
      CHECK(said.find("so none is in force:") != std::string::npos);
    else
      CHECK(said.find("should be in force, and is not yet (nft says no)") != std::string::npos);
    CHECK(std::any_of(stage.requests.begin(), stage.requests.end(), [](const auto& request) {
            return std::holds_alternative<redirect::Apply>(request);
          }) == !has_other_mode);
  }
}

TEST_CASE("whoever waits when Doline ends is told, what has not begun does not begin, and a trial may have begun") {
  const auto folder = std::make_shared<tests::TemporaryFolder>();
  Stage stage(folder, Encrypted::leave);
  stage.is_slow = true;
  std::vector<json> told;
  stage.interception->apply(seconds(60), [&](const json& reply) { told.push_back(reply); });
  stage.interception->remove([&](const json& reply) { told.push_back(reply); });
  REQUIRE(test::run_until(stage.loop, [&] { return !stage.requests.empty(); }));
  stage.interception.reset();
  REQUIRE(told.size() == 1);
  CHECK(told[0].contains("error"));
  CHECK(std::filesystem::exists(*folder / "trial.json"));
}

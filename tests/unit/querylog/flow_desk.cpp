// The desk beside the writer's thread that it lives on: what the warden would send is sent by these tests.
#include "querylog/flow_desk.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../flows/packets.h"
#include "querylog/flow_reader.h"
#include "querylog/log_writer.h"
#include "samples.h"

using namespace doline;
using namespace doline::querylog;
using namespace doline::querylog::samples;
namespace packets = doline::flows::samples;

namespace {

const auto camera_mac = *device::MacAddress::parse("94:51:3d:13:9a:35");

/// A log writer whose connections these tests make.
class Watched {
 public:
  explicit Watched(seconds warm_up = seconds(0), bool encrypted_is_refused = false)
      : warm_up_(warm_up), encrypted_is_refused_(encrypted_is_refused) {
    start();
  }
  ~Watched() {
    if (ours_ >= 0) close(ours_);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  void send(const std::vector<flows::Event>& events, std::uint64_t lost = 0) {
    const auto octets = flows::write_batch({lost, events});
    REQUIRE(::send(ours_, octets.data(), octets.size(), 0) == static_cast<ssize_t>(octets.size()));
  }
  void connect(const packets::Octets& packet, flows::LoggedBy rule = flows::LoggedBy::connection,
               const device::MacAddress& mac = camera_mac) {
    send({flows::LoggedPacket{now(), mac, "home0", rule, packet}});
  }
  void connect(const char* from, const char* to, std::uint16_t port, std::uint16_t from_port = 56'159) {
    const auto datagram = packets::udp(from_port, port);
    connect(address(from).is_v4() ? packets::v4(from, to, IPPROTO_UDP, datagram)
                                  : packets::v6(from, to, IPPROTO_UDP, datagram));
  }
  void answer(const char* client, const char* qname, const char* given) {
    Record made = record(*household(), now(), client, qname);
    REQUIRE(ring_.push(
        made, response(qname, address(given).is_v4() ? dns::RecordType::a : dns::RecordType::aaaa, {a(qname, given)})));
    writer_->flush();  // it has been seen
  }
  /// Doline starts again, with the same log.
  void restart() {
    writer_.reset();
    hang_up();
    start();
    writer_->flush();  // the file has been opened
  }
  /// The warden has died.
  void hang_up() { close(std::exchange(ours_, -1)); }
  [[nodiscard]] WallTime now() const { return clock_.now().wall; }
  void pass(microseconds time) { clock_.pass(time); }
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "doline.db"; }
  LogWriter& writer() { return *writer_; }
  /// What is in the file once the writer has stopped, which judges what it has held.
  std::vector<FlowRow> rows() {
    writer_->stop();
    auto reader = FlowReader::open(file());
    REQUIRE(reader);
    std::vector<FlowRow> found;
    REQUIRE(reader->read({}, Order::oldest_first, [&](const FlowRow& row) {
      found.push_back(row);
      return true;
    }));
    return found;
  }

 private:
  void start() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    ours_ = ends[0];
    Options options;
    options.path = file();
    options.flows = {.channel = ends[1], .warm_up = warm_up_};
    writer_.emplace(options, std::vector<Ring*>{&ring_}, clock_, events_.taker());
    Legend known = legend();
    known.encrypted_refused.assign(known.roster->devices().size(), encrypted_is_refused_);
    known.doh = std::make_shared<const blocklist::DohNames>(
        blocklist::DohNames{.names = {*dns::Name::parse("dns.google")}, .lists = {}});
    writer_->install(std::move(known));
  }

  const seconds warm_up_;
  const bool encrypted_is_refused_;
  Folder folder_;
  WallClock clock_{morning};
  Events events_;
  Ring ring_;
  int ours_ = -1;
  std::optional<LogWriter> writer_;
};

}  // namespace

TEST_CASE("what was answered before a restart explains connections after it") {
  Watched watched;
  watched.answer("192.168.50.104", "api.wyze.com", "120.24.59.150");
  watched.restart();
  watched.connect("192.168.50.104", "120.24.59.150", 10'240);
  watched.connect("192.168.50.104", "61.188.37.216", 10'240);
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].explanation == flows::Explanation::looked_up);
  CHECK(rows[0].name == *dns::Name::parse("api.wyze.com"));
  CHECK(rows[1].explanation == flows::Explanation::without_lookup);
}

TEST_CASE("the reported case: three connections that no answer explains, with MAC, address and port") {
  Watched watched;
  for (const char* to : {"120.24.59.150", "61.188.37.216", "114.215.137.159"})
    watched.connect("192.168.50.104", to, 10'240);
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 3);
  for (const FlowRow& row : rows) {
    CHECK(row.explanation == flows::Explanation::without_lookup);
    CHECK(row.device == "wyze-base");
    CHECK(row.mac == camera_mac);
    CHECK(row.interface == "home0");
    CHECK(row.protocol == IPPROTO_UDP);
    CHECK(row.destination.port == 10'240);
    CHECK(row.client == Endpoint{address("192.168.50.104"), 56'159});
    CHECK_FALSE(row.name);
    CHECK_FALSE(row.traffic);
  }
  CHECK(rows[0].destination.address == address("120.24.59.150"));
  const auto statistics = watched.writer().statistics().flows;
  REQUIRE(statistics);
  CHECK(statistics->seen == 3);
  CHECK(statistics->without_lookup == 3);
  CHECK(statistics->written == 3);
}

TEST_CASE("what one address of a device looked up explains the connections of all of them, and nobody else's") {
  Watched watched;
  watched.answer("192.168.50.104", "api.wyzecam.com", "52.1.2.3");
  watched.answer("192.168.50.104", "six.wyzecam.com", "2001:db8::80");
  watched.connect("192.168.50.104", "52.1.2.3", 443);
  watched.connect("fd00::104", "2001:db8::80", 443);
  watched.connect("2001:db8:50::beef", "2001:db8::80", 443);  // nobody has told of this address, but its MAC is known
  watched.connect(packets::v4("192.168.50.105", "52.1.2.3", IPPROTO_UDP, packets::udp(1, 443)),
                  flows::LoggedBy::connection, *device::MacAddress::parse("02:00:00:00:00:05"));
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].name == name("api.wyzecam.com"));
  CHECK(rows[1].name == name("six.wyzecam.com"));
  CHECK(rows[2].name == name("six.wyzecam.com"));
  CHECK(rows[2].device == "wyze-base");
  CHECK(rows[3].device == "phone");
  CHECK(rows[3].explanation == flows::Explanation::without_lookup);
}

TEST_CASE("a device that nobody knows is known by its MAC") {
  Watched watched;
  const auto mac = *device::MacAddress::parse("02:00:00:00:00:99");
  watched.connect(packets::v4("192.168.50.99", "120.24.59.150", IPPROTO_UDP, packets::udp(1, 10'240)),
                  flows::LoggedBy::connection, mac);
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].device == device::unknown_device_name);
  CHECK(rows[0].mac == mac);
}

TEST_CASE("nothing is kept of devices whose log is off or anonymous") {
  Watched watched;
  const device::MacAddress other{};
  for (const char* from : {"192.168.50.20", "192.168.50.30"})
    watched.connect(packets::v4(from, "120.24.59.150", IPPROTO_UDP, packets::udp(1, 10'240)),
                    flows::LoggedBy::connection, other);
  CHECK(watched.rows().empty());
  CHECK(watched.writer().statistics().flows->not_recorded == 2);
}

TEST_CASE("nobody is accused before Doline has listened for long enough, or where answers are not seen") {
  Watched watched(seconds(3'600));
  watched.connect("192.168.50.104", "120.24.59.150", 10'240);
  CHECK(watched.rows().at(0).explanation == flows::Explanation::warming_up);

  for (const bool is_refused : {false, true}) {
    Watched encrypted(seconds(0), is_refused);
    encrypted.connect(packets::v4("192.168.50.104", "8.8.8.8", IPPROTO_TCP, packets::tcp(1, 853)),
                      flows::LoggedBy::encrypted_dns);
    encrypted.connect("192.168.50.104", "120.24.59.150", 10'240);
    const auto rows = encrypted.rows();
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].kind == flows::Kind::encrypted_dns);
    CHECK(rows[0].explanation == flows::Explanation::resolver);
    CHECK(rows[1].explanation ==
          (is_refused ? flows::Explanation::without_lookup : flows::Explanation::asked_elsewhere));
  }
}

TEST_CASE("what is counted is added to its row, before and after that is written, and repeats are no new rows") {
  Watched watched;
  const flows::Tuple tuple{IPPROTO_UDP, {address("192.168.50.104"), 56'159}, {address("120.24.59.150"), 10'240}};
  watched.connect("192.168.50.104", "120.24.59.150", 10'240);
  watched.connect("192.168.50.104", "120.24.59.150", 10'240);
  watched.send({flows::TrafficReport{tuple, {2, 200, 1, 100}, false}});
  watched.send({flows::TrafficReport{{IPPROTO_TCP, tuple.client, tuple.destination}, {9, 9, 9, 9}, true}});  // unknown
  const auto written = [&] { return watched.writer().statistics().flows->written; };
  for (int tries = 0; written() == 0 && tries < 1'000; ++tries) {
    usleep(10'000);
    watched.writer().flush();
  }
  REQUIRE(written() == 1);
  watched.send({flows::TrafficReport{tuple, {5, 500, 4, 400}, true}});
  usleep(100'000);
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].traffic == flows::Traffic{5, 500, 4, 400});
  CHECK(watched.writer().statistics().flows->repeated == 1);
}

TEST_CASE("a query that was seen is a record of its own kind, and octets that are none are counted") {
  Watched watched;
  const auto query = packets::query("api.wyzecam.com", dns::RecordType::aaaa);
  watched.connect(packets::v4("192.168.50.104", "114.114.114.114", IPPROTO_UDP, packets::udp(40'000, 53, query)),
                  flows::LoggedBy::query);
  watched.connect(
      packets::v6("fd00::104", "2400:3200::1", IPPROTO_TCP, packets::tcp(40'000, 53, packets::with_length(query))),
      flows::LoggedBy::query);
  watched.connect(packets::v4("192.168.50.20", "114.114.114.114", IPPROTO_UDP, packets::udp(40'000, 53, query)),
                  flows::LoggedBy::query);  // of whom nothing is kept
  watched.connect({0x45, 0, 0}, flows::LoggedBy::query);
  watched.connect({0x45, 0, 0});
  CHECK(watched.rows().empty());
  const auto records = samples::rows(watched.file());
  REQUIRE(records.size() == 2);
  for (const LogRow& row : records) {
    CHECK(row.verdict == VerdictKind::audited);
    CHECK(row.device == "wyze-base");
    CHECK(row.qname == name("api.wyzecam.com"));
    CHECK(row.qtype == dns::RecordType::aaaa);
    CHECK(row.destination_source == device::DestinationSource::seen);
    CHECK(row.rule.empty());
    CHECK(row.source == Source::none);
  }
  CHECK(records[0].original_destination == Endpoint{address("114.114.114.114"), 53});
  CHECK(records[1].original_destination == Endpoint{address("2400:3200::1"), 53});
  CHECK(records[1].transport == Transport::tcp);
  const LogStatistics statistics = watched.writer().statistics();
  CHECK(statistics.flows->unreadable == 2);
  CHECK(statistics.flows->audited == 3);
  CHECK(statistics.pushed == 3);
  CHECK(statistics.pushed == statistics.written + statistics.lost_at_database + statistics.not_recorded);
}

TEST_CASE("what the warden lost is told, also once it is gone") {
  Watched watched;
  watched.send({}, 17);
  watched.hang_up();
  static_cast<void>(watched.rows());
  CHECK(watched.writer().statistics().flows->lost == 17);
  CHECK_FALSE(watched.writer().statistics().flows->is_watching);
}

TEST_CASE("a device that scans leaves room for the others: what is left out of it is counted and told") {
  Watched watched;
  const auto phone_mac = *device::MacAddress::parse("02:d0:11:00:50:32");
  constexpr std::uint16_t scanned = 3'000;
  for (std::uint16_t i = 0; i < scanned; i += 50) {
    std::vector<flows::Event> lot;
    for (std::uint16_t at = i; at < i + 50; ++at)
      lot.push_back(flows::LoggedPacket{watched.now(), camera_mac, "home0", flows::LoggedBy::connection,
                                        packets::v4("192.168.50.104", "61.188.37.216", IPPROTO_UDP,
                                                    packets::udp(static_cast<std::uint16_t>(20'000 + at), 10'240))});
    watched.send(lot);
  }
  watched.send(
      {flows::LoggedPacket{watched.now(), phone_mac, "home0", flows::LoggedBy::connection,
                           packets::v4("192.168.50.32", "61.188.37.217", IPPROTO_UDP, packets::udp(5'000, 10'240))}});
  const auto rows = watched.rows();
  CHECK(rows.size() == flows::connections_at_once + 1);
  CHECK(std::count_if(rows.begin(), rows.end(), [](const FlowRow& row) { return row.client.port == 5'000; }) == 1);
  const auto statistics = watched.writer().statistics().flows;
  REQUIRE(statistics);
  CHECK(statistics->seen == scanned + 1);
  CHECK(statistics->left_out == scanned - flows::connections_at_once);
  REQUIRE(statistics->left_out_most);
  CHECK((statistics->left_out_most->holder == flows::Holder::of(camera_mac)));
  CHECK(statistics->lost == 0);
}

TEST_CASE("who asks elsewhere is excused from then on, and while the connection is in use") {
  Watched watched;
  const auto at = watched.now();
  const auto to = [&](WallTime time, const char* address, std::uint16_t port, flows::LoggedBy rule) {
    watched.send(
        {flows::LoggedPacket{time, camera_mac, "home0", rule,
                             packets::v4("192.168.50.104", address, IPPROTO_UDP, packets::udp(56'159, port))}});
  };
  watched.writer().flush();  // it has begun
  watched.pass(seconds(3));
  to(at, "61.188.37.216", 10'240, flows::LoggedBy::connection);
  to(at + seconds(1), "8.8.8.8", 853, flows::LoggedBy::encrypted_dns);
  to(at + seconds(2), "114.215.137.159", 10'240, flows::LoggedBy::connection);
  watched.pass(seconds(3));
  watched.writer().flush();
  // The connection lasts, and something passes now and then.
  for (std::uint64_t parts = 1; parts <= 16; ++parts) {
    watched.pass(std::chrono::minutes(5));
    flows::TrafficReport report;
    report.tuple = {IPPROTO_UDP, {address("192.168.50.104"), 56'159}, {address("8.8.8.8"), 853}};
    report.traffic.octets_in = parts * 100;
    watched.send({report});
    watched.writer().flush();
  }
  to(watched.now(), "120.24.59.150", 10'240, flows::LoggedBy::connection);
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].explanation == flows::Explanation::without_lookup);
  CHECK(rows[1].explanation == flows::Explanation::resolver);
  CHECK(rows[2].explanation == flows::Explanation::asked_elsewhere);
  CHECK(rows[3].explanation == flows::Explanation::asked_elsewhere);
}

TEST_CASE("a connection to what a DoH name was answered with is encrypted DNS, by the port of DoH alone") {
  Watched watched;
  watched.answer("192.168.50.104", "dns.google", "8.8.8.8");
  watched.answer("192.168.50.104", "api.wyze.com", "120.24.59.150");
  watched.connect("192.168.50.104", "8.8.8.8", 443);
  watched.connect("192.168.50.104", "8.8.8.8", 80);
  watched.connect("192.168.50.104", "120.24.59.150", 443);
  // Where encrypted DNS alone is asked for, nothing else is recorded.
  const auto https = [&](const char* to, std::uint16_t from_port) {
    watched.connect(packets::v4("192.168.50.104", to, IPPROTO_UDP, packets::udp(from_port, 443)),
                    flows::LoggedBy::https);
  };
  https("8.8.8.8", 50'001);
  https("120.24.59.150", 50'002);
  https("61.188.37.216", 50'003);
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].kind == flows::Kind::encrypted_dns);
  CHECK(rows[0].explanation == flows::Explanation::looked_up);
  CHECK(rows[0].name == *dns::Name::parse("dns.google"));
  CHECK(rows[1].kind == flows::Kind::connection);
  CHECK(rows[2].kind == flows::Kind::connection);
  CHECK(rows[3].kind == flows::Kind::encrypted_dns);
  CHECK(rows[3].client.port == 50'001);
  CHECK(watched.writer().statistics().flows->seen == 4);
}

TEST_CASE("what the gate refuses is told of the connection that it refused") {
  Watched watched;
  watched.connect("192.168.50.104", "61.188.37.216", 10'240, 50'001);
  watched.connect("192.168.50.104", "61.188.37.216", 10'240, 50'002);
  const auto refuse = [&](std::uint16_t from_port) {
    watched.connect(packets::v4("192.168.50.104", "61.188.37.216", IPPROTO_UDP, packets::udp(from_port, 10'240)),
                    flows::LoggedBy::refused);
  };
  refuse(50'002);
  refuse(50'003);  // of a connection that was not logged
  const auto rows = watched.rows();
  REQUIRE(rows.size() == 2);
  CHECK_FALSE(rows[0].is_refused);
  CHECK(rows[1].is_refused);
  CHECK(watched.writer().statistics().flows->seen == 2);
}

#include "warden/nflog.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <cerrno>
#include <vector>

#include "flows/packet.h"
#include "redirect/watch_rules.h"
#include "small_home.h"

using namespace doline;
using namespace doline::tests;
using redirect::LoggedBy;
using warden::Nflog;

namespace {

constexpr WallTime now{std::chrono::seconds(1'795'590'000)};

void put_rules(redirect::Options options) {
  options.watch = true;
  const auto end = shell("PATH=$PATH:/usr/sbin nft -f - <<'NFT'\n" +
                         redirect::nft_watch(options, redirect::TableLife::until_removed) + "NFT\n");
  CAPTURE(end.output);
  REQUIRE(end.status == 0);
}

std::vector<flows::LoggedPacket> read_some(Nflog& log, std::size_t most) {
  std::vector<flows::LoggedPacket> packets;
  for (int tries = 0; packets.size() < most && tries < 200; ++tries) {
    pollfd ready{log.descriptor(), POLLIN, 0};
    poll(&ready, 1, 50);
    log.read(now, [&](flows::LoggedPacket packet) { packets.push_back(std::move(packet)); });
  }
  return packets;
}

}  // namespace

TEST_CASE("The first packet of each connection comes with its device's MAC and interface, once") {
  const auto home = SmallHome::build();
  if (!home) return;
  auto log = Nflog::open(53);
  REQUIRE(log);
  put_rules(small_home_options(redirect::Mode::off));
  const Endpoint camera_port = *Endpoint::parse("120.24.59.150:10240", 0);
  const Endpoint in_v6 = *Endpoint::parse("[2001:db8:bad::1]:10240", 0);
  const Endpoint encrypted = *Endpoint::parse("8.8.8.8:853", 0);
  const Socket device = home->device_socket(AF_INET, SOCK_DGRAM), device_v6 = home->device_socket(AF_INET6, SOCK_DGRAM);
  for (int times = 0; times < 5; ++times) send_to(device, camera_port);
  send_to(device_v6, in_v6);
  send_to(device, encrypted);
  send_to(device, foreign_v4);
  const auto packets = read_some(**log, 4);
  REQUIRE(packets.size() == 4);
  const std::pair<LoggedBy, Endpoint> expected[] = {{LoggedBy::connection, camera_port},
                                                    {LoggedBy::connection, in_v6},
                                                    {LoggedBy::encrypted_dns, encrypted},
                                                    {LoggedBy::plain_dns, foreign_v4}};
  for (std::size_t at = 0; at < packets.size(); ++at) {
    CHECK(packets[at].rule == expected[at].first);
    CHECK(packets[at].mac == *device::MacAddress::parse("94:51:3d:13:9a:35"));
    CHECK(packets[at].interface == "home0");
    CHECK(packets[at].time == now);
    const auto parsed = flows::parse_packet(packets[at].octets);
    REQUIRE(parsed);
    CHECK(parsed->tuple.destination == expected[at].second);
  }
  CHECK((*log)->lost() == 0);
}

TEST_CASE("Packets that other rules send to the group are passed over, and a group has one listener") {
  const auto home = SmallHome::build();
  if (!home) return;
  auto log = Nflog::open(53);
  REQUIRE(log);
  const auto second = Nflog::open(53);
  REQUIRE_FALSE(second);
  const int refused = second.error().error;
  CHECK((refused == EBUSY || refused == EPERM));
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft 'table inet t { chain f { type filter hook forward priority 0 ; log prefix "
                "\"other\" group 53 ; } ; }'")
              .status == 0);
  put_rules(small_home_options(redirect::Mode::off));
  const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
  send_to(device, *Endpoint::parse("120.24.59.150:10240", 0));
  send_to(device, *Endpoint::parse("120.24.59.150:10241", 0));
  CHECK(read_some(**log, 3).size() == 2);
}

TEST_CASE("What the kernel had no room for is counted") {
  const auto home = SmallHome::build();
  if (!home) return;
  auto log = Nflog::open(53);
  REQUIRE(log);
  const int small = 4'096;
  REQUIRE(setsockopt((*log)->descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &small, sizeof small) == 0);
  put_rules(small_home_options(redirect::Mode::off));
  const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
  constexpr std::uint16_t many = 3'000;
  for (std::uint16_t port = 1; port <= many; ++port) send_to(device, {IpAddress::v4(120, 24, 59, 150), port});
  auto packets = read_some(**log, many);
  // The next one's number tells of those before it.
  send_to(device, *Endpoint::parse("120.24.59.151:1", 0));
  packets.push_back(read_some(**log, 1).at(0));
  CHECK((*log)->lost() > 0);
  CHECK((*log)->lost() + packets.size() == many + 1);
}

#include "warden/traffic.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>

#include <map>
#include <thread>

#include "redirect/watch_rules.h"
#include "small_home.h"
#include "warden/conntrack.h"

using namespace doline;
using namespace doline::tests;
using flows::TrafficReport;
using warden::TrafficMeter;

namespace {

const Endpoint somewhere = *Endpoint::parse("120.24.59.150:53", 0);

void put_rules() {
  redirect::Options options = small_home_options(redirect::Mode::off);
  options.watch = true;
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft -f - <<'NFT'\n" +
                redirect::nft_watch(options, redirect::TableLife::until_removed) + "NFT\n")
              .status == 0);
}

}  // namespace

TEST_CASE("What lives is counted, what ends says so, and this machine's own flows are nobody's") {
  const auto home = SmallHome::build();
  if (!home) return;
  auto meter = TrafficMeter::open();
  REQUIRE(meter);
  put_rules();  // from here on the kernel counts
  const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
  const Socket ours = bound_socket({IpAddress::v4(203, 0, 113, 1), 40'000});
  for (int times = 0; times < 3; ++times) send_to(device, somewhere);
  send_to(ours, somewhere);

  std::map<Endpoint, TrafficReport> living;
  for (int tries = 0; tries < 500; ++tries) {
    living.clear();
    REQUIRE((*meter)->ask([&](const TrafficReport& report) { living[report.tuple.destination] = report; }));
    if (living.contains(somewhere) && living[somewhere].traffic.packets_out == 3) break;
    std::this_thread::sleep_for(milliseconds(5));
  }
  REQUIRE(living.size() == 1);
  const TrafficReport& report = living[somewhere];
  CHECK(report.tuple.protocol == IPPROTO_UDP);
  CHECK(report.tuple.client.address == IpAddress::v4(192, 168, 50, 31));
  CHECK(report.traffic == flows::Traffic{3, 3 * 29, 0, 0});
  CHECK_FALSE(report.has_ended);

  const std::vector<std::uint16_t> ports{53};
  CHECK(warden::Conntrack().forget(ports) == 1u);
  std::vector<TrafficReport> ended;
  for (int tries = 0; ended.empty() && tries < 100; ++tries) {
    pollfd ready{(*meter)->descriptor(), POLLIN, 0};
    poll(&ready, 1, 50);
    (*meter)->read([&](const TrafficReport& end) { ended.push_back(end); });
  }
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].has_ended);
  CHECK(ended[0].traffic == report.traffic);
  CHECK(ended[0].tuple == report.tuple);
}

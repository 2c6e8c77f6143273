#include "warden/flow_watch.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "flows/packet.h"
#include "running_warden.h"
#include "small_home.h"

using namespace doline;
using namespace doline::tests;

namespace {

/// The next batch at the log writer's end; nothing where none comes.
std::optional<flows::Batch> next_batch(int channel) {
  pollfd ready{channel, POLLIN, 0};
  if (poll(&ready, 1, 5'000) != 1) return std::nullopt;
  std::vector<std::uint8_t> room(flows::batch_octets_max);
  const ssize_t size = recv(channel, room.data(), room.size(), 0);
  if (size <= 0) return std::nullopt;
  auto batch = flows::parse_batch({room.data(), static_cast<std::size_t>(size)});
  REQUIRE(batch);
  return *batch;
}

redirect::Options watching(redirect::Mode mode) {
  redirect::Options options = small_home_options(mode);
  options.watch = true;
  return options;
}

std::string ruleset() {
  return shell("PATH=$PATH:/usr/sbin nft list ruleset").output;
}

}  // namespace

TEST_CASE("A connection comes to the log writer, whatever the mode, and nothing is left when it is removed") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = ruleset();
  RunningWarden warden;
  const Endpoint somewhere = *Endpoint::parse("120.24.59.150:10240", 0);
  for (const redirect::Mode mode : {redirect::Mode::off, redirect::Mode::audit, redirect::Mode::tproxy}) {
    CAPTURE(redirect::to_string(mode));
    REQUIRE(warden.is_done(redirect::Apply{watching(mode)}));
    CHECK(warden.is_done(redirect::Verify{}));
    CHECK(warden.status().state == redirect::State::applied);
    const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
    send_to(device, somewhere);
    std::optional<flows::Tuple> seen;
    while (!seen) {
      const auto batch = next_batch(warden.flows());
      REQUIRE(batch);
      CHECK(batch->lost == 0);
      for (const flows::Event& event : batch->events)
        if (const auto* packet = std::get_if<flows::LoggedPacket>(&event))
          if (const auto parsed = flows::parse_packet(packet->octets)) seen = parsed->tuple;
    }
    CHECK(seen->destination == somewhere);
    REQUIRE(warden.is_done(redirect::Remove{}));
    CHECK(ruleset() == before);
  }
}

TEST_CASE("In audit mode both the query and its connection are logged, and the query goes its way") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(redirect::Apply{watching(redirect::Mode::audit)}));
  const Socket device = home->device_socket(AF_INET6, SOCK_DGRAM);
  send_to(device, foreign_v6);
  send_to(device, foreign_v6);
  std::size_t queries = 0, connections = 0;
  while (queries < 2 || connections < 1) {
    const auto batch = next_batch(warden.flows());
    REQUIRE(batch);
    for (const flows::Event& event : batch->events)
      if (const auto* packet = std::get_if<flows::LoggedPacket>(&event))
        ++(packet->rule == flows::LoggedBy::query ? queries : connections);
  }
  CHECK(queries == 2);
  CHECK(connections == 1);
}

TEST_CASE("A group that somebody listens to makes watching alone impossible, and is a warning beside a redirect") {
  const auto home = SmallHome::build();
  if (!home) return;
  const auto listener = warden::Nflog::open(53);
  REQUIRE(listener);
  const std::string before = ruleset();
  RunningWarden warden;
  const auto alone = warden.ask(redirect::Apply{watching(redirect::Mode::off)});
  REQUIRE(alone);
  const auto* const failed = std::get_if<redirect::Failed>(&*alone);
  REQUIRE(failed != nullptr);
  CHECK(failed->reasons.at(0).find("redirect.kernel.nflog_group") != std::string::npos);
  CHECK(ruleset() == before);

  const auto beside = warden.ask(redirect::Apply{watching(redirect::Mode::tproxy)});
  REQUIRE(beside);
  const auto* const done = std::get_if<redirect::Done>(&*beside);
  REQUIRE(done != nullptr);
  REQUIRE_FALSE(done->warnings.empty());
  CHECK(std::any_of(done->warnings.begin(), done->warnings.end(),
                    [](const std::string& warning) { return warning.find("Connections are not watched") == 0; }));
}

TEST_CASE("A log writer that does not read holds up nobody: what has no room is counted") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(redirect::Apply{watching(redirect::Mode::audit)}));
  const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
  const std::vector<char> large(700, 'x');
  const SocketAddress foreign = to_socket_address(foreign_v4);
  constexpr std::size_t many = 20'000;  // each 800 octets: four times the room
  for (std::size_t sent = 0; sent < many; ++sent) {
    REQUIRE(sendto(device.get(), large.data(), large.size(), 0, foreign.get(), foreign.length) > 0);
    if (sent % 1'000 == 0) REQUIRE(warden.status().state == redirect::State::applied);
  }
  std::size_t read = 0;
  std::uint64_t lost = 0;
  const auto take = [&](const flows::Batch& batch) {
    read += batch.events.size();
    lost = batch.lost;
  };
  while (lost == 0) {
    const auto batch = next_batch(warden.flows());
    REQUIRE(batch);
    take(*batch);
    send_to(device, foreign_v4);
  }
  CHECK(lost > 0);
  CHECK(read > 0);
}

#include "resolver/admission_desk.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <asio/io_context.hpp>
#include <vector>

using namespace doline;
using namespace doline::resolver;
using redirect::Admission;
using redirect::AdmissionAnswer;

namespace {

Admission question(std::uint32_t ticket) {
  return {.ticket = ticket,
          .ttl_seconds = 60,
          .devices = {*device::MacAddress::parse("94:51:3d:13:9a:35")},
          .addresses = {IpAddress::v4(120, 24, 59, 150)}};
}

/// A desk on a loop, and the warden's end of its channel, played on this very thread.
struct Stage {
  Stage() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    warden = ends[1];
    desk.emplace(loop, ends[0], [this](AdmissionAnswer answer) { heard.push_back(answer); });
  }
  ~Stage() { close_warden(); }
  void close_warden() {
    if (warden >= 0) ::close(warden);
    warden = -1;
  }
  std::vector<Admission> next_packet() const {
    std::array<std::uint8_t, 65'536> octets;
    const ssize_t count = ::recv(warden, octets.data(), octets.size(), 0);
    if (count <= 0) return {};
    auto admissions = redirect::parse_admissions({octets.data(), static_cast<std::size_t>(count)});
    REQUIRE(admissions.has_value());
    return *admissions;
  }
  void answer(const std::vector<AdmissionAnswer>& answers) {
    const auto octets = redirect::write_admission_answers(answers);
    REQUIRE(::send(warden, octets.data(), octets.size(), 0) > 0);
    loop.restart();
    loop.poll();
  }

  asio::io_context loop;
  int warden = -1;
  std::vector<AdmissionAnswer> heard;
  std::optional<AdmissionDesk> desk;
};

}  // namespace

TEST_CASE("questions of one turn go in one packet, and each answer is heard") {
  Stage stage;
  for (std::uint32_t ticket = 1; ticket <= 3; ++ticket) REQUIRE(stage.desk->ask(question(ticket)));
  CHECK(stage.next_packet().empty());
  stage.desk->flush();
  const auto packet = stage.next_packet();
  REQUIRE(packet.size() == 3);
  CHECK(packet[1] == question(2));
  CHECK(stage.heard.empty());
  stage.answer({{1, true}, {2, false}, {3, true}});
  CHECK(stage.heard == std::vector<AdmissionAnswer>{{1, true}, {2, false}, {3, true}});
}

TEST_CASE("a warden that dies, or talks nonsense, is heard to admit nobody") {
  Stage stage;
  REQUIRE(stage.desk->ask(question(1)));
  stage.desk->flush();
  REQUIRE(stage.desk->ask(question(2)));
  SUBCASE("dies") {
    stage.close_warden();
  }
  SUBCASE("nonsense") {
    REQUIRE(::send(stage.warden, "?", 1, 0) == 1);
  }
  stage.loop.poll();
  CHECK(stage.heard == std::vector<AdmissionAnswer>{{1, false}, {2, false}});
  CHECK_FALSE(stage.desk->ask(question(3)));
}

TEST_CASE("more questions than may be unanswered are refused, until answers come") {
  Stage stage;
  std::uint32_t ticket = 0;
  while (ticket < redirect::admissions_in_flight_max) REQUIRE(stage.desk->ask(question(ticket++)));
  CHECK_FALSE(stage.desk->ask(question(ticket)));
  // The socket may hold less than all of them: what did not go goes with a later turn.
  for (int turns = 0; turns < 64 && stage.heard.size() < redirect::admissions_in_flight_max; ++turns) {
    stage.desk->flush();
    for (auto packet = stage.next_packet(); !packet.empty(); packet = stage.next_packet()) {
      std::vector<AdmissionAnswer> answers;
      for (const Admission& one : packet) answers.push_back({one.ticket, true});
      stage.answer(answers);
    }
  }
  CHECK(stage.heard.size() == redirect::admissions_in_flight_max);
  CHECK(stage.desk->ask(question(ticket)));
}

TEST_CASE("an answer that the warden could not send leaves no place taken") {
  Stage stage;
  for (std::uint32_t ticket = 0; ticket < redirect::admissions_in_flight_max; ++ticket)
    REQUIRE(stage.desk->ask(question(ticket)));
  for (int turns = 0; turns < 64; ++turns) {
    stage.desk->flush();
    while (!stage.next_packet().empty()) {
    }
  }
  stage.answer({{redirect::admissions_in_flight_max - 1, true}});
  CHECK(stage.heard.size() == 1);
  for (std::uint32_t ticket = 0; ticket < redirect::admissions_in_flight_max; ++ticket)
    CHECK(stage.desk->ask(question(ticket)));
}

TEST_CASE("without a warden there is nobody to ask") {
  asio::io_context loop;
  AdmissionDesk desk(loop, -1, [](AdmissionAnswer) { FAIL("nobody can have answered"); });
  CHECK_FALSE(desk.ask(question(1)));
  desk.flush();
  loop.poll();
}

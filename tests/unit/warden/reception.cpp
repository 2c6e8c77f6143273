#include "warden/reception.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "redirect/admission.h"
#include "redirect/origin.h"

using namespace doline;
using warden::Reception;

namespace {

/// The resolver's ends, and a reception that keeps what it hears.
struct Desk {
  Desk() {
    REQUIRE(uv_loop_init(&loop) == 0);
    std::array<int, 3> theirs{};
    for (std::size_t channel = 0; channel < 3; ++channel) {
      int ends[2];
      REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
      ours[channel] = ends[0];
      theirs[channel] = ends[1];
    }
    reception = std::make_unique<Reception>(
        &loop, warden::Channels{.talk = {theirs[0], theirs[1]}, .admissions = {theirs[2]}}, kernel,
        Reception::Calls{.heard = [this] { told += "heard "; },
                         .asked =
                             [this](redirect::Numbered<redirect::Request> request) {
                               told += std::to_string(request.body.index()) + " ";
                               reception->reply(request.number, redirect::Done{});
                             },
                         .ended = [this] { told += "ended "; }});
  }
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;
  ~Desk() {
    reception->close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
    for (const int end : ours)
      if (end >= 0) close(end);
  }

  void send(std::size_t channel, std::span<const std::uint8_t> octets) {
    REQUIRE(::send(ours[channel], octets.data(), octets.size(), 0) == static_cast<ssize_t>(octets.size()));
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  std::vector<std::uint8_t> received(std::size_t channel) {
    std::vector<std::uint8_t> octets(redirect::message_octets_max);
    const ssize_t size = recv(ours[channel], octets.data(), octets.size(), MSG_DONTWAIT);
    octets.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return octets;
  }

  uv_loop_t loop{};
  std::array<int, 3> ours{};
  warden::KernelAccess kernel{
      .conntrack = {}, .tables = {}, .gate = warden::Gate(warden::Renewal::by_adding), .routing = {}};
  std::string told;
  std::unique_ptr<Reception> reception;
};

}  // namespace

TEST_CASE("A request is heard, then handed on, and its reply carries its number") {
  Desk desk;
  desk.send(0, redirect::write_request({7, redirect::Status{}}));
  CHECK(desk.told == "heard 2 ");
  const auto reply = redirect::parse_reply(desk.received(0));
  REQUIRE(reply);
  CHECK(reply->number == 7);
}

TEST_CASE("What is no request is a sign of life, and no more") {
  Desk desk;
  const std::array<std::uint8_t, 3> nonsense{1, 2, 3};
  desk.send(0, nonsense);
  CHECK(desk.told == "heard ");
  CHECK(desk.received(0).empty());
  desk.send(1, nonsense);
  desk.send(2, nonsense);
  CHECK(desk.told == "heard ");
  CHECK(desk.received(1).empty());
  CHECK(desk.received(2).empty());
}

TEST_CASE("Workers have their answers at once: nobody is restricted, and so nothing is admitted") {
  Desk desk;
  redirect::OriginQuestion flow;
  flow.ticket = 5;
  flow.client = *Endpoint::parse("192.0.2.1:1000", 53);
  flow.local = *Endpoint::parse("192.0.2.2:5354", 53);
  desk.send(1, redirect::write_origin_questions(std::array{flow}));
  const auto origins = redirect::parse_origin_answers(desk.received(1));
  REQUIRE(origins);
  REQUIRE(origins->size() == 1);
  CHECK(origins->front().ticket == 5);
  CHECK_FALSE(origins->front().original.has_value());
  redirect::Admission admission;
  admission.ticket = 6;
  admission.devices = {*device::MacAddress::parse("02:00:00:00:00:01")};
  admission.addresses = {*IpAddress::parse("198.51.100.1")};
  desk.send(2, redirect::write_admissions(std::array{admission}));
  const auto admitted = redirect::parse_admission_answers(desk.received(2));
  REQUIRE(admitted);
  CHECK((*admitted == std::vector<redirect::AdmissionAnswer>{{6, false}}));
  CHECK(desk.told.empty());
}

TEST_CASE("The end of the control channel is the resolver's, that of another only a worker's") {
  Desk desk;
  close(std::exchange(desk.ours[1], -1));
  uv_run(&desk.loop, UV_RUN_NOWAIT);
  CHECK(desk.told.empty());
  close(std::exchange(desk.ours[0], -1));
  uv_run(&desk.loop, UV_RUN_NOWAIT);
  CHECK(desk.told == "ended ");
}

TEST_CASE("At most sixteen packets are read a turn, so that the clocks have theirs, and none is lost") {
  Desk desk;
  const auto request = redirect::write_request({7, redirect::Status{}});
  for (int i = 0; i < 40; ++i)
    REQUIRE(::send(desk.ours[0], request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  const auto heard_after_a_turn = [&] {
    uv_run(&desk.loop, UV_RUN_NOWAIT);
    std::size_t heard = 0;
    for (std::size_t at = desk.told.find("heard"); at != std::string::npos; at = desk.told.find("heard", at + 1))
      ++heard;
    return heard;
  };
  CHECK(heard_after_a_turn() == 16);
  // Another channel's turn comes before this one's next.
  redirect::OriginQuestion flow;
  flow.ticket = 5;
  flow.client = *Endpoint::parse("192.0.2.1:1000", 53);
  flow.local = *Endpoint::parse("192.0.2.2:5354", 53);
  desk.send(1, redirect::write_origin_questions(std::array{flow}));
  CHECK_FALSE(desk.received(1).empty());
  CHECK(heard_after_a_turn() == 40);
  CHECK(heard_after_a_turn() == 40);
}

#include "warden/reception.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "redirect/admission.h"
#include "redirect/origin.h"
#include "warden/say.h"
#include "warden/uv_handle.h"

namespace doline::warden {

namespace {

/// What waits for its reader fits (origins_in_flight_max, admissions_in_flight_max); a worker that does not read has
/// stopped, and a resolver that does not is silent, which is noticed elsewhere.
void send_to(int descriptor, std::span<const std::uint8_t> packet) {
  static_cast<void>(send(descriptor, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

constexpr int packets_per_turn = 16;

}  // namespace

Reception::Reception(uv_loop_t* loop, const Channels& channels, KernelAccess& kernel, Calls calls)
    : loop_(loop), kernel_(kernel), calls_(std::move(calls)), room_(redirect::message_octets_max) {
  for (const int descriptor : channels.talk) open(channels_.empty() ? Use::control : Use::origins, descriptor);
  for (const int descriptor : channels.admissions) open(Use::admissions, descriptor);
}

void Reception::open(Use use, int descriptor) {
  channels_.push_back(std::make_unique<Channel>(Channel{this, use, descriptor}));
  Channel& channel = *channels_.back();
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  uv_poll_init(loop_, &channel.poll, descriptor);
  channel.poll.data = &channel;
  uv_poll_start(&channel.poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
    auto& ready = *static_cast<Channel*>(poll->data);
    ready.reception->read(ready);
  });
}

/// What is left after so many packets is heard at the loop's next turn: nobody who asks and asks keeps it from its
/// clocks.
void Reception::read(Channel& channel) {
  for (int packets = 0; packets < packets_per_turn; ++packets) {
    const ssize_t size = recv(channel.descriptor, room_.data(), room_.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      // A worker that closed its channel has ended; the control channel ends with the resolver.
      uv_poll_stop(&channel.poll);
      if (channel.use == Use::control) calls_.ended();
      return;
    }
    const std::span<const std::uint8_t> octets(room_.data(), static_cast<std::size_t>(size));
    switch (channel.use) {
      case Use::control:
        read_request(octets);
        break;
      case Use::origins:
        answer_questions(channel.descriptor, octets);
        break;
      case Use::admissions:
        answer_admissions(channel.descriptor, octets);
        break;
    }
  }
}

void Reception::read_request(std::span<const std::uint8_t> octets) {
  calls_.heard();
  auto request = redirect::parse_request(octets);
  if (request) return calls_.asked(*std::move(request));
  say("a request is " + std::string(redirect::to_string(request.error())) + " and was passed over");
}

void Reception::answer_questions(int descriptor, std::span<const std::uint8_t> octets) {
  const auto questions = redirect::parse_origin_questions(octets);
  if (!questions) return;
  std::vector<redirect::OriginAnswer> answers;
  for (const redirect::OriginQuestion& question : *questions)
    answers.push_back({question.ticket, kernel_.conntrack.origin_of(question)});
  send_to(descriptor, redirect::write_origin_answers(answers));
}

void Reception::answer_admissions(int descriptor, std::span<const std::uint8_t> octets) {
  const auto admissions = redirect::parse_admissions(octets);
  if (admissions) send_to(descriptor, redirect::write_admission_answers(kernel_.gate.admit(*admissions)));
}

void Reception::reply(std::uint32_t number, redirect::Reply body) {
  send_to(channels_.front()->descriptor, redirect::write_reply({number, std::move(body)}));
}

void Reception::close() {
  for (const auto& channel : channels_) {
    uv_close(as_handle(channel->poll), nullptr);
    ::close(std::exchange(channel->descriptor, -1));
  }
}

}  // namespace doline::warden

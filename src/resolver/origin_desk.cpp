#include "resolver/origin_desk.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "redirect/origin.h"

namespace doline::resolver {

struct OriginDesk::Impl : std::enable_shared_from_this<OriginDesk::Impl> {
  Impl(asio::io_context& loop, int channel) : descriptor(loop), timer(loop) {
    if (channel >= 0) descriptor.assign(channel);
  }

  bool ask(const Endpoint& client, const Endpoint& local, Take take) {
    if (!descriptor.is_open() || waiting.size() >= redirect::origins_in_flight_max) {
      ++unknown;
      return false;
    }
    const std::uint32_t ticket = ++last_ticket;
    waiting.emplace(ticket, std::move(take));
    by_age.push_back({ticket, std::chrono::steady_clock::now() + origin_patience});
    unsent.push_back({ticket, redirect::Protocol::udp, client, local});
    if (unsent.size() == 1) later(&Impl::send);
    if (!is_watching) watch();
    arm();
    return true;
  }

  void later(void (Impl::*call)()) {
    asio::post(descriptor.get_executor(), [weak = weak_from_this(), call] {
      if (const auto self = weak.lock()) ((*self).*call)();
    });
  }

  /// All questions of one wake of the loop, a packet for every 64 of them.
  void send() {
    const std::vector<redirect::OriginQuestion> questions = std::exchange(unsent, {});
    for (std::size_t at = 0; at < questions.size(); at += redirect::origins_per_message) {
      const std::size_t count = std::min(redirect::origins_per_message, questions.size() - at);
      const std::span<const redirect::OriginQuestion> packet(&questions[at], count);
      const std::vector<std::uint8_t> octets = redirect::write_origin_questions(packet);
      if (descriptor.is_open() && ::send(descriptor.native_handle(), octets.data(), octets.size(), MSG_NOSIGNAL) >= 0)
        continue;
      for (const redirect::OriginQuestion& question : packet) answer(question.ticket, std::nullopt);
    }
  }

  void watch() {
    is_watching = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](std::error_code error) {
      if (const auto self = weak.lock(); self && !error) self->receive();
    });
  }

  void receive() {
    std::array<std::uint8_t, 8'192> octets;
    for (;;) {
      const ssize_t count = ::recv(descriptor.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return watch();
      const auto answers =
          redirect::parse_origin_answers({octets.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))});
      if (count <= 0 || !answers) return lose();
      for (const redirect::OriginAnswer& one : *answers) answer(one.ticket, one.original);
    }
  }

  /// The warden is gone, or talks nonsense.
  void lose() {
    descriptor.close();
    for (const Ticket& ticket : std::exchange(by_age, {})) answer(ticket.number, std::nullopt);
  }

  void answer(std::uint32_t ticket, const std::optional<Endpoint>& original) {
    const auto found = waiting.find(ticket);
    if (found == waiting.end()) return;  // it came too late
    const Take take = std::move(found->second);
    waiting.erase(found);
    if (!original) ++unknown;
    take(original);
  }

  void expire() {
    const auto now = std::chrono::steady_clock::now();
    while (!by_age.empty() && (by_age.front().until <= now || !waiting.contains(by_age.front().number))) {
      const std::uint32_t ticket = by_age.front().number;
      by_age.pop_front();
      answer(ticket, std::nullopt);
    }
    arm();
  }

  /// One timer, for the oldest question that waits.
  void arm() {
    if (by_age.empty() || is_timing) return;
    is_timing = true;
    timer.expires_at(by_age.front().until);
    timer.async_wait([weak = weak_from_this()](std::error_code error) {
      const auto self = weak.lock();
      if (!self || error) return;
      self->is_timing = false;
      self->expire();
    });
  }

  struct Ticket {
    std::uint32_t number;
    std::chrono::steady_clock::time_point until;
  };
  asio::posix::stream_descriptor descriptor;
  asio::steady_timer timer;
  std::unordered_map<std::uint32_t, Take> waiting;
  std::deque<Ticket> by_age;
  std::vector<redirect::OriginQuestion> unsent;
  std::uint32_t last_ticket = 0;
  bool is_watching = false, is_timing = false;
  std::uint64_t unknown = 0;
};

OriginDesk::OriginDesk(asio::io_context& loop, int channel) : impl_(std::make_shared<Impl>(loop, channel)) {}
OriginDesk::~OriginDesk() = default;

bool OriginDesk::ask(const Endpoint& client, const Endpoint& local, Take take) {
  return impl_->ask(client, local, std::move(take));
}

std::uint64_t OriginDesk::unknown() const {
  return impl_->unknown;
}

}  // namespace doline::resolver

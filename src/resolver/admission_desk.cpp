#include "resolver/admission_desk.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <cerrno>
#include <deque>
#include <span>
#include <utility>
#include <vector>

namespace doline::resolver {

struct AdmissionDesk::Impl : std::enable_shared_from_this<AdmissionDesk::Impl> {
  Impl(asio::io_context& loop, int channel, Hear hear_in) : descriptor(loop), hear(std::move(hear_in)) {
    if (channel >= 0) descriptor.assign(channel);
  }

  bool ask(const redirect::Admission& admission) {
    if (!descriptor.is_open() || unanswered.size() + unsent.size() >= redirect::admissions_in_flight_max) return false;
    unsent.push_back(admission);
    return true;
  }

  void flush() {
    while (!unsent.empty()) {
      const std::span<const redirect::Admission> packet(unsent.data(), redirect::count_that_fit(unsent));
      const std::vector<std::uint8_t> octets = redirect::write_admissions(packet);
      if (::send(descriptor.native_handle(), octets.data(), octets.size(), MSG_NOSIGNAL) < 0) {
        if (errno != EAGAIN) later(&Impl::lose);
        return;  // the warden hangs: the next turn tries again, and who waits has a limit of its own
      }
      for (const redirect::Admission& admission : packet) unanswered.push_back(admission.ticket);
      unsent.erase(unsent.begin(), unsent.begin() + static_cast<std::ptrdiff_t>(packet.size()));
      if (!is_watching) watch();
    }
  }

  /// Never inside the call that asked.
  void later(void (Impl::*call)()) {
    asio::post(descriptor.get_executor(), [weak = weak_from_this(), call] {
      if (const auto self = weak.lock()) ((*self).*call)();
    });
  }

  void watch() {
    is_watching = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](std::error_code error) {
      if (const auto self = weak.lock(); self && !error) self->receive();
    });
  }

  void receive() {
    std::array<std::uint8_t, 1'024> octets;
    for (;;) {
      const ssize_t count = ::recv(descriptor.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return watch();
      const auto answers =
          redirect::parse_admission_answers({octets.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))});
      if (count <= 0 || !answers) return lose();
      for (const redirect::AdmissionAnswer& answer : *answers) {
        // In the order of the questions; what the warden could not send is passed over.
        bool is_it = false;
        while (!unanswered.empty() && !is_it) {
          is_it = unanswered.front() == answer.ticket;
          unanswered.pop_front();
        }
        hear(answer);
      }
    }
  }

  /// The warden is gone, or talks nonsense.
  void lose() {
    if (!descriptor.is_open()) return;
    descriptor.close();
    for (const redirect::Admission& admission : std::exchange(unsent, {})) unanswered.push_back(admission.ticket);
    for (const std::uint32_t ticket : std::exchange(unanswered, {})) hear({.ticket = ticket, .is_admitted = false});
  }

  asio::posix::stream_descriptor descriptor;
  Hear hear;
  std::vector<redirect::Admission> unsent;
  std::deque<std::uint32_t> unanswered;  // the oldest first, and answered in that order
  bool is_watching = false;
};

AdmissionDesk::AdmissionDesk(asio::io_context& loop, int channel, Hear hear)
    : impl_(std::make_shared<Impl>(loop, channel, std::move(hear))) {}
AdmissionDesk::~AdmissionDesk() = default;

bool AdmissionDesk::ask(const redirect::Admission& admission) {
  return impl_->ask(admission);
}

void AdmissionDesk::flush() {
  impl_->flush();
}

}  // namespace doline::resolver

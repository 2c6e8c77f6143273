#include "warden/flow_watch.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "redirect/watch_rules.h"
#include "warden/uv_handle.h"

namespace doline::warden {

FlowWatch::FlowWatch(uv_loop_t* loop, int channel) : loop_(loop), channel_(channel) {
  if (channel_ >= 0) setsockopt(channel_, SOL_SOCKET, SO_SNDBUFFORCE, &batches_octets, sizeof batches_octets);
  uv_timer_init(loop_, &timer_);
  timer_.data = this;
}

FlowWatch::~FlowWatch() {
  if (channel_ >= 0) ::close(channel_);
}

std::string FlowWatch::begin(const redirect::Options& options) {
  end();
  if (channel_ < 0) return "nobody is there to record connections";
  const std::string group = std::to_string(options.kernel.nflog_group);
  auto log = Nflog::open(options.kernel.nflog_group);
  if (!log && (log.error().error == EBUSY || log.error().error == EPERM))
    return "another program listens to NFLOG group " + group + ": choose another with redirect.kernel.nflog_group";
  if (!log) return "NFLOG group " + group + ": " + std::strerror(log.error().error);
  log_ = std::move(*log);
  start_poll<[](FlowWatch& watch) { watch.read_log(); }>(log_poll_, log_->descriptor());
  // How much passes is worth knowing, but not a reason to see nothing.
  if (auto meter = TrafficMeter::open(); meter && (options.watch || options.encrypted == redirect::Encrypted::log)) {
    meter_ = std::move(*meter);
    start_poll<[](FlowWatch& watch) { watch.read_ends(); }>(meter_poll_, meter_->descriptor());
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<FlowWatch*>(timer->data)->ask_traffic(); }, traffic_period_ms,
        traffic_period_ms);
  }
  return {};
}

void FlowWatch::end() {
  uv_timer_stop(&timer_);
  stop_poll(log_poll_);
  stop_poll(meter_poll_);
  if (log_) lost_before_ += log_->lost();
  log_.reset();
  meter_.reset();
}

void FlowWatch::close() {
  end();
  if (uv_is_closing(as_handle(timer_)) == 0) uv_close(as_handle(timer_), nullptr);
}

template <FlowWatch::Ready ready>
void FlowWatch::start_poll(std::unique_ptr<Poll>& poll, int descriptor) {
  poll = std::make_unique<Poll>();
  poll->watch = this;
  uv_poll_init(loop_, &poll->handle, descriptor);
  poll->handle.data = poll.get();
  uv_poll_start(&poll->handle, UV_READABLE,
                [](uv_poll_t* handle, int, int) { ready(*static_cast<Poll*>(handle->data)->watch); });
}

/// Its memory goes when the loop has let go of it.
void FlowWatch::stop_poll(std::unique_ptr<Poll>& poll) {
  if (!poll) return;
  uv_poll_stop(&poll->handle);
  uv_close(as_handle(poll.release()->handle), [](uv_handle_t* handle) { delete static_cast<Poll*>(handle->data); });
}

void FlowWatch::read_log() {
  const auto now = std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now());
  log_->read(now, [this](flows::LoggedPacket packet) { add(std::move(packet)); });
  send();
}

void FlowWatch::read_ends() {
  meter_->read([this](const flows::TrafficReport& report) { add(report); });
  send();
}

void FlowWatch::ask_traffic() {
  // A table too busy to be read whole is asked again in a minute.
  static_cast<void>(meter_->ask([this](const flows::TrafficReport& report) { add(report); }));
  send();
}

void FlowWatch::add(flows::Event event) {
  batch_.events.push_back(std::move(event));
  if (batch_.events.size() == flows::events_per_batch) send();
}

void FlowWatch::send() {
  if (batch_.events.empty()) return;
  batch_.lost = dropped_ + lost_before_ + (log_ ? log_->lost() : 0);
  const auto packet = flows::write_batch(batch_);
  if (::send(channel_, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) dropped_ += batch_.events.size();
  batch_.events.clear();
}

}  // namespace doline::warden

// FlowWatch: the warden's part in watching connections: what NFLOG and conntrack tell, in batches to the log writer.
// Lives on the warden's loop, and never waits for the log writer: what does not fit is dropped and counted.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flows/batch.h"
#include "redirect/options.h"
#include "warden/nflog.h"
#include "warden/traffic.h"

namespace doline::warden {

/// What lives is asked for so often: long flows show what they carry before they end.
inline constexpr std::uint64_t traffic_period_ms = 60'000;
/// Room for batches that the log writer has not read.
inline constexpr int batches_octets = 4 << 20;

class FlowWatch {
 public:
  /// `channel`: SOCK_SEQPACKET to the log writer; taken over. -1: there is none, and begin() says so.
  FlowWatch(uv_loop_t* loop, int channel);
  /// close() has been called, and the loop has run since.
  ~FlowWatch();
  FlowWatch(const FlowWatch&) = delete;
  FlowWatch& operator=(const FlowWatch&) = delete;

  /// Listens to the group of these options, instead of whatever it listened to. Empty, or why it cannot.
  [[nodiscard]] std::string begin(const redirect::Options& options);
  void end();
  [[nodiscard]] bool is_listening() const { return log_ != nullptr; }
  /// Lets go of the loop.
  void close();

 private:
  struct Poll {
    uv_poll_t handle{};
    FlowWatch* watch = nullptr;
  };
  template <void (FlowWatch::*read)()>
  void start_poll(std::unique_ptr<Poll>& poll, int descriptor);
  static void stop_poll(std::unique_ptr<Poll>& poll);
  void add(flows::Event event);
  void send();
  void read_log();
  void read_ends();
  void ask_traffic();

  uv_loop_t* loop_;
  int channel_;
  uv_timer_t timer_{};
  std::unique_ptr<Nflog> log_;
  std::unique_ptr<TrafficMeter> meter_;
  std::unique_ptr<Poll> log_poll_, meter_poll_;
  flows::Batch batch_;
  std::uint64_t dropped_ = 0;      // between us and the log writer
  std::uint64_t lost_before_ = 0;  // by groups that we no longer listen to
};

}  // namespace doline::warden

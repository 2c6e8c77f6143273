// Client: the resolver's end of the control channel to the warden. Lives on the control thread; whoever owns it watches
// its descriptor, calls read() when that is readable, and beat() every redirect::heartbeat_period.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "redirect/request.h"
#include "warden/spawn.h"

namespace doline::warden {

class Client {
 public:
  /// Called once: with the reply, or with nothing where the warden is gone or cannot be told now.
  using Take = std::function<void(std::optional<redirect::Reply>)>;

  /// Takes over the process and its control descriptor, not the origin descriptors.
  explicit Client(const Spawned& spawned);
  /// Closes the channel: the warden takes the rules away (on_failure: open) and ends. Does not wait.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// To be watched for reading; -1 once the warden is gone.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] bool is_alive() const { return descriptor_ >= 0; }
  /// Sends; `take` is called by a later read(), or at once where the warden is gone or cannot be told now.
  void ask(redirect::Request request, Take take);
  /// "The resolver lives."
  void beat();
  /// Takes in what has come and calls who waits for it. After the warden's end all who wait are told, the process is
  /// reaped, and is_alive() is false.
  void read();
  /// Asks and waits up to `patience` for this one reply, heartbeats aside: for start and stop, when no loop runs.
  /// Replies to others are given to them meanwhile.
  std::optional<redirect::Reply> ask_and_wait(redirect::Request request, milliseconds patience);

 private:
  bool send(const redirect::Request& request, std::uint32_t number);
  void lose();
  void reap();

  pid_t process_ = -1;
  int descriptor_ = -1;
  std::uint32_t last_number_ = 0;
  std::unordered_map<std::uint32_t, Take> waiting_;
};

}  // namespace doline::warden

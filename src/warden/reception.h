// Reception: the warden's ends of its channels. What workers ask (origins, admissions) is answered at once; what the
// resolver asks of rules is read, checked and handed on. Lives on the warden's loop and never waits for a reader.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "redirect/request.h"
#include "warden/kernel_access.h"
#include "warden/warden.h"

namespace doline::warden {

class Reception {
 public:
  /// Called on the loop.
  struct Calls {
    std::function<void()> heard;  ///< a packet of the control channel, whatever it is, before `asked`
    std::function<void(redirect::Numbered<redirect::Request>)> asked;
    std::function<void()> ended;  ///< the control channel: the resolver is gone
  };

  /// Takes the descriptors over, but for that of the flows. `kernel` outlives this.
  Reception(uv_loop_t* loop, const Channels& channels, KernelAccess& kernel, Calls calls);
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  void reply(std::uint32_t number, redirect::Reply body);
  /// The descriptors and the handles, so that the loop can end; replies go nowhere then. To be called once.
  void close();

 private:
  enum class Use : std::uint8_t { control, origins, admissions };
  struct Channel {
    Reception* reception;
    Use use;
    int descriptor;
    uv_poll_t poll{};
  };

  void open(Use use, int descriptor);
  void read(Channel& channel);
  void read_request(std::span<const std::uint8_t> octets);
  void answer_questions(int descriptor, std::span<const std::uint8_t> octets);
  void answer_admissions(int descriptor, std::span<const std::uint8_t> octets);

  uv_loop_t* loop_;
  KernelAccess& kernel_;
  Calls calls_;
  std::vector<std::uint8_t> room_;
  std::vector<std::unique_ptr<Channel>> channels_;  // the first is the control channel
};

}  // namespace doline::warden

// OriginDesk: whom was a redirected query meant for? Asks the warden over this worker's origin channel
// (redirect/origin.h), many questions to a packet. `nat` mode only.
//
// Lives on one worker's loop and is used only there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/ip_address.h"
#include "base/time.h"

namespace asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's name
}

namespace doline::resolver {

/// A warden that has not answered after this long will not: the query is served as if it had been meant for us.
inline constexpr milliseconds origin_patience{500};

class OriginDesk {
 public:
  /// Nothing where the warden does not know, does not answer in time, or is gone.
  using Take = std::function<void(std::optional<Endpoint> original)>;

  /// `channel`: taken over; -1: there is no warden.
  OriginDesk(asio::io_context& loop, int channel);
  ~OriginDesk();
  /// `local`: our address that was hit and the private port. `take` is called once, later, on the loop, unless the desk
  /// is destroyed first. False: no warden, or too many questions are unanswered; `take` is not called.
  bool ask(const Endpoint& client, const Endpoint& local, Take take);
  /// Questions that got no address: refused by ask() or answered with nothing.
  [[nodiscard]] std::uint64_t unknown() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // handlers that wait on the loop hold it weakly
};

}  // namespace doline::resolver

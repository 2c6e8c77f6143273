// TrafficMeter: how much passed, as conntrack counts it: told when a flow ends, and asked for of those that live.
// Belongs to the warden's loop. The kernel counts while a rule of redirect/watch_rules.h is in place.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/ip_address.h"
#include "flows/event.h"
#include "warden/netlink.h"

namespace doline::warden {

class TrafficMeter {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TrafficMeter>, NetlinkFault> open();
  ~TrafficMeter();
  TrafficMeter(const TrafficMeter&) = delete;
  TrafficMeter& operator=(const TrafficMeter&) = delete;

  using See = std::function<void(flows::TrafficReport)>;
  /// To be watched for reading.
  [[nodiscard]] int descriptor() const { return mnl_socket_get_fd(socket_); }
  /// The ends that were told, but no more than so many reads' worth. Flows of this machine itself are passed over, and
  /// so are those that nothing was counted of.
  void read(const See& see);
  /// All that live. Blocks: some milliseconds for ten thousand flows.
  Result<void, NetlinkFault> ask(const See& see);

 private:
  explicit TrafficMeter(mnl_socket* socket);
  void take(const nlmsghdr& message, bool has_ended, const See& see) const;

  mnl_socket* socket_;
  Netlink netlink_;
  std::vector<IpAddress> ours_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace doline::warden

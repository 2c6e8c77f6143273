// Nflog: the packets that the rules of redirect/watch_rules.h log, as the kernel hands them over. A group has one
// listener. What is lost on the way is counted by the gaps in the kernel's numbers. Belongs to the warden's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "flows/event.h"
#include "warden/netlink.h"

namespace doline::warden {

/// The kernel's room for packets that have not been read.
inline constexpr int nflog_buffer_octets = 8 << 20;

class Nflog {
 public:
  /// EBUSY or EPERM: another program listens to the group.
  [[nodiscard]] static Result<std::unique_ptr<Nflog>, NetlinkFault> open(std::uint16_t group);
  ~Nflog();
  Nflog(const Nflog&) = delete;
  Nflog& operator=(const Nflog&) = delete;

  /// To be watched for reading.
  [[nodiscard]] int descriptor() const { return mnl_socket_get_fd(socket_); }
  /// What has come, but no more than so many reads' worth, so that others have their turns. Packets that rules of other
  /// tools send to the group are passed over.
  void read(WallTime now, const std::function<void(flows::LoggedPacket)>& see);
  /// Packets that the kernel had to drop.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  explicit Nflog(mnl_socket* socket) : socket_(socket) {}
  [[nodiscard]] Result<void, NetlinkFault> configure(NetlinkMessage& message);
  void take(const nlmsghdr& message, WallTime now, const std::function<void(flows::LoggedPacket)>& see);
  [[nodiscard]] const std::string& name_of(std::uint32_t interface);

  mnl_socket* socket_;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> buffer_;
  std::unordered_map<std::uint32_t, std::string> names_;
  bool has_number_ = false;
  std::uint32_t last_number_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace doline::warden

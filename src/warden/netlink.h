// Netlink: one socket to the kernel, one question at a time. Thin over libmnl; used by the warden's loop, where every
// question takes microseconds, and dumps take milliseconds.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"

namespace doline::warden {

/// errno as the kernel answered it.
struct NetlinkFault {
  int error = 0;
};

/// A request under construction. `flags`: beyond NLM_F_REQUEST. The family's header follows the netlink header.
class NetlinkMessage {
 public:
  NetlinkMessage(std::uint16_t type, std::uint16_t flags) : NetlinkMessage(type, flags, message_octets_usual) {}
  /// For one longer than most, of at most `octets_max`, attributes' heads and padding included.
  NetlinkMessage(std::uint16_t type, std::uint16_t flags, std::size_t octets_max);
  /// Zeroed room for a header such as nfgenmsg, rtmsg; valid until the next call.
  template <class Header>
  Header& header() {
    return *static_cast<Header*>(mnl_nlmsg_put_extra_header(get(), sizeof(Header)));
  }
  void attribute(std::uint16_t type, std::span<const std::uint8_t> octets);
  template <class Integer>
  void integer(std::uint16_t type, Integer value) {
    mnl_attr_put(get(), type, sizeof value, &value);
  }
  void text(std::uint16_t type, const char* text);
  /// Attributes put by `fill` lie inside this one.
  void nest(std::uint16_t type, const std::function<void()>& fill);
  [[nodiscard]] nlmsghdr* get() { return reinterpret_cast<nlmsghdr*>(octets_.data()); }

 private:
  // Mostly the longest has a conntrack tuple or a table's name: some hundred octets.
  static constexpr std::size_t message_octets_usual = 2'048;
  std::vector<std::uint8_t> octets_;
};

class Netlink {
 public:
  /// `bus`: NETLINK_NETFILTER, NETLINK_ROUTE.
  explicit Netlink(int bus);
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  /// Sends and reads until the kernel is done: `see` gets each message of the reply. NLM_F_ACK or NLM_F_DUMP says when
  /// that is; a message with neither ends with its first reply. Blocks for at most two seconds.
  Result<void, NetlinkFault> ask(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& see = {});
  /// All of these, of nf_tables, or none of them: in force when this returns. Blocks for at most two seconds.
  Result<void, NetlinkFault> commit(std::span<NetlinkMessage> batch);

 private:
  mnl_socket* socket_ = nullptr;
  int error_ = 0;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> buffer_;
};

/// `see(attribute)` for each attribute of a message behind a header of `header_octets`, or inside another attribute.
void each_attribute(const nlmsghdr& message, std::size_t header_octets, const std::function<void(const nlattr&)>& see);
void each_attribute(const nlattr& nest, const std::function<void(const nlattr&)>& see);
[[nodiscard]] std::span<const std::uint8_t> octets_of(const nlattr& attribute);
/// Of 1, 2, 4 or 8 octets, network order; 0 for any other size.
[[nodiscard]] std::uint64_t big_endian(const nlattr& attribute);

}  // namespace doline::warden

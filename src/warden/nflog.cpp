#include "warden/nflog.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace doline::warden {

namespace {

constexpr std::size_t read_octets_max = 256 * 1024;
constexpr int reads_at_once = 32;
constexpr int patience_ms = 2'000;
constexpr std::uint32_t kernel_lot_octets = 32 * 1024;
constexpr std::uint32_t kernel_lot_packets = 64;
constexpr std::uint32_t kernel_lot_hundredths = 5;  // of a second; then a lot goes that is not full
constexpr std::size_t names_max = 1'024;

NetlinkMessage config_message(std::uint16_t group) {
  NetlinkMessage message(static_cast<std::uint16_t>(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG), NLM_F_ACK);
  auto& header = message.header<nfgenmsg>();
  header.nfgen_family = AF_UNSPEC;
  header.res_id = htons(group);
  return message;
}

}  // namespace

Result<std::unique_ptr<Nflog>, NetlinkFault> Nflog::open(std::uint16_t group) {
  mnl_socket* const socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket == nullptr) return fail(NetlinkFault{errno});
  std::unique_ptr<Nflog> log(new Nflog(socket));
  log->buffer_.resize(read_octets_max);
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) return fail(NetlinkFault{errno});
  setsockopt(log->descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &nflog_buffer_octets, sizeof nflog_buffer_octets);

  NetlinkMessage bind = config_message(group);
  bind.integer(NFULA_CFG_CMD, nfulnl_msg_config_cmd{NFULNL_CFG_CMD_BIND});
  if (const auto bound = log->configure(bind); !bound) return fail(bound.error());
  NetlinkMessage shape = config_message(group);
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(redirect::query_octets_logged);  // at most; each rule says how much
  mode.copy_mode = NFULNL_COPY_PACKET;
  shape.integer(NFULA_CFG_MODE, mode);
  shape.integer(NFULA_CFG_NLBUFSIZ, htonl(kernel_lot_octets));
  shape.integer(NFULA_CFG_QTHRESH, htonl(kernel_lot_packets));
  shape.integer(NFULA_CFG_TIMEOUT, htonl(kernel_lot_hundredths));
  shape.integer(NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
  if (const auto shaped = log->configure(shape); !shaped) return fail(shaped.error());
  return log;
}

Nflog::~Nflog() {
  mnl_socket_close(socket_);
}

/// Packets that come meanwhile are passed over: nobody watches yet.
Result<void, NetlinkFault> Nflog::configure(NetlinkMessage& message) {
  message.get()->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, message.get(), message.get()->nlmsg_len) < 0) return fail(NetlinkFault{errno});
  for (;;) {
    pollfd ready{descriptor(), POLLIN, 0};
    if (poll(&ready, 1, patience_ms) <= 0) return fail(NetlinkFault{ETIMEDOUT});
    const ssize_t size = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    if (size < 0 && errno != EAGAIN && errno != ENOBUFS) return fail(NetlinkFault{errno});
    if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) continue;
    const auto* const reply = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    if (reply->nlmsg_type != NLMSG_ERROR || reply->nlmsg_seq != sequence_) continue;
    if (mnl_nlmsg_get_payload_len(reply) < sizeof(nlmsgerr)) return fail(NetlinkFault{EPROTO});
    const int error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply))->error;
    if (error != 0) return fail(NetlinkFault{-error});
    return {};
  }
}

void Nflog::read(WallTime now, const std::function<void(flows::LoggedPacket)>& see) {
  for (int reads = 0; reads < reads_at_once; ++reads) {
    const ssize_t size = mnl_socket_recvfrom(socket_, buffer_.data(), buffer_.size());
    // ENOBUFS: packets were dropped; the next one's number tells how many.
    if (size < 0 && errno == ENOBUFS) continue;
    if (size <= 0) return;
    int left = static_cast<int>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left))
      if (message->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) take(*message, now, see);
  }
}

void Nflog::take(const nlmsghdr& message, WallTime now, const std::function<void(flows::LoggedPacket)>& see) {
  flows::LoggedPacket packet;
  packet.time = now;
  std::optional<redirect::LoggedBy> rule;
  std::uint32_t interface = 0;
  each_attribute(message, sizeof(nfgenmsg), [&](const nlattr& attribute) {
    const auto octets = octets_of(attribute);
    switch (mnl_attr_get_type(&attribute)) {
      case NFULA_PREFIX: {
        std::string_view prefix(reinterpret_cast<const char*>(octets.data()), octets.size());
        rule = redirect::parse_prefix(prefix.substr(0, prefix.find('\0')));
        break;
      }
      case NFULA_HWADDR: {
        nfulnl_msg_packet_hw hardware{};
        if (octets.size() != sizeof hardware) break;
        std::memcpy(&hardware, octets.data(), sizeof hardware);
        if (ntohs(hardware.hw_addrlen) == packet.mac.octets.size())
          std::memcpy(packet.mac.octets.data(), hardware.hw_addr, packet.mac.octets.size());
        break;
      }
      case NFULA_IFINDEX_INDEV:
        interface = static_cast<std::uint32_t>(big_endian(attribute));
        break;
      case NFULA_SEQ: {
        const auto number = static_cast<std::uint32_t>(big_endian(attribute));
        if (has_number_) lost_ += number - last_number_ - 1;
        last_number_ = number;
        has_number_ = true;
        break;
      }
      case NFULA_PAYLOAD:
        packet.octets.assign(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                  octets.size(), redirect::query_octets_logged)));
        break;
      default:
        break;
    }
  });
  if (!rule) return;
  packet.rule = *rule;
  packet.interface = name_of(interface);
  see(std::move(packet));
}

const std::string& Nflog::name_of(std::uint32_t interface) {
  if (names_.size() > names_max) names_.clear();
  std::string& name = names_[interface];
  std::array<char, IF_NAMESIZE> text{};
  if (name.empty() && interface != 0 && if_indextoname(interface, text.data()) != nullptr) name = text.data();
  return name;
}

}  // namespace doline::warden

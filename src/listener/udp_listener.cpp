#include "listener/udp_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "listener/proxy_header.h"
#include "transport/lookout.h"

namespace doline::listener {

namespace {

// Names of the kernel's interface that <netinet/in.h> of older C libraries lacks.
#ifndef IPV6_ORIGDSTADDR
constexpr int IPV6_ORIGDSTADDR = 74;
#endif

constexpr std::size_t control_octets_in = 256;
constexpr std::size_t control_octets_out = CMSG_SPACE(sizeof(in6_pktinfo));

/// What the kernel tells about a datagram beside its octets.
struct Envelope {
  IpAddress destination;        ///< of the IP header, and so the source of the reply
  bool is_broadcast = false;    ///< sent to a broadcast address of ours
  std::uint32_t interface = 0;  ///< index of arrival
  Endpoint original{};          ///< transparent sockets: whom the device meant
};

template <class Option>
Option option_of(const cmsghdr* control) {
  Option option;
  std::memcpy(&option, CMSG_DATA(control), sizeof option);
  return option;
}

IpAddress address_of(const in_addr& address) {
  return IpAddress::from_v4(address);
}
IpAddress address_of(const in6_addr& address) {
  return IpAddress::from_octets(address.s6_addr);
}

Envelope read_envelope(msghdr& message) {
  Envelope envelope;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      const auto info = option_of<in_pktinfo>(control);
      envelope.destination = address_of(info.ipi_addr);
      // The kernel proposes another source for the reply where the destination cannot be one.
      const IpAddress proposed = address_of(info.ipi_spec_dst);
      envelope.is_broadcast = !proposed.is_unspecified() && proposed != envelope.destination;
      envelope.interface = static_cast<std::uint32_t>(info.ipi_ifindex);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      const auto info = option_of<in6_pktinfo>(control);
      envelope.destination = address_of(info.ipi6_addr);
      envelope.interface = info.ipi6_ifindex;
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_ORIGDSTADDR) {
      const auto original = option_of<sockaddr_in>(control);
      envelope.original = {address_of(original.sin_addr), ntohs(original.sin_port)};
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_ORIGDSTADDR) {
      const auto original = option_of<sockaddr_in6>(control);
      envelope.original = {address_of(original.sin6_addr), ntohs(original.sin6_port)};
    }
  }
  return envelope;
}

/// Lets the response leave from `local`; by the interface it came from where an address means nothing without.
void write_source(msghdr& message, std::uint8_t* room, const IpAddress& local, std::uint32_t interface,
                  bool by_interface) {
  message.msg_control = room;
  const auto fill = [&message](int level, int type, const auto& info) {
    message.msg_controllen = CMSG_SPACE(sizeof info);
    cmsghdr* control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(control), &info, sizeof info);
  };
  if (local.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, local.octets().data(), sizeof info.ipi_spec_dst);
    info.ipi_ifindex = by_interface ? static_cast<int>(interface) : 0;
    fill(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, local.octets().data(), sizeof info.ipi6_addr);
    info.ipi6_ifindex = by_interface ? interface : 0;
    fill(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

/// Nobody can be answered there, or everybody would be (RFC 1122 §3.2.1.3; port 0: RFC 6335 §6).
bool may_be_answered(const Endpoint& client) {
  return client.port != 0 && client.address.is_unicast();
}
bool was_for_many(const Envelope& envelope) {
  return envelope.is_broadcast || envelope.destination.is_multicast();
}

}  // namespace

struct UdpListener::Impl : std::enable_shared_from_this<Impl> {
  struct Door {
    std::unique_ptr<transport::Lookout> lookout;  // has the socket
    SocketKind kind;
    Endpoint address;
    bool has_one_address;
    bool is_v6;
    Endpoint resolver;  // mapped
  };

  /// The room for one batch. A prompt response borrows the address of the datagram that it answers.
  struct Batch {
    std::array<mmsghdr, datagrams_per_batch> in{}, out{};
    std::array<iovec, datagrams_per_batch> in_octets{}, out_octets{};
    std::array<sockaddr_in6, datagrams_per_batch> in_clients{}, out_clients{};
    alignas(cmsghdr) std::array<std::array<std::uint8_t, control_octets_in>, datagrams_per_batch> in_control;
    alignas(cmsghdr) std::array<std::array<std::uint8_t, control_octets_out>, datagrams_per_batch> out_control;
    std::array<std::array<std::uint8_t, datagram_octets_max>, datagrams_per_batch> queries;
    std::array<dns::Octets, datagrams_per_batch> messages;  // of these, what was received
    std::array<std::array<std::uint8_t, datagram_response_octets_max>, datagrams_per_batch> responses;
  };

  Impl(const Clock& clock_in, BeginBatch begin_batch_in, Serve serve_in)
      : clock(clock_in), begin_batch(std::move(begin_batch_in)), serve(std::move(serve_in)) {}

  void await(std::size_t index) {
    doors[index].lookout->await([weak = weak_from_this(), index] {
      if (const std::shared_ptr<Impl> impl = weak.lock(); impl && !impl->is_stopped) impl->drain(index);
    });
  }

  void drain(std::size_t index) {
    for (int round = 0; round < batches_per_wake && !is_stopped; ++round)
      if (!serve_batch(index)) break;
    if (!is_stopped) drained = index;
  }

  /// False when the socket has no more for now.
  bool serve_batch(std::size_t index) {
    flush();
    out_door = index;
    for (std::size_t slot = 0; slot < last_count; ++slot) prepare(slot);
    transport::Lookout& lookout = *doors[index].lookout;
    const int count = recvmmsg(lookout.socket(), batch->in.data(), datagrams_per_batch, MSG_DONTWAIT, nullptr);
    // An error belongs to no datagram (an interrupted call, an ICMP error for a response): the next wake goes on.
    last_count = count > 0 ? static_cast<std::size_t>(count) : 0;
    if (last_count == 0) return false;
    lookout.note(last_count);

    const Moment now = clock.now();
    for (std::size_t slot = 0; slot < last_count; ++slot)
      batch->messages[slot] = dns::Octets(batch->queries[slot]).first(batch->in[slot].msg_len);
    begin_batch(now, std::span(batch->messages).first(last_count));
    for (std::size_t slot = 0; slot < last_count && !is_stopped; ++slot) serve_datagram(doors[index], index, slot, now);
    flush();
    return count == datagrams_per_batch;
  }

  // Two ways lead here, from wait() and from go_on(): by itself gcc would make a call of it, at a cost of 30
  // instructions.
  [[gnu::always_inline]] void serve_datagram(const Door& door, std::size_t index, std::size_t slot, Moment now) {
    ++statistics.received;
    msghdr& message = batch->in[slot].msg_hdr;
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      ++statistics.oversized;
      return;
    }
    Arrival arrival{.message = batch->messages[slot],
                    .client = to_endpoint(static_cast<const sockaddr*>(message.msg_name)),
                    .destination = {door.address, device::DestinationSource::local},
                    .route = {},
                    .at = now};
    arrival.route.socket = static_cast<std::uint16_t>(index);
    bool is_allowed = may_be_answered(arrival.client);
    if (door.has_one_address) {
      arrival.route.local = door.address.address;
      if (door.is_v6 && arrival.client.address.is_link_local())
        arrival.route.interface = batch->in_clients[slot].sin6_scope_id;
      if (tells_interfaces) arrival.route.interface = read_envelope(message).interface;
    } else {
      const Envelope envelope = read_envelope(message);
      is_allowed = is_allowed && !was_for_many(envelope);
      arrival.destination = destination_of(door, envelope);
      arrival.route.interface = envelope.interface;
      arrival.route.local = envelope.destination;
    }
    if (!is_allowed) {
      ++statistics.not_allowed;
      return;
    }
    if (!routers.empty()) take_proxy_header(arrival);
    ++statistics.served;
    auto& response = batch->responses[out_count];
    const std::size_t size = serve(arrival, response);
    if (size == 0) return;
    check(size <= response.size());
    batch->out[out_count].msg_hdr.msg_name = message.msg_name;
    batch->out[out_count].msg_hdr.msg_namelen = message.msg_namelen;
    add_response(door, arrival.route, arrival.client.address, size);
  }

  /// What is wrong with a header is wrong with the message, which is then no DNS message.
  void take_proxy_header(Arrival& arrival) const {
    if (arrival.message.size() < proxy_signature.size() || arrival.message[0] != proxy_signature[0] ||
        !contains(routers, arrival.client.address))
      return;
    const auto header = parse_proxy_header(arrival.message);
    if (!header) return;
    arrival.message = arrival.message.subspan(header->octets);
    if (header->ends) pass_on(*header->ends, routers, arrival.behind, arrival.destination);
  }

  static device::Destination destination_of(const Door& door, const Envelope& envelope) {
    const device::Destination ours{{envelope.destination, door.address.port}, device::DestinationSource::local};
    switch (door.kind) {
      case SocketKind::ordinary:
        return ours;
      case SocketKind::transparent:
        // What this machine asks of itself (::1, 127.0.0.153) reaches this socket too.
        if (envelope.original.port == 0 || envelope.original.address.is_loopback()) return ours;
        return {envelope.original, device::DestinationSource::tproxy};
      case SocketKind::redirected:
        return {{}, device::DestinationSource::conntrack};
      case SocketKind::mapped:
        return {door.resolver, device::DestinationSource::port_map};
    }
    return ours;
  }

  /// The response and its client stand in the next slot: `size` octets, from the address that the query was sent to.
  void add_response(const Door& door, const ReplyRoute& route, const IpAddress& client, std::size_t size) {
    batch->out_octets[out_count].iov_len = size;
    msghdr& reply = batch->out[out_count].msg_hdr;
    if (door.has_one_address) {
      reply.msg_control = nullptr;
      reply.msg_controllen = 0;
    } else {
      const bool by_interface = client.is_link_local() || route.local.is_link_local();
      write_source(reply, batch->out_control[out_count].data(), route.local, route.interface, by_interface);
    }
    ++out_count;
  }

  void flush() {
    std::size_t done = 0;
    while (done < out_count) {
      const int sent = sendmmsg(doors[out_door].lookout->socket(), batch->out.data() + done,
                                static_cast<unsigned>(out_count - done), MSG_DONTWAIT);
      if (sent > 0) {
        statistics.sent += static_cast<std::size_t>(sent);
        done += static_cast<std::size_t>(sent);
        continue;
      }
      if (errno == EINTR) continue;
      // The socket's buffer is full: waiting would hold up all other clients, and this one will ask again.
      const bool is_full = errno == EAGAIN || errno == ENOBUFS;
      const std::size_t failed = is_full ? out_count - done : 1;
      statistics.send_failed += failed;
      done += failed;
    }
    out_count = 0;
  }

  void send(const ReplyRoute& route, const Endpoint& client, std::span<const std::uint8_t> response) {
    check(route.carrier == Carrier::udp && route.socket < doors.size());
    check(response.size() <= datagram_response_octets_max);
    if (out_door != route.socket || out_count == datagrams_per_batch) flush();
    out_door = route.socket;
    std::memcpy(batch->responses[out_count].data(), response.data(), response.size());
    const SocketAddress to = to_socket_address(client, route.interface);
    batch->out_clients[out_count] = to.storage;
    batch->out[out_count].msg_hdr.msg_name = &batch->out_clients[out_count];
    batch->out[out_count].msg_hdr.msg_namelen = to.length;
    add_response(doors[out_door], route, client.address, response.size());
  }

  /// What the last recvmmsg() has overwritten.
  void prepare(std::size_t slot) {
    msghdr& in = batch->in[slot].msg_hdr;
    in.msg_namelen = sizeof(sockaddr_in6);
    in.msg_controllen = control_octets_in;
    in.msg_flags = 0;
  }

  void prepare_all() {
    for (std::size_t slot = 0; slot < datagrams_per_batch; ++slot) {
      batch->in_octets[slot] = {batch->queries[slot].data(), datagram_octets_max};
      batch->out_octets[slot] = {batch->responses[slot].data(), 0};
      msghdr& in = batch->in[slot].msg_hdr;
      in.msg_name = &batch->in_clients[slot];
      in.msg_iov = &batch->in_octets[slot];
      in.msg_iovlen = 1;
      in.msg_control = batch->in_control[slot].data();
      msghdr& out = batch->out[slot].msg_hdr;
      out.msg_iov = &batch->out_octets[slot];
      out.msg_iovlen = 1;
      prepare(slot);
    }
  }

  void stop() {
    flush();
    is_stopped = true;
    drained.reset();
    for (Door& door : doors) door.lookout->close();
  }

  const Clock& clock;
  BeginBatch begin_batch;
  Serve serve;
  std::vector<Door> doors;
  // Not filled with zeros: what is never used shall cost no memory.
  std::unique_ptr<Batch> batch{new Batch};
  std::size_t last_count = 0;               // datagrams of the last batch
  std::size_t out_count = 0, out_door = 0;  // responses that wait for flush(), all of one door
  std::optional<std::size_t> drained;       // the door that is waited at again when the turn ends
  bool is_stopped = false;
  bool tells_interfaces = false;
  std::vector<IpPrefix> routers;  // that may speak for others
  UdpStatistics statistics;
};

UdpListener::UdpListener(asio::io_context& loop, std::vector<SocketPair>& pairs, const Clock& clock,
                         BeginBatch begin_batch, Serve serve)
    : impl_(std::make_shared<Impl>(clock, std::move(begin_batch), std::move(serve))) {
  impl_->prepare_all();
  for (SocketPair& pair : pairs) {
    auto lookout = std::make_unique<transport::Lookout>(loop);
    lookout->open(pair.udp.release());
    impl_->doors.push_back({std::move(lookout), pair.kind, pair.address,
                            has_one_address(pair.address.address, pair.kind), pair.address.address.is_v6(),
                            pair.resolver});
  }
}

UdpListener::~UdpListener() {
  stop();
}

void UdpListener::start() {
  for (std::size_t index = 0; index < impl_->doors.size(); ++index) impl_->await(index);
}

void UdpListener::tell_interfaces() {
  if (impl_->tells_interfaces) return;
  impl_->tells_interfaces = true;
  const int on = 1;
  for (Impl::Door& door : impl_->doors) {
    const bool is_v4 = door.address.address.is_v4();
    (void)setsockopt(door.lookout->socket(), is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO,
                     &on, sizeof on);
  }
}

void UdpListener::trust(std::vector<IpPrefix> routers) {
  impl_->routers = std::move(routers);
}

void UdpListener::stop() {
  impl_->stop();
}

void UdpListener::send(const ReplyRoute& route, const Endpoint& client, std::span<const std::uint8_t> response) {
  impl_->send(route, client, response);
}

void UdpListener::flush() {
  impl_->flush();
  if (const auto door = std::exchange(impl_->drained, std::nullopt)) impl_->await(*door);
}

const UdpStatistics& UdpListener::statistics() const {
  return impl_->statistics;
}

}  // namespace doline::listener

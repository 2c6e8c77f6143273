// A device that announces itself by multicast DNS, at the other end of a small network's cable: real packets.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <vector>

#include "control/announcement_listener.h"
#include "dns/writer.h"
#include "small_network.h"

namespace doline::control::test {

inline std::vector<std::uint8_t> announcement(const char* host,
                                              std::array<std::uint8_t, 4> address = {192, 168, 7, 2}) {
  std::vector<std::uint8_t> octets(512);
  dns::MessageWriter writer(octets);
  writer.header(0, {.authoritative = true, .recursion_available = false}, dns::ResponseCode::noerror);
  CHECK(writer.record(dns::Section::answer, *dns::Name::parse(host), dns::RecordType::a,
                      static_cast<dns::RecordClass>(0x8001), 120, dns::Octets(address)));
  octets.resize(writer.size());
  return octets;
}

/// Multicast from the other end of the cable, as a device of the LAN would send it.
inline bool send_v4(const std::vector<std::uint8_t>& octets, std::uint16_t from_port) {
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in own{}, to{};
  own.sin_family = to.sin_family = AF_INET;
  own.sin_port = htons(from_port);
  ::inet_pton(AF_INET, "192.168.7.2", &own.sin_addr);
  to.sin_port = htons(mdns_port);
  ::inet_pton(AF_INET, "224.0.0.251", &to.sin_addr);
  ip_mreqn out{};
  out.imr_ifindex = static_cast<int>(::if_nametoindex("lan1"));
  const bool is_sent = ::setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) == 0 &&
                       ::bind(descriptor, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0 &&
                       ::sendto(descriptor, octets.data(), octets.size(), 0, reinterpret_cast<sockaddr*>(&to),
                                sizeof to) == static_cast<ssize_t>(octets.size());
  ::close(descriptor);
  return is_sent;
}

inline bool send_v6(const std::vector<std::uint8_t>& octets) {
  const int descriptor = ::socket(AF_INET6, SOCK_DGRAM, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 own{}, to{};
  own.sin6_family = to.sin6_family = AF_INET6;
  own.sin6_port = to.sin6_port = htons(mdns_port);
  ::inet_pton(AF_INET6, "fd07::2", &own.sin6_addr);
  ::inet_pton(AF_INET6, "ff02::fb", &to.sin6_addr);
  to.sin6_scope_id = ::if_nametoindex("lan1");
  const bool is_sent = ::bind(descriptor, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0 &&
                       ::sendto(descriptor, octets.data(), octets.size(), 0, reinterpret_cast<sockaddr*>(&to),
                                sizeof to) == static_cast<ssize_t>(octets.size());
  ::close(descriptor);
  return is_sent;
}

inline bool has_private_network() {
  return tests::run("ip address add 192.168.7.1/24 dev lan0") &&
         tests::run("ip address add fd07::1/64 dev lan0 nodad") &&
         tests::run("ip address add 192.168.7.2/24 dev lan1") &&
         tests::run("ip address add fd07::2/64 dev lan1 nodad") &&
         tests::run(
             "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lan0.rp_filter=0 "
             "net.ipv4.conf.lan0.accept_local=1");
}

}  // namespace doline::control::test

// bench_echo: what the kernel alone costs. Answers every query of 127.0.0.0/8 without looking anything up, over UDP
// (recvmmsg, sendmmsg) and TCP; or relays it to an upstream and changes nothing but the ID. It is the bench's upstream
// too.
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::string_view usage = R"(usage: bench_echo --port PORT [--address ADDRESS] [--relay PORT]

Answers every query at once with one address that is made from the name, over UDP and TCP, until it is terminated.

  --address ADDRESS  in 127.0.0.0/8 (127.0.0.1)
  --relay PORT       over UDP, relay to that port of 127.0.0.1 instead: what forwarding costs at least

exit codes: 0 terminated, 1 the port could not be opened, 64 the command line is wrong

example:
  bench_echo --port 5299 & bench_echo --port 5300 --relay 5299
)";

constexpr unsigned batch_max = 64;
constexpr std::size_t query_octets_max = 1500;
constexpr std::size_t response_octets_max = 1700;

[[noreturn]] void stop(int status, const std::string& why) {
  std::cerr << "bench_echo: " << why << '\n';
  std::exit(status);
}

sockaddr* address_of(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

void set_option(int socket, int level, int name, int value) {
  setsockopt(socket, level, name, &value, sizeof value);  // what the kernel refuses makes it slower, not wrong
}

int bound(int type, sockaddr_in address) {
  const int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  if (type == SOCK_DGRAM) {
    set_option(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
    set_option(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20);
  }
  if (bind(descriptor, address_of(address), sizeof address) != 0) {
    stop(1, "port " + std::to_string(ntohs(address.sin_port)) + ": " + std::strerror(errno));
  }
  return descriptor;
}

void put16(std::uint8_t* at, unsigned value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

template <std::size_t size>
std::uint8_t* put(std::uint8_t* at, const std::array<std::uint8_t, size>& octets) {
  return std::copy(octets.begin(), octets.end(), at);
}

// The response's size; 0 for what is no query. A gets an address made from the name, everything else NODATA with an SOA
// at the root, so that whoever asked can cache it.
std::size_t answer(const std::uint8_t* query, std::size_t size, std::uint8_t* response) {
  if (size < 17 || (query[2] & 0x80) != 0) return 0;
  std::size_t at = 12;
  std::uint32_t hash = 2166136261;
  while (at < size && query[at] != 0) {
    const std::size_t label = query[at];
    if (label > 63 || at + 1 + label >= size) return 0;
    for (std::size_t i = 0; i <= label; ++i) hash = (hash ^ (query[at + i] | 0x20U)) * 16777619;
    at += 1 + label;
  }
  if (at + 5 > size) return 0;
  const bool is_address = query[at + 1] == 0 && query[at + 2] == 1;
  at += 5;
  std::uint8_t* end = std::copy(query, query + at, response);
  response[2] = static_cast<std::uint8_t>((query[2] & 0x79) | 0x80);
  response[3] = 0x80;
  std::fill(response + 6, response + 12, std::uint8_t{0});
  if (is_address) {
    response[7] = 1;
    end = put<16>(end, {0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 198, static_cast<std::uint8_t>(18 + (hash & 1)),
                        static_cast<std::uint8_t>(hash >> 8), static_cast<std::uint8_t>(hash >> 16)});
  } else {
    response[9] = 1;
    end = put<37>(end, {0, 0, 6, 0, 1,  0,  0, 14, 16, 0,  26, 1, 'a', 0,  1, 'b', 0,  0, 0,
                        0, 1, 0, 0, 14, 16, 0, 0,  14, 16, 0,  0, 14,  16, 0, 0,   14, 16});
  }
  const bool has_opt = size >= at + 11 && query[11] != 0 && query[at] == 0 && query[at + 1] == 0 && query[at + 2] == 41;
  if (has_opt) {
    response[11] = 1;
    const auto dnssec_ok = static_cast<std::uint8_t>(query[at + 7] & 0x80);
    end = put<11>(end, {0, 0, 41, 4, 208, 0, 0, dnssec_ok, 0, 0, 0});
  }
  return static_cast<std::size_t>(end - response);
}

// Room for a batch of messages with their addresses, and the heads that the system calls take.
struct Batch {
  std::vector<std::array<std::uint8_t, response_octets_max>> octets{batch_max};
  std::array<sockaddr_in, batch_max> addresses{};
  std::array<iovec, batch_max> pieces{};
  std::array<mmsghdr, batch_max> heads{};

  Batch() {
    for (unsigned i = 0; i < batch_max; ++i) {
      heads[i].msg_hdr.msg_iov = &pieces[i];
      heads[i].msg_hdr.msg_iovlen = 1;
      to(i, &addresses[i], query_octets_max);
    }
  }

  // Where message i comes from or goes to (null on a connected socket), and how large it is or may be.
  void to(unsigned i, sockaddr_in* address, std::size_t size) {
    pieces[i] = {octets[i].data(), size};
    heads[i].msg_hdr.msg_name = address;
    heads[i].msg_hdr.msg_namelen = address != nullptr ? sizeof *address : 0;
  }

  void send(int descriptor, unsigned count) {
    for (unsigned done = 0; done < count;) {
      const int more = sendmmsg(descriptor, heads.data() + done, count - done, 0);
      if (more <= 0 && errno != EINTR) break;
      if (more > 0) done += static_cast<unsigned>(more);
    }
  }
};

[[noreturn]] void serve_udp(sockaddr_in address) {
  const int descriptor = bound(SOCK_DGRAM, address);
  Batch queries;
  Batch responses;
  for (;;) {
    const int received = recvmmsg(descriptor, queries.heads.data(), batch_max, MSG_WAITFORONE, nullptr);
    unsigned count = 0;
    for (unsigned i = 0; static_cast<int>(i) < received; ++i) {
      const std::size_t size =
          answer(queries.octets[i].data(), queries.heads[i].msg_len, responses.octets[count].data());
      if (size > 0) responses.to(count++, &queries.addresses[i], size);
    }
    responses.send(descriptor, count);
  }
}

// One connected socket to the upstream, and the query's ID as the only thing that is remembered.
[[noreturn]] void relay_udp(sockaddr_in address, std::uint16_t port) {
  const int below = bound(SOCK_DGRAM, address);
  const int above = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  set_option(above, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
  sockaddr_in upstream = address;
  upstream.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  upstream.sin_port = htons(port);
  if (connect(above, address_of(upstream), sizeof upstream) != 0) stop(1, "cannot connect");
  struct Asked {
    sockaddr_in address;
    unsigned id;
  };
  std::vector<Asked> asked(65536);
  std::uint16_t next = 0;
  Batch batch;
  const int loop = epoll_create1(EPOLL_CLOEXEC);
  for (const int descriptor : {below, above}) {
    epoll_event event{EPOLLIN, {}};
    event.data.fd = descriptor;
    epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event);
  }
  for (std::array<epoll_event, 2> events{};;) {
    const int ready = epoll_wait(loop, events.data(), events.size(), -1);
    for (int event = 0; event < ready; ++event) {
      const int from = events[static_cast<std::size_t>(event)].data.fd;
      for (int received = batch_max; received == static_cast<int>(batch_max);) {
        for (unsigned i = 0; i < batch_max; ++i) batch.to(i, &batch.addresses[i], query_octets_max);
        received = recvmmsg(from, batch.heads.data(), batch_max, MSG_DONTWAIT, nullptr);
        for (unsigned i = 0; static_cast<int>(i) < received; ++i) {
          std::uint8_t* message = batch.octets[i].data();
          const unsigned id = static_cast<unsigned>(message[0] << 8 | message[1]);
          if (from == below) {
            asked[next] = {batch.addresses[i], id};
            put16(message, next++);
            batch.to(i, nullptr, batch.heads[i].msg_len);
          } else {
            put16(message, asked[id].id);
            batch.to(i, &asked[id].address, batch.heads[i].msg_len);
          }
        }
        batch.send(from == below ? above : below, static_cast<unsigned>(std::max(received, 0)));
      }
    }
  }
}

struct Connection {
  int descriptor;
  std::size_t have = 0;
  std::array<std::uint8_t, 4096> queries{};
};

// Answers what a connection has sent; false if it is over. Responses that do not fit into the socket end it, too: the
// load has few queries outstanding.
bool serve(Connection& connection) {
  const ssize_t more = read(connection.descriptor, connection.queries.data() + connection.have,
                            connection.queries.size() - connection.have);
  if (more <= 0) return more < 0 && errno == EAGAIN;
  connection.have += static_cast<std::size_t>(more);
  std::array<std::uint8_t, 16384> responses;
  std::size_t at = 0;
  std::size_t end = 0;
  while (connection.have - at >= 2) {
    const std::uint8_t* query = connection.queries.data() + at;
    const std::size_t size = static_cast<std::size_t>(query[0] << 8 | query[1]);
    if (size > query_octets_max) return false;
    if (connection.have - at < 2 + size || end + 2 + response_octets_max > responses.size()) break;
    const std::size_t written = answer(query + 2, size, responses.data() + end + 2);
    put16(responses.data() + end, static_cast<unsigned>(written));
    end += written > 0 ? 2 + written : 0;
    at += 2 + size;
  }
  std::copy(connection.queries.begin() + static_cast<std::ptrdiff_t>(at),
            connection.queries.begin() + static_cast<std::ptrdiff_t>(connection.have), connection.queries.begin());
  connection.have -= at;
  return end == 0 || send(connection.descriptor, responses.data(), end, MSG_NOSIGNAL) == static_cast<ssize_t>(end);
}

[[noreturn]] void serve_tcp(sockaddr_in address) {
  const int listener = bound(SOCK_STREAM, address);
  fcntl(listener, F_SETFL, O_NONBLOCK);
  listen(listener, 4096);
  const int loop = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {nullptr}};
  epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
  for (std::array<epoll_event, 256> events{};;) {
    const int ready = epoll_wait(loop, events.data(), events.size(), -1);
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (connection == nullptr) {
        for (int accepted; (accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          set_option(accepted, IPPROTO_TCP, TCP_NODELAY, 1);
          event = {EPOLLIN, {new Connection{accepted}}};
          epoll_ctl(loop, EPOLL_CTL_ADD, accepted, &event);
        }
      } else if (!serve(*connection)) {
        close(connection->descriptor);
        delete connection;
      }
    }
  }
}

std::uint16_t port_of(const std::string& text) {
  const int port = std::atoi(text.c_str());
  if (port < 1 || port > 65535) stop(64, text + " is no port");
  return static_cast<std::uint16_t>(port);
}

}  // namespace

int main(int count, char** words) {
  const std::array<option, 5> known{{{"address", required_argument, nullptr, 'a'},
                                     {"port", required_argument, nullptr, 'p'},
                                     {"relay", required_argument, nullptr, 'r'},
                                     {"help", no_argument, nullptr, 'h'},
                                     {nullptr, 0, nullptr, 0}}};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::uint16_t relay = 0;
  for (int chosen; (chosen = getopt_long(count, words, "", known.data(), nullptr)) != -1;) {
    switch (chosen) {
      case 'a':
        if (inet_pton(AF_INET, optarg, &address.sin_addr) != 1) stop(64, std::string(optarg) + " is no IPv4 address");
        break;
      case 'p':
        address.sin_port = htons(port_of(optarg));
        break;
      case 'r':
        relay = port_of(optarg);
        break;
      case 'h':
        std::cout << usage;
        return 0;
      default:
        std::cerr << "see bench_echo --help\n";
        return 64;
    }
  }
  if (address.sin_port == 0) stop(64, "--port is needed; see bench_echo --help");
  if (ntohl(address.sin_addr.s_addr) >> 24 != 127) stop(64, "only 127.0.0.0/8 is served");
  if (relay != 0) relay_udp(address, relay);
  std::thread([address] { serve_tcp(address); }).detach();
  serve_udp(address);
}

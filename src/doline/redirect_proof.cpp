#include "doline/redirect_proof.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <utility>

#include "base/check.h"
#include "control/command_socket.h"
#include "control/loop_watch.h"
#include "dns/read_octets.h"
#include "dns/writer.h"
#include "doline/terminal_text.h"
#include "warden/leftovers.h"
#include "warden/scratch_device.h"

namespace doline {

namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;
using Outcome = ProofWay::Outcome;

constexpr milliseconds ask_again_after{700};
constexpr milliseconds answer_patience{4'000};
constexpr milliseconds look_every{250};
constexpr std::size_t ways_of_a_port = 4;  // IPv4 and IPv6, UDP and TCP

IpAddress resolver_of(std::string_view family) {
  return family == "IPv4" ? warden::scratch_resolver_v4 : warden::scratch_resolver_v6();
}

/// One way under trial: its socket, connected to the foreign resolver, so that an answer from elsewhere is none. As a
/// device does, it asks again where nothing comes: by TCP with another connection.
class Asking {
 public:
  /// `device` outlives this.
  Asking(const warden::ScratchDevice& device, const ProofWay& way, const dns::Name& name)
      : device_(device),
        family_(way.family == "IPv4" ? AF_INET : AF_INET6),
        is_tcp_(way.transport == "TCP"),
        resolver_{resolver_of(way.family), way.port},
        id_(static_cast<std::uint16_t>(std::random_device{}())),
        query_(dns::make_query(id_, {name, dns::RecordType::a, dns::RecordClass::in})) {
    if (is_tcp_) {
      const auto size = static_cast<std::uint16_t>(query_.size());
      query_.insert(query_.begin(), {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
    }
  }
  Asking(Asking&& other) noexcept = delete;
  ~Asking() { close(); }

  [[nodiscard]] bool is_answered() const { return is_answered_; }
  /// Of a descriptor below 0 nothing is heard.
  [[nodiscard]] pollfd watched() const {
    return {descriptor_, static_cast<short>(is_tcp_ && !is_sent_ ? POLLOUT : POLLIN), 0};
  }
  void ask() {
    if (is_tcp_ || descriptor_ < 0) connect();
    if (!is_tcp_) send();
  }
  void take(short events) {
    if ((events & POLLOUT) != 0 && !is_sent_) return send();
    if ((events & (POLLIN | POLLERR | POLLHUP)) == 0) return;
    std::array<std::uint8_t, 1'500> room;
    const ssize_t size = ::recv(descriptor_, room.data(), room.size(), 0);
    if (size <= 0) {
      if (is_tcp_) close();
      return;
    }
    heard_.insert(heard_.end(), room.begin(), room.begin() + size);
    const std::size_t begin = is_tcp_ ? 2 : 0;
    is_answered_ = heard_.size() >= begin + dns::header_octets && dns::read16(heard_, begin) == id_;
    if (!is_tcp_) heard_.clear();
  }

 private:
  void connect() {
    close();
    descriptor_ = device_.socket(family_, is_tcp_ ? SOCK_STREAM : SOCK_DGRAM);
    if (descriptor_ < 0) return;
    const SocketAddress address = to_socket_address(resolver_);
    if (::connect(descriptor_, address.get(), address.length) != 0 && errno != EINPROGRESS) close();
  }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    is_sent_ = false;
    heard_.clear();
  }
  void send() {
    is_sent_ = true;
    static_cast<void>(::send(descriptor_, query_.data(), query_.size(), MSG_NOSIGNAL));
  }

  const warden::ScratchDevice& device_;
  int family_, descriptor_ = -1;
  bool is_tcp_, is_sent_ = false, is_answered_ = false;
  Endpoint resolver_;
  std::uint16_t id_;
  std::vector<std::uint8_t> query_, heard_;
};

bool has_route_to(const IpAddress& address) {
  const int descriptor = ::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const SocketAddress to = to_socket_address({address, 53});
  const bool has = descriptor >= 0 && ::connect(descriptor, to.get(), to.length) == 0;
  if (descriptor >= 0) ::close(descriptor);
  return has;
}

void ask_all(std::vector<std::unique_ptr<Asking>>& all) {
  const auto begin = Steady::now();
  auto ask_next = begin;
  while (Steady::now() - begin < answer_patience) {
    if (Steady::now() >= ask_next) {
      for (const auto& one : all)
        if (!one->is_answered()) one->ask();
      ask_next += ask_again_after;
    }
    std::vector<pollfd> watched;
    std::vector<Asking*> watchers;
    for (const auto& one : all)
      if (!one->is_answered()) {
        watched.push_back(one->watched());
        watchers.push_back(one.get());
      }
    if (watched.empty()) return;
    ::poll(watched.data(), watched.size(), 50);
    for (std::size_t i = 0; i < watched.size(); ++i)
      if (watched[i].revents != 0) watchers[i]->take(watched[i].revents);
  }
}

struct Seen {
  std::string client, meant_for, transport;
  bool is_intercepted = false;
};

std::vector<Seen> seen_by_doline(const std::filesystem::path& socket, const std::string& name) {
  std::vector<Seen> all;
  const auto answer = control::ask(socket, {{"ask", "redirect.probe.returns"}, {"name", name}});
  if (!answer) return all;
  for (const json& row : answer->value("returns", json::array()))
    all.push_back({row.value("client", ""), row.value("meant_for", ""), row.value("transport", ""),
                   row.value("intercepted", false)});
  return all;
}

Outcome judge(const ProofWay& way, bool is_answered, const std::vector<Seen>& seen) {
  const bool is_v4 = way.family == "IPv4";
  const std::string client = (is_v4 ? warden::scratch_v4 : warden::scratch_v6()).to_string();
  const Endpoint resolver{resolver_of(way.family), way.port};
  bool came = false;
  for (const Seen& one : seen) {
    if (one.client != client || one.transport != (way.transport == "TCP" ? "tcp" : "udp")) continue;
    came = true;
    if (one.is_intercepted && one.meant_for == resolver.to_string())
      return is_answered ? Outcome::proven : Outcome::unanswered;
  }
  return came && is_answered ? Outcome::wrong_origin : Outcome::not_seen;
}

void prove_on(const std::string& interface, const redirect::Options& options,
              const std::filesystem::path& control_socket, Proof& proof) {
  const auto device = warden::ScratchDevice::attach(interface);
  if (!device) {
    proof.untried.push_back(interface + ": " + device.error() +
                            ". Have a real device ask, and watch it: doline redirect verify --from ITS-ADDRESS");
    return;
  }
  // A name for each port: so it is told by the name, too, which query has come.
  std::vector<dns::Name> names;
  for (std::size_t i = 0; i < options.ports.size(); ++i) {
    const auto made = control::ask(control_socket, {{"ask", "redirect.probe"}});
    const auto name = made ? dns::Name::parse(made->value("name", "")) : fail(dns::NameFault::empty_label);
    if (!name) {
      proof.untried.push_back(interface + ": " + (made ? "the running Doline gives no name" : made.error().text));
      return;
    }
    names.push_back(*name);
  }
  std::vector<ProofWay> ways;
  for (const std::uint16_t port : options.ports)
    for (const char* family : {"IPv4", "IPv6"})
      for (const char* transport : {"UDP", "TCP"}) ways.push_back({interface, family, transport, port});
  std::vector<std::unique_ptr<Asking>> asking;
  for (std::size_t i = 0; i < ways.size(); ++i)
    asking.push_back(std::make_unique<Asking>(*device, ways[i], names[i / ways_of_a_port]));
  ask_all(asking);
  for (std::size_t i = 0; i < ways.size(); i += ways_of_a_port) {
    const auto seen = seen_by_doline(control_socket, names[i / ways_of_a_port].to_string());
    for (std::size_t way = i; way < i + ways_of_a_port; ++way) {
      ways[way].outcome = judge(ways[way], asking[way]->is_answered(), seen);
      if (ways[way].outcome == Outcome::not_seen && !has_route_to(resolver_of(ways[way].family)))
        ways[way].outcome = Outcome::no_route;
    }
  }
  proof.ways.insert(proof.ways.end(), ways.begin(), ways.end());
}

}  // namespace

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::proven:
      return "proven";
    case Outcome::unanswered:
      return "unanswered";
    case Outcome::not_seen:
      return "not seen";
    case Outcome::wrong_origin:
      return "wrong origin";
    case Outcome::no_route:
      return "nothing to catch: no route leads out";
  }
  return "?";
}

bool Proof::has_failed() const {
  return !loops.empty() || std::any_of(ways.begin(), ways.end(), [](const ProofWay& way) {
    return way.outcome != Outcome::proven && way.outcome != Outcome::no_route;
  });
}

Proof prove_with_packets(const redirect::Options& options, const std::filesystem::path& control_socket) {
  Proof proof;
  const auto looking = control::ask(control_socket, {{"ask", "redirect.loops"}, {"look", true}});
  if (looking) proof.upstreams = looking->value("asked", std::size_t{0});
  if (warden::may_change_rules())
    for (const std::string& interface : options.interfaces) prove_on(interface, options, control_socket, proof);
  else
    proof.untried.emplace_back(
        "packets of a device that is not there can be sent by root only: sudo doline redirect verify");
  // The canaries have until the round's end to come back.
  const auto late = Steady::now() + control::loop_round + seconds(2);
  for (;;) {
    const auto looked = control::ask(control_socket, {{"ask", "redirect.loops"}});
    if (!looked) {
      proof.untried.push_back("upstreams: " + looked.error().text);
      break;
    }
    proof.loops = looked->value("loops", std::vector<std::string>());
    if (!proof.loops.empty() || looked->value("asked", std::size_t{0}) == 0 || Steady::now() > late) break;
    std::this_thread::sleep_for(look_every);
  }
  return proof;
}

Proof prove_by_device(const std::filesystem::path& database, const querylog::LogFilter& filter, seconds patience,
                      const std::function<void(const ProofWay&)>& progress) {
  Proof proof;
  auto reader = querylog::LogReader::open(database);
  if (!reader) {
    proof.untried.push_back("the query log: " + std::string(querylog::to_string(reader.error())));
    return proof;
  }
  for (const std::string_view family : {"IPv4", "IPv6"}) {
    // An address asks by its own family only.
    const bool asks = filter.clients.empty() ||
                      std::any_of(filter.clients.begin(), filter.clients.end(),
                                  [&](const IpAddress& client) { return client.is_v4() == (family[3] == '4'); });
    for (const char* transport : {"UDP", "TCP"})
      if (asks) proof.ways.push_back({"", std::string(family), transport, 0});
  }
  const auto take = [&](const querylog::LogRow& row) {
    if (!row.original_destination) return true;
    const char* family = row.original_destination->address.is_v4() ? "IPv4" : "IPv6";
    const char* transport = row.transport == querylog::Transport::tcp ? "TCP" : "UDP";
    for (ProofWay& way : proof.ways) {
      if (way.family != family || way.transport != transport || way.outcome == Outcome::proven) continue;
      way.outcome = Outcome::proven;
      way.port = row.original_destination->port;
      progress(way);
    }
    return true;
  };
  const auto late = Steady::now() + patience;
  while (Steady::now() < late && proof.has_failed()) {
    if (const auto more = reader->follow(filter, take); !more) {
      proof.untried.push_back("the query log: " + std::string(querylog::to_string(more.error())));
      return proof;
    }
    std::this_thread::sleep_for(look_every);
  }
  return proof;
}

std::string describe(const Proof& proof) {
  std::string text;
  for (const ProofWay& way : proof.ways)
    text += fmt::format("  {:<15} {} {} port {:<5} {}\n", way.interface, way.family, way.transport,
                        way.port == 0 ? std::string("any") : std::to_string(way.port), to_string(way.outcome));
  for (const std::string& sentence : proof.loops) text += "  A loop: " + printable(sentence) + '\n';
  if (proof.loops.empty() && proof.upstreams > 0)
    text += fmt::format("  Doline's own queries: {} upstream server{} asked, none led back here\n", proof.upstreams,
                        proof.upstreams == 1 ? "" : "s");
  for (const std::string& sentence : proof.untried) text += "  Not tried: " + printable(sentence) + '\n';
  return text;
}

}  // namespace doline

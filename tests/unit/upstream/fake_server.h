// FakeServer: an upstream server on loopback, UDP and TCP on one port, that says what the test wants.
#pragma once

#include <array>
#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "dns/message.h"
#include "dns/writer.h"

namespace doline::tests {

using Message = std::vector<std::uint8_t>;
enum class Over : std::uint8_t { udp, tcp };

struct Heard {
  Over over;
  std::uint16_t id;
  std::uint16_t client_port;
  dns::Question question;
  bool has_edns;
  std::uint16_t udp_payload_size;
  bool dnssec_ok;
  bool checking_disabled;
};

class FakeServer {
 public:
  /// What to send back, in order. `query` parses.
  using Respond = std::function<std::vector<Message>(const Heard&, dns::Octets query)>;

  FakeServer(asio::io_context& loop, Respond respond) : udp_(loop), acceptor_(loop), respond_(std::move(respond)) {
    while (!open_both()) {
    }
    receive();
    accept();
  }

  [[nodiscard]] Endpoint endpoint() const { return {IpAddress::v4(127, 0, 0, 1), udp_.local_endpoint().port()}; }
  [[nodiscard]] const std::vector<Heard>& heard() const { return heard_; }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] int heard_over(Over over) const {
    int count = 0;
    for (const Heard& each : heard_) count += each.over == over ? 1 : 0;
    return count;
  }
  void set_respond(Respond respond) { respond_ = std::move(respond); }
  void send(std::uint16_t port, const Message& message) {
    udp_.send_to(asio::buffer(message), {asio::ip::address_v4::loopback(), port});
  }
  void close_acceptor() { acceptor_.close(); }
  /// Over TCP each connection is closed after so many.
  void close_after(int replies) { replies_max_ = replies; }
  void close_connections() {
    for (const auto& connection : open_) connection->socket.close();
    open_.clear();
  }

 private:
  struct Connection {
    explicit Connection(asio::ip::tcp::socket taken) : socket(std::move(taken)) {}
    asio::ip::tcp::socket socket;
    int replies = 0;
    std::array<std::uint8_t, 2> length{};
    Message message;
  };

  /// A port that is free for UDP may be taken for TCP.
  bool open_both() {
    const asio::ip::address_v4 here = asio::ip::address_v4::loopback();
    udp_ = asio::ip::udp::socket(udp_.get_executor(), {here, 0});
    acceptor_ = asio::ip::tcp::acceptor(acceptor_.get_executor(), asio::ip::tcp::v4());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    std::error_code taken;
    acceptor_.bind({here, udp_.local_endpoint().port()}, taken);
    if (!taken) acceptor_.listen();
    return !taken;
  }
  void receive() {
    udp_.async_receive_from(asio::buffer(datagram_), client_, [this](const std::error_code& error, std::size_t octets) {
      if (error == asio::error::operation_aborted) return;
      if (!error)
        for (const Message& reply : answer(Over::udp, client_.port(), {datagram_.data(), octets}))
          udp_.send_to(asio::buffer(reply), client_);
      receive();
    });
  }
  void accept() {
    acceptor_.async_accept([this](const std::error_code& error, asio::ip::tcp::socket socket) {
      if (error) return;
      ++connections_;
      open_.push_back(std::make_shared<Connection>(std::move(socket)));
      read(open_.back());
      accept();
    });
  }
  void read(const std::shared_ptr<Connection>& connection) {
    asio::async_read(
        connection->socket, asio::buffer(connection->length),
        [this, connection](const std::error_code& error, std::size_t) {
          if (error) return;
          connection->message.resize(static_cast<std::size_t>(connection->length[0] << 8 | connection->length[1]));
          asio::async_read(connection->socket, asio::buffer(connection->message),
                           [this, connection](const std::error_code& failed, std::size_t) {
                             if (failed) return;
                             reply_on(*connection);
                             if (connection->socket.is_open()) read(connection);
                           });
        });
  }
  void reply_on(Connection& connection) {
    for (const Message& reply : answer(Over::tcp, 0, connection.message)) {
      Message frame{static_cast<std::uint8_t>(reply.size() >> 8), static_cast<std::uint8_t>(reply.size())};
      frame.insert(frame.end(), reply.begin(), reply.end());
      if (!connection.socket.is_open()) return;
      std::error_code gone;
      asio::write(connection.socket, asio::buffer(frame), gone);
      if (++connection.replies == replies_max_) connection.socket.close();
    }
  }
  std::vector<Message> answer(Over over, std::uint16_t port, dns::Octets query) {
    const auto view = dns::QueryView::parse(query);
    if (!view) return {};
    heard_.push_back({over, view->id(), port, view->question(), view->edns().has_value(),
                      view->edns() ? view->edns()->udp_payload_size : std::uint16_t{0},
                      view->edns() && view->edns()->dnssec_ok, view->checking_disabled()});
    return respond_(heard_.back(), query);
  }

  asio::ip::udp::socket udp_;
  asio::ip::tcp::acceptor acceptor_;
  Respond respond_;
  asio::ip::udp::endpoint client_;
  std::array<std::uint8_t, 4096> datagram_{};
  std::vector<std::shared_ptr<Connection>> open_;
  std::vector<Heard> heard_;
  int connections_ = 0;
  int replies_max_ = std::numeric_limits<int>::max();
};

/// A response with one address.
inline Message address_of(const Heard& heard, std::uint8_t last, dns::Flags flags = {}) {
  Message octets(512);
  dns::MessageWriter writer(octets);
  writer.header(heard.id, flags, dns::ResponseCode::noerror);
  const std::array<std::uint8_t, 4> address{192, 0, 2, last};
  if (!writer.question(heard.question)) std::abort();
  if (!writer.record(dns::Section::answer, heard.question.qname, dns::RecordType::a, dns::RecordClass::in, 60, address))
    std::abort();
  octets.resize(writer.size());
  return octets;
}

/// A response without records.
inline Message bare(const Heard& heard, dns::ResponseCode code, dns::Flags flags = {}) {
  Message octets(512);
  dns::MessageWriter writer(octets);
  writer.header(heard.id, flags, code);
  if (!writer.question(heard.question)) std::abort();
  octets.resize(writer.size());
  return octets;
}

}  // namespace doline::tests

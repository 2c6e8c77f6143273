#include "upstream/server_stream.h"

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <cstring>
#include <utility>
#include <vector>

#include "dns/writer.h"
#include "transport/message_stream.h"
#include "transport/spawn.h"
#include "upstream/random_source.h"

namespace doline::upstream {

namespace {

asio::ip::tcp::endpoint to_asio(const Endpoint& endpoint) {
  const SocketAddress address = to_socket_address(endpoint);
  asio::ip::tcp::endpoint made;
  made.resize(address.length);
  std::memcpy(made.data(), address.get(), address.length);
  return made;
}

MonotonicTime in(milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

}  // namespace

struct ServerStream::Impl : std::enable_shared_from_this<Impl> {
  struct Question {
    std::uint16_t id;
    std::uint64_t ticket;
    MonotonicTime deadline;
    std::vector<std::uint8_t> query;
  };
  struct Connection {
    explicit Connection(asio::io_context& loop) : stream(asio::ip::tcp::socket(loop)) {}
    transport::MessageStream stream;
    std::vector<std::uint8_t> outgoing, leaving;  // frames to be written; being written
    bool is_open = false, is_writing = false, has_served = false;
  };
  using ConnectionPointer = std::shared_ptr<Connection>;

  Impl(asio::io_context& loop_in, const Endpoint& server_in, RandomSource& random_in, Answered answered_in)
      : loop(loop_in), server(server_in), random(random_in), answered(std::move(answered_in)) {}

  bool ask(dns::Octets query, std::uint64_t ticket, MonotonicTime deadline) {
    if (questions.size() >= stream_questions_max) return false;
    questions.push_back({0, ticket, deadline, {query.begin(), query.end()}});
    send(questions.back());
    return true;
  }

  void send(Question& question) {
    do question.id = random.next<std::uint16_t>();
    while (std::count_if(questions.begin(), questions.end(),
                         [&](const Question& other) { return other.id == question.id; }) > 1);
    dns::patch_id(question.query, question.id);
    if (!connection) {
      connection = std::make_shared<Connection>(loop);
      transport::append_frame(connection->outgoing, question.query);
      transport::spawn(loop.get_executor(), serve(shared_from_this(), connection));
      return;
    }
    transport::append_frame(connection->outgoing, question.query);
    if (!connection->is_open) return;
    connection->stream.set_read_deadline(in(stream_silence_time));
    flush();
  }

  void flush() {
    if (connection->is_writing || connection->outgoing.empty()) return;
    connection->is_writing = true;
    transport::spawn(loop.get_executor(), write(connection));
  }

  static asio::awaitable<void> serve(std::shared_ptr<Impl> self, ConnectionPointer connection) {
    const auto connected = co_await connection->stream.connect(to_asio(self->server), in(stream_connect_time));
    if (!connected) {
      self->end(connection, ServerStreamFault::unreachable);
      co_return;
    }
    if (self->connection != connection) co_return;  // given up meanwhile
    connection->is_open = true;
    self->flush();
    while (self->connection == connection) {
      const MonotonicTime deadline = in(self->questions.empty() ? stream_idle_time : stream_silence_time);
      const auto message = co_await connection->stream.read(deadline);
      if (!message) break;
      self->take(*message);
    }
    self->end(connection, ServerStreamFault::broken);
  }

  static asio::awaitable<void> write(ConnectionPointer connection) {
    while (!connection->outgoing.empty()) {
      connection->leaving.clear();
      connection->leaving.swap(connection->outgoing);
      const auto written = co_await connection->stream.write(connection->leaving, in(stream_silence_time));
      if (!written) co_return;  // answers may have come before that: the end is what reading meets
    }
    connection->is_writing = false;
  }

  void take(dns::Octets message) {
    if (message.size() < dns::header_octets) return;
    const auto id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
    const auto question =
        std::find_if(questions.begin(), questions.end(), [&](const Question& each) { return each.id == id; });
    if (question == questions.end()) return;
    connection->has_served = true;
    const std::uint64_t ticket = question->ticket;
    questions.erase(question);
    tell(ticket, message);
  }

  void end(const ConnectionPointer& ended, ServerStreamFault fault) {
    ended->stream.close();
    if (connection != ended) return;
    connection.reset();
    std::vector<Question> left;
    left.swap(questions);
    const MonotonicTime now = std::chrono::steady_clock::now();
    for (Question& question : left) {
      if (!answered) return;  // closed by who was told
      if (ended->has_served && now < question.deadline) {
        questions.push_back(std::move(question));
        send(questions.back());
      } else {
        tell(question.ticket, fail(fault));
      }
    }
  }

  /// May end in the stream's destruction: a copy is called.
  void tell(std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
    const Answered call = answered;
    if (call) call(ticket, message);
  }

  void close() {
    answered = nullptr;
    questions.clear();
    if (const ConnectionPointer last = std::move(connection)) last->stream.close();
    connection.reset();
  }

  asio::io_context& loop;
  Endpoint server;
  RandomSource& random;
  Answered answered;
  std::vector<Question> questions;
  ConnectionPointer connection;
};

ServerStream::ServerStream(asio::io_context& loop, const Endpoint& server, RandomSource& random, Answered answered)
    : impl_(std::make_shared<Impl>(loop, server, random, std::move(answered))) {}

ServerStream::~ServerStream() {
  impl_->close();
}

bool ServerStream::ask(dns::Octets query, std::uint64_t ticket, MonotonicTime deadline) {
  return impl_->ask(query, ticket, deadline);
}

}  // namespace doline::upstream

#include "upstream/server_stream.h"

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
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

MonotonicTime read_clock() {
  return std::chrono::steady_clock::now();
}
MonotonicTime in(milliseconds time) {
  return read_clock() + time;
}

}  // namespace

struct ServerStream::Impl : std::enable_shared_from_this<Impl> {
  struct Question {
    std::uint16_t id;
    std::uint64_t ticket;
    MonotonicTime sent, deadline;
    std::vector<std::uint8_t> query;

    /// When it is forgotten. One that came with its time nearly up would else say nothing of a dumb connection.
    [[nodiscard]] MonotonicTime end() const { return std::max(deadline, sent + stream_patience); }
  };
  struct Connection {
    explicit Connection(asio::io_context& loop) : stream(asio::ip::tcp::socket(loop)), timer(loop) {}
    transport::MessageStream stream;
    asio::steady_timer timer;  // for the first of its questions whose time is up
    MonotonicTime armed_for = MonotonicTime::max();
    MonotonicTime heard{};                        // when the last message came
    std::vector<Question> questions;              // unanswered, in the order in which they were sent
    std::vector<std::uint8_t> outgoing, leaving;  // frames to be written; being written
    bool is_open = false, is_writing = false, has_served = false;

    /// Since when it owes an answer and says nothing.
    [[nodiscard]] MonotonicTime silent_since() const { return std::max(questions.front().sent, heard); }
    [[nodiscard]] MonotonicTime read_deadline() const {
      return questions.empty() ? in(stream_idle_time) : silent_since() + stream_silence_time;
    }
  };
  using ConnectionPointer = std::shared_ptr<Connection>;

  Impl(asio::io_context& loop_in, const Endpoint& server_in, RandomSource& random_in, Answered answered_in)
      : loop(loop_in), server(server_in), random(random_in), answered(std::move(answered_in)) {}

  bool ask(dns::Octets query, std::uint64_t ticket, MonotonicTime deadline) {
    std::size_t waiting = 0;
    for (const ConnectionPointer& each : connections) waiting += each->questions.size();
    if (waiting >= stream_questions_max) return false;
    send({0, ticket, {}, deadline, {query.begin(), query.end()}});
    return true;
  }

  void send(Question question) {
    question.sent = read_clock();
    if (connection && connection->is_open && !connection->questions.empty() &&
        question.sent - connection->silent_since() >= stream_patience)
      connection.reset();  // what it owes is listened for
    const bool is_new = !connection;
    if (is_new) connections.push_back(connection = std::make_shared<Connection>(loop));
    auto& questions = connection->questions;
    do question.id = random.next<std::uint16_t>();
    while (std::ranges::any_of(questions, [&](const Question& other) { return other.id == question.id; }));
    dns::patch_id(question.query, question.id);
    transport::append_frame(connection->outgoing, question.query);
    questions.push_back(std::move(question));
    if (is_new) transport::spawn(loop.get_executor(), serve(shared_from_this(), connection));
    if (!connection->is_open) return;
    watch(connection);
    flush(connection);
  }

  void flush(const ConnectionPointer& each) {
    if (each->is_writing || each->outgoing.empty()) return;
    each->is_writing = true;
    transport::spawn(loop.get_executor(), write(each));
  }

  static asio::awaitable<void> serve(std::shared_ptr<Impl> self, ConnectionPointer connection) {
    const auto connected = co_await connection->stream.connect(to_asio(self->server), in(stream_connect_time));
    if (!connected) {
      self->end(connection, ServerStreamFault::unreachable);
      co_return;
    }
    connection->is_open = true;
    for (Question& question : connection->questions) question.sent = read_clock();
    self->watch(connection);
    self->flush(connection);
    // One that nothing new is asked on is of use until it owes nothing.
    while (self->connection == connection || !connection->questions.empty()) {
      const auto message = co_await connection->stream.read(connection->read_deadline());
      if (message) {
        self->take(connection, *message);
        continue;
      }
      if (message.error() == transport::StreamFault::timeout && !connection->questions.empty()) {
        // Who has kept the others waiting is asked behind them.
        std::rotate(connection->questions.begin(), connection->questions.begin() + 1, connection->questions.end());
        self->retire(connection);
      }
      break;
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

  void take(const ConnectionPointer& from, dns::Octets message) {
    from->heard = read_clock();
    if (message.size() < dns::header_octets) return;
    const auto id = static_cast<std::uint16_t>(message[0] << 8 | message[1]);
    const auto question = std::ranges::find(from->questions, id, &Question::id);
    if (question == from->questions.end()) return;
    from->has_served = true;
    const std::uint64_t ticket = question->ticket;
    from->questions.erase(question);
    tell(ticket, message);
  }

  /// Sets its times by what it owes now.
  void watch(const ConnectionPointer& each) {
    each->stream.set_read_deadline(each->read_deadline());
    if (each->questions.empty()) return;
    const MonotonicTime first =
        std::ranges::min_element(each->questions, {}, [](const Question& question) { return question.end(); })->end();
    if (first >= each->armed_for) return;
    each->timer.expires_at(each->armed_for = first);
    each->timer.async_wait([weak = weak_from_this(), watched = std::weak_ptr(each)](const std::error_code& error) {
      const std::shared_ptr<Impl> self = weak.lock();
      const ConnectionPointer each = watched.lock();
      if (!self || !each || error) return;
      each->armed_for = MonotonicTime::max();
      self->forget_late(each);
    });
  }

  void forget_late(const ConnectionPointer& each) {
    const MonotonicTime now = read_clock();
    bool is_dumb = false;
    std::erase_if(each->questions, [&](const Question& question) {
      const bool is_late = question.end() <= now;
      is_dumb |= is_late && question.sent > each->heard;
      return is_late;
    });
    if (is_dumb || (each->questions.empty() && each != connection)) return retire(each);
    watch(each);
  }

  /// It is of no use any more; what it owes is asked again.
  void retire(const ConnectionPointer& retired) {
    leave(retired);
    const MonotonicTime now = read_clock();
    for (Question& question : std::exchange(retired->questions, {}))
      if (now < question.deadline) send(std::move(question));
  }

  void end(const ConnectionPointer& ended, ServerStreamFault fault) {
    leave(ended);
    const MonotonicTime now = read_clock();
    for (Question& question : std::exchange(ended->questions, {})) {
      if (!answered) return;  // closed by who was told
      if (now >= question.deadline) continue;
      if (ended->has_served)
        send(std::move(question));
      else
        tell(question.ticket, fail(fault));
    }
  }

  void leave(const ConnectionPointer& left) {
    left->stream.close();
    left->timer.cancel();
    if (connection == left) connection.reset();
    std::erase(connections, left);
  }

  /// May end in the stream's destruction: a copy is called.
  void tell(std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
    const Answered call = answered;
    if (call) call(ticket, message);
  }

  void close() {
    answered = nullptr;
    while (!connections.empty()) {
      const ConnectionPointer last = connections.back();
      last->questions.clear();
      leave(last);
    }
  }

  asio::io_context& loop;
  Endpoint server;
  RandomSource& random;
  Answered answered;
  std::vector<ConnectionPointer> connections;  // all that are open or being opened
  ConnectionPointer connection;                // that new questions go on
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

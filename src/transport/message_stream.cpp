#include "transport/message_stream.h"

#include <algorithm>
#include <array>
#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "dns/write_octets.h"
#include "transport/as_tuple.h"

namespace doline::transport {
namespace {

constexpr std::size_t length_octets = 2;
/// Holds nearly every query, and several of them.
constexpr std::size_t buffer_octets_first = 2'048;
/// A buffer beyond this is given back as soon as it is empty.
constexpr std::size_t buffer_octets_kept = 16'384;

}  // namespace

std::string_view to_string(StreamFault fault) {
  switch (fault) {
    case StreamFault::closed:
      return "the connection has ended";
    case StreamFault::truncated:
      return "the connection has ended inside a message";
    case StreamFault::timeout:
      return "the deadline has passed";
    case StreamFault::broken:
      return "the connection broke";
    case StreamFault::too_large:
      return "the message is too long";
  }
  return "unknown fault";
}

void append_frame(std::vector<std::uint8_t>& frames, dns::Octets message) {
  check(message.size() <= dns::message_octets_max);
  const std::size_t at = frames.size();
  frames.resize(at + length_octets + message.size());
  dns::put16(frames.data() + at, static_cast<std::uint16_t>(message.size()));
  if (!message.empty()) std::memcpy(frames.data() + at + length_octets, message.data(), message.size());
}

/// One timer serves both directions and is not touched by an operation that ends in time: it runs until the deadline it
/// was armed for, then looks whether a pending operation is really late.
struct MessageStream::Connection : std::enable_shared_from_this<Connection> {
  Connection(asio::ip::tcp::socket taken, std::size_t message_limit)
      : socket(std::move(taken)), timer(socket.get_executor()), message_max(message_limit) {}

  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  std::size_t message_max;
  MonotonicTime read_deadline = never;  // of the pending read; never where none is pending
  MonotonicTime write_deadline = never;
  MonotonicTime armed_for = never;
  bool reading = false, writing = false;
  bool is_late = false, is_closed = false;
  std::optional<StreamFault> end_of_reading;  // Asio's reactor reports it once, then waits for ever

  std::vector<std::uint8_t> buffer;
  std::size_t begin = 0, end = 0;  // what has arrived and is not handed out yet
  std::size_t handed_out = 0;      // of it, the frame that the last read() returned

  void watch() {
    const MonotonicTime deadline = std::min(read_deadline, write_deadline);
    if (deadline >= armed_for) return;
    armed_for = deadline;
    timer.expires_at(deadline);
    timer.async_wait([self = weak_from_this()](const std::error_code& error) {
      const std::shared_ptr<Connection> connection = self.lock();
      if (!connection || error == asio::error::operation_aborted) return;
      connection->armed_for = never;
      connection->judge(std::chrono::steady_clock::now());
    });
  }

  void judge(MonotonicTime now) {
    if (now < std::min(read_deadline, write_deadline)) return watch();
    is_late = true;
    close_socket();
  }

  void close_socket() {
    std::error_code ignored;
    socket.close(ignored);
  }

  void close() {
    if (is_closed) return;
    is_closed = true;
    timer.cancel();
    armed_for = never;
    close_socket();
  }

  [[nodiscard]] StreamFault fault_of(const std::error_code& error, bool inside_message) const {
    if (is_late) return StreamFault::timeout;
    if (is_closed) return StreamFault::closed;
    if (error == asio::error::eof) return inside_message ? StreamFault::truncated : StreamFault::closed;
    return StreamFault::broken;
  }

  /// Drops what was handed out and moves the rest to the front.
  void compact() {
    begin += std::exchange(handed_out, 0);
    if (begin == 0) return;
    std::memmove(buffer.data(), buffer.data() + begin, end - begin);
    end -= begin;
    begin = 0;
    if (end == 0 && buffer.size() > buffer_octets_kept) std::vector<std::uint8_t>().swap(buffer);
  }

  /// Octets of the first frame, its length included; 0 while that is unknown.
  [[nodiscard]] std::size_t frame_octets() const {
    if (end - begin < length_octets) return 0;
    return length_octets + static_cast<std::size_t>(buffer[begin] << 8 | buffer[begin + 1]);
  }
};

MessageStream::MessageStream(asio::ip::tcp::socket socket, std::size_t message_max)
    : connection_(std::make_shared<Connection>(std::move(socket), message_max)) {}

MessageStream::~MessageStream() {
  close();
}

asio::awaitable<Result<void, StreamFault>> MessageStream::connect(asio::ip::tcp::endpoint peer,
                                                                  MonotonicTime deadline) {
  Connection& connection = *connection_;
  check(!connection.writing);
  connection.writing = true;
  connection.write_deadline = deadline;
  connection.watch();
  const auto result = co_await connection.socket.async_connect(peer, use_tuple);
  const auto& [error] = result;
  connection.writing = false;
  connection.write_deadline = never;
  if (error || connection.is_late || connection.is_closed) co_return fail(connection.fault_of(error, true));
  co_return Result<void, StreamFault>();
}

asio::awaitable<Result<dns::Octets, StreamFault>> MessageStream::read(MonotonicTime deadline) {
  Connection& connection = *connection_;
  check(!connection.reading);
  connection.begin += std::exchange(connection.handed_out, 0);
  while (true) {
    const std::size_t wanted = connection.frame_octets();
    if (wanted > length_octets + connection.message_max) co_return fail(StreamFault::too_large);
    const std::size_t arrived = connection.end - connection.begin;
    if (wanted != 0 && arrived >= wanted) {
      connection.handed_out = wanted;
      co_return dns::Octets(connection.buffer.data() + connection.begin + length_octets, wanted - length_octets);
    }
    if (connection.is_closed) co_return fail(StreamFault::closed);
    if (connection.end_of_reading) co_return fail(*connection.end_of_reading);

    connection.compact();
    if (connection.end == connection.buffer.size()) {
      connection.buffer.resize(std::max(buffer_octets_first, 2 * connection.buffer.size()));
    }
    connection.reading = true;
    connection.read_deadline = deadline;
    connection.watch();
    const auto free =
        asio::buffer(connection.buffer.data() + connection.end, connection.buffer.size() - connection.end);
    const auto result = co_await connection.socket.async_read_some(free, use_tuple);
    const auto& [error, count] = result;
    deadline = connection.read_deadline;  // set_read_deadline() may have moved it
    connection.reading = false;
    connection.read_deadline = never;
    if (error) {
      connection.end_of_reading = connection.fault_of(error, arrived != 0);
      co_return fail(*connection.end_of_reading);
    }
    connection.end += count;
  }
}

asio::awaitable<Result<void, StreamFault>> MessageStream::write(dns::Octets frames, MonotonicTime deadline) {
  Connection& connection = *connection_;
  check(!connection.writing);
  if (connection.is_closed) co_return fail(StreamFault::closed);
  connection.writing = true;
  connection.write_deadline = deadline;
  connection.watch();
  const auto octets = asio::buffer(frames.data(), frames.size());
  const auto result = co_await asio::async_write(connection.socket, octets, use_tuple);
  const auto& [error, count] = result;
  connection.writing = false;
  connection.write_deadline = never;
  if (error) co_return fail(connection.fault_of(error, true));
  co_return Result<void, StreamFault>();
}

void MessageStream::set_read_deadline(MonotonicTime deadline) {
  if (!connection_->reading) return;
  connection_->read_deadline = deadline;
  connection_->watch();
}

bool MessageStream::has_buffered() const {
  return connection_->end - connection_->begin > connection_->handed_out;
}

void MessageStream::close() {
  connection_->close();
}

bool MessageStream::is_open() const {
  return !connection_->is_closed && connection_->socket.is_open();
}

asio::ip::tcp::socket& MessageStream::socket() {
  return connection_->socket;
}

}  // namespace doline::transport

// MessageStream: DNS messages on a TCP connection, each behind two octets of length (RFC 1035 §4.2.2, RFC 7766 §8),
// read through one buffer and bounded by deadlines.
//
// Owned by one connection, used on its loop only: at most one read and one write at a time, which may overlap. A
// deadline that passes closes the stream. The stream must outlive its pending operations. Does not throw but for
// memory.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"

namespace doline::transport {

enum class StreamFault : std::uint8_t {
  closed,     ///< the peer has ended between messages, or close() was called: the ordinary end
  truncated,  ///< the peer has ended inside a message
  timeout,    ///< a deadline has passed
  broken,     ///< reset, unreachable, refused
  too_large,  ///< a length beyond what this stream accepts
};
[[nodiscard]] std::string_view to_string(StreamFault fault);

/// A deadline that never passes.
inline constexpr MonotonicTime never = MonotonicTime::max();

/// Appends `message` behind its two octets of length; at most message_octets_max octets, else an invariant breaks.
void append_frame(std::vector<std::uint8_t>& frames, dns::Octets message);

class MessageStream {
 public:
  /// Takes over a socket, connected or about to be. `message_max`: the longest message that read() accepts; memory
  /// grows with what has arrived, not with what the peer announces.
  explicit MessageStream(asio::ip::tcp::socket socket, std::size_t message_max = dns::message_octets_max);
  ~MessageStream();  ///< closes
  MessageStream(const MessageStream&) = delete;
  MessageStream& operator=(const MessageStream&) = delete;

  [[nodiscard]] asio::awaitable<Result<void, StreamFault>> connect(asio::ip::tcp::endpoint peer,
                                                                   MonotonicTime deadline);
  /// The next message, possibly empty; borrowed until the next read(). One system call may fetch several. After the
  /// peer's end, the same fault again.
  [[nodiscard]] asio::awaitable<Result<dns::Octets, StreamFault>> read(MonotonicTime deadline);
  /// Writes one or more frames as append_frame() made them; they must stay where they are until this is done.
  [[nodiscard]] asio::awaitable<Result<void, StreamFault>> write(dns::Octets frames, MonotonicTime deadline);

  /// Moves the deadline of the pending read, either way; without one, does nothing.
  void set_read_deadline(MonotonicTime deadline);
  /// Octets of a further message have arrived but are not read yet.
  [[nodiscard]] bool has_buffered() const;
  /// Ends pending operations with `closed`. May be called again.
  void close();
  [[nodiscard]] bool is_open() const;
  [[nodiscard]] asio::ip::tcp::socket& socket();

 private:
  struct Connection;
  std::shared_ptr<Connection> connection_;  // shared with the handler of its timer
};

}  // namespace doline::transport

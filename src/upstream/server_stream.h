// ServerStream: questions to one server over one TCP connection at a time, pipelined, answered in any order, kept open
// for a while (RFC 7766 §6.2).
//
// Lives on one worker's loop. A question whose time is up is forgotten. A connection may be lost without a word, and a
// server that answers in order may keep all waiting for one, so nothing new is asked on one that has been silent for
// stream_patience while it owes answers. If nothing has come since a question was sent whose time is up, what waits
// behind it is asked again on a new connection, and so is what one leaves that ends after it has given an answer
// (§6.2.4). One that is closed without any has no successor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"

namespace asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's name
}

namespace doline::upstream {

class RandomSource;

inline constexpr std::size_t stream_questions_max = 512;  ///< unanswered, of one server
inline constexpr milliseconds stream_connect_time{1'500};
/// How long a question waits at least, before its silence says something about the connection.
inline constexpr milliseconds stream_patience{1'000};
/// With questions unanswered: since the oldest was sent, or the last message came.
inline constexpr milliseconds stream_silence_time{3'000};
inline constexpr milliseconds stream_idle_time{8'000};  ///< without (RFC 7766 §6.2.3)

enum class ServerStreamFault : std::uint8_t {
  unreachable,  ///< no connection
  broken,       ///< it ended before the answer came
};

class ServerStream {
 public:
  /// A message with the ID of the question that `ticket` was given for; borrowed for the time of the call.
  using Answered = std::function<void(std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message)>;

  /// `random` outlives the stream.
  ServerStream(asio::io_context& loop, const Endpoint& server, RandomSource& random, Answered answered);
  ~ServerStream();
  ServerStream(const ServerStream&) = delete;
  ServerStream& operator=(const ServerStream&) = delete;

  /// Sends `query` with an ID of the stream's own, and not again after `deadline`. `answered` is called once, later,
  /// with this ticket, unless the stream is destroyed or the deadline passes first. False: stream_questions_max are
  /// waiting; `answered` is not called.
  [[nodiscard]] bool ask(dns::Octets query, std::uint64_t ticket, MonotonicTime deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with its coroutines
};

}  // namespace doline::upstream

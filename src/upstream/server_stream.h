// ServerStream: questions to one server over one TCP connection at a time, pipelined, answered in any order, kept open
// for a while (RFC 7766 §6.2).
//
// Lives on one worker's loop. Where a connection ends that has given an answer, the questions that it left without one
// are asked again on a new connection (§6.2.4) until their time is up; one that ends without any has no successor.
// Whoever asks keeps the time: a question may stay without an answer for as long as the connection is of use to others.
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

inline constexpr std::size_t stream_questions_max = 256;  ///< unanswered, on one connection
inline constexpr milliseconds stream_connect_time{1'500};
inline constexpr milliseconds stream_silence_time{3'000};  ///< with questions unanswered
inline constexpr milliseconds stream_idle_time{8'000};     ///< without (RFC 7766 §6.2.3)

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
  /// with this ticket, unless the stream is destroyed first. False: stream_questions_max are waiting; `answered` is not
  /// called.
  [[nodiscard]] bool ask(dns::Octets query, std::uint64_t ticket, MonotonicTime deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with its coroutines
};

}  // namespace doline::upstream
